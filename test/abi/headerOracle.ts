/**
 * Asks the C compiler what the kernel's headers say: C expressions in, their values out. The C program is
 * written from the tables under test, so that no entry can be forgotten.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Field, Struct } from '../../vmm-core/abi/struct.ts';

/** What our table says about one thing in a header. */
export interface Claim {
  /** How our table names it, for messages. */
  readonly name: string;
  readonly value: bigint;
  /** The same thing in C. */
  readonly expression: string;
  /** A macro that older headers lack: then nothing is asked. */
  readonly macro?: string;
}

/** The compiler's answer; `undefined` when the headers do not define the claim's macro. */
export type Answers = ReadonlyMap<string, bigint | undefined>;

const execFileAsync = promisify(execFile);

/** A sentence when the headers cannot be asked on this machine. */
export async function oracleUnavailable(headers: readonly string[]): Promise<string | undefined> {
  try {
    await compile(headers, []);
    return undefined;
  } catch (error) {
    const { code, stderr = '' } = error as NodeJS.ErrnoException & { stderr?: string };
    if (code === 'ENOENT') return 'gcc is not installed';
    const missing = /fatal error: (\S+): No such file/.exec(stderr)?.[1];
    if (missing !== undefined) return `the header ${missing} is not installed (Debian: linux-libc-dev)`;
    throw error;
  }
}

/** Compiles and runs a program that prints the value of each claim's expression. */
export function ask(headers: readonly string[], claims: readonly Claim[]): Promise<Answers> {
  return compile(headers, claims);
}

async function compile(headers: readonly string[], claims: readonly Claim[]): Promise<Answers> {
  const directory = await mkdtemp(path.join(tmpdir(), 'trapframe-abi-'));
  try {
    const source = path.join(directory, 'oracle.c');
    const program = path.join(directory, 'oracle');
    await writeFile(source, cSource(headers, claims));
    await execFileAsync('gcc', ['-O0', '-w', '-D_GNU_SOURCE', '-o', program, source]);
    const { stdout } = await execFileAsync(program);
    return parse(stdout);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function cSource(headers: readonly string[], claims: readonly Claim[]): string {
  const lines = ['#include <stddef.h>', '#include <stdio.h>', ...headers.map((it) => `#include <${it}>`)];
  lines.push('#define SAY(n, e) printf("%s %llu\\n", n, (unsigned long long)(e))', 'int main(void) {');
  for (const { name, expression, macro } of claims) {
    const say = `SAY("${name}", ${expression});`;
    if (macro === undefined) lines.push(say);
    else lines.push(`#ifdef ${macro}`, say, '#else', `puts("${name} -");`, '#endif');
  }
  return [...lines, 'return 0; }', ''].join('\n');
}

function parse(output: string): Answers {
  const pairs = output
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split(' '));
  return new Map(pairs.map(([name = '', value]) => [name, value === '-' ? undefined : BigInt(value ?? 0)]));
}

/**
 * A struct's size, and each field's offset and size. `spelling`: our field name to the header's, where they
 * differ.
 */
export function structClaims(
  table: Struct<Readonly<Record<string, Field>>>,
  spelling: Readonly<Record<string, string>> = {},
  cType = `struct ${table.name}`,
): Claim[] {
  const size = {
    name: `sizeof(${table.name})`,
    value: BigInt(table.size),
    expression: `sizeof(${cType})`,
  };
  const fields = Object.entries(table.fields).flatMap(([key, { offset, lengthBytes }]) => {
    const member = spelling[key] ?? key;
    return [
      {
        name: `${table.name}.${key}`,
        value: BigInt(offset),
        expression: `offsetof(${cType}, ${member})`,
      },
      {
        name: `sizeof(${table.name}.${key})`,
        value: BigInt(lengthBytes),
        expression: `sizeof(((${cType} *)0)->${member})`,
      },
    ];
  });
  return [size, ...fields];
}

/** Offsets of members for which we have no type. */
export function offsetClaims(
  cType: string,
  offsets: Readonly<Record<string, number>>,
  spelling: Readonly<Record<string, string>> = {},
): Claim[] {
  return Object.entries(offsets).map(([key, offset]) => ({
    name: `${cType.replace(/\s+/g, '_')}.${key}`,
    value: BigInt(offset),
    expression: `offsetof(${cType}, ${spelling[key] ?? key})`,
  }));
}

/** A number that the header spells as a macro. The program prints none below zero. */
export function macroClaim(name: string, value: number | bigint, macro = name): Claim {
  return { name, value: BigInt.asUintN(64, BigInt(value)), expression: macro, macro };
}

export function isStruct(value: unknown): value is Struct<Readonly<Record<string, Field>>> {
  return typeof value === 'object' && value !== null && 'fields' in value && 'size' in value;
}

/** The claims that the headers contradict, as sentences. */
export function contradictions(claims: readonly Claim[], answers: Answers): string[] {
  return claims.flatMap(({ name, value, expression }) => {
    const answer = answers.get(name);
    if (answer === undefined || answer === value) return [];
    return [`${name} is ${value} in our table, ${expression} is ${answer} in the header`];
  });
}

/** Names of claims unknown to the installed headers. */
export function unknownToHeaders(claims: readonly Claim[], answers: Answers): string[] {
  return claims.filter(({ name }) => answers.get(name) === undefined).map(({ name }) => name);
}
