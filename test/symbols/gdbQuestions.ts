/**
 * The groups of questions that the differential tests ask of gdb 13 and of us, all of one file in one run of
 * gdb (questions.py is its side). gdb is a process of its own, so that we can work while it does.
 */
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SCRIPT = fileURLToPath(new URL('questions.py', import.meta.url));

export interface AddressQuestion {
  /** gdb decides where the sections of relocatable objects are: addresses are asked by section. */
  readonly section: string;
  readonly offset: number;
  /** Also the variables in scope, their types, and a breakpoint this many lines after the address's own. */
  readonly scope: boolean;
  readonly types: boolean;
  readonly breakpointNear: number | null;
}

export interface Questions {
  readonly addresses: readonly AddressQuestion[];
  /** Breakpoints in headers too: gdb reads every unit that includes one. */
  readonly headers: boolean;
  /** Names given to `break`. */
  readonly functions: readonly string[];
}

export interface AddressAnswer {
  readonly kind: 'address';
  readonly address: string;
  /** Innermost first. */
  readonly functions: readonly string[];
  readonly file: string | null;
  readonly line: number;
}

export interface ScopeAnswer {
  readonly kind: 'scope';
  readonly address: string;
  readonly function: string;
  /** What the blocks hold, in the order of `places`; labels, types and functions are `other`. */
  readonly symbols: readonly { readonly name: string; readonly type: string; readonly kind: string }[];
  /** The text of `info scope`. */
  readonly places: string;
}

export interface TypeAnswer {
  readonly kind: 'type';
  readonly address: string;
  /** In scope at the address; its type leads to the one described. */
  readonly variable: string;
  readonly type: string;
  readonly size: number;
  /**
   * `bit:size name type` of a structure, those of anonymous members after them; `name = value` of an
   * enumeration.
   */
  readonly members: readonly string[];
  /** The text of `ptype /r`. */
  readonly printed: string;
}

export interface BreakpointAnswer {
  readonly kind: 'breakpoint';
  readonly file: string;
  readonly line: number;
  readonly addresses: readonly string[];
}

export interface FunctionAnswer {
  readonly kind: 'function';
  readonly name: string;
  readonly addresses: readonly string[];
}

interface SectionsAnswer {
  readonly kind: 'sections';
  readonly addresses: Readonly<Record<string, string>>;
}

export type GroupAnswer = AddressAnswer | ScopeAnswer | TypeAnswer | BreakpointAnswer | FunctionAnswer;

export interface GdbAnswers {
  readonly sections: ReadonlyMap<string, bigint>;
  readonly answers: readonly GroupAnswer[];
}

/** `directory` is for the questions' file. Rejects with what gdb said when it fails. */
export async function askQuestions(
  program: string,
  directory: string,
  questions: Questions,
): Promise<GdbAnswers> {
  const file = join(directory, 'questions.json');
  writeFileSync(file, JSON.stringify(questions));
  const start = `python import json; main(json.load(open(${JSON.stringify(file)})))`;
  const options = ['-ex', 'set debuginfod enabled off', '-iex', 'set auto-load no'];
  const lines = await outputLines('gdb', ['-nx', '-batch', ...options, program, '-x', SCRIPT, '-ex', start]);
  const answers = lines.map((line) => JSON.parse(line) as GroupAnswer | SectionsAnswer);
  const [first, ...rest] = answers;
  if (first?.kind !== 'sections') throw new Error('gdb did not list the sections');
  const sections = Object.entries(first.addresses).map(([name, at]) => [name, BigInt(at)] as const);
  return { sections: new Map(sections), answers: rest.filter((it) => it.kind !== 'sections') };
}

function outputLines(tool: string, args: readonly string[]): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const child = spawn(tool, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const out: Buffer[] = [];
    let errors = '';
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => (errors = (errors + chunk.toString()).slice(-4000)));
    child.once('error', reject);
    child.once('close', (code) => {
      if (code !== 0) return reject(new Error(`gdb ended with code ${code}: ${errors}`));
      const lines = Buffer.concat(out).toString().split('\n');
      resolve(lines.filter((line) => line.startsWith('@@')).map((line) => line.slice(2)));
    });
  });
}
