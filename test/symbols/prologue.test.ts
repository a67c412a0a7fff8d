/**
 * Frames found from the code alone, compared with gdb, which has the call frame information of the same
 * program: what is said about a caller's registers is right, and most of it is found.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { SymbolImage } from '../../debug-adapter/symbols/symbolImage.ts';
import { Disassembler } from '../../debug-adapter/target/disassembler.ts';
import { callerByCode } from '../../debug-adapter/target/codeUnwinder.ts';
import type { UnwindContext } from '../../debug-adapter/target/unwindFrame.ts';
import { bytesSource } from '../../vmm-core/elf/byteSource.ts';
import { parseElf } from '../../vmm-core/elf/elfFile.ts';
import type { CpuRegisters } from '../../vmm-core/protocol/registers.ts';
import { compile, missingTool, openImage, scratchDirectory } from './compile.ts';
import { gdbUnavailable } from './gdb.ts';
import { type LiveFrame, type LiveStop, recordStops, recordedMemory } from './live.ts';

const directory = scratchDirectory();
const FUNCTIONS = ['leaf', 'busy', 'early', 'array', 'variable', 'many', 'chosen', 'main'];
const KEPT = ['rsp', 'rbp', 'rbx', 'r12', 'r13', 'r14', 'r15'];

const VARIANTS: readonly (readonly [compiler: string, ...options: string[]])[] = [
  ['gcc', '-O0'],
  ['gcc', '-O2'],
  ['gcc', '-O2', '-fno-omit-frame-pointer'],
  ['gcc', '-Os'],
  ['clang-14', '-O2'],
];

for (const [compiler, ...options] of VARIANTS) {
  const title = `${compiler} ${options.join(' ')}`;
  test(`${title}: callers and their registers are found from the code`, async (t) => {
    const reason = gdbUnavailable() ?? missingTool(compiler);
    if (reason !== undefined) return t.skip(reason);
    const output = join(directory, title.replaceAll(' ', ''));
    const program = compile(compiler, 'prologue.c', output, ['-no-pie', '-g', ...options]);
    const image = openImage(program);
    const stops = recordStops(program, directory, await instructions(image, program), [], 4096);
    if (stops.length === 0) return t.skip('gdb cannot run programs here');
    const tally = { frames: 0, unfound: 0, registers: 0, lost: 0, wrong: [] as string[] };
    for (const stop of stops) await compare(stop, image, program, tally);
    assert.deepEqual(tally.wrong.slice(0, 10), []);
    assert.ok(tally.frames > 100, `${tally.frames} frames`);
    // `variable` has a stack pointer that only its frame pointer makes up for, and not in its prologue and
    // epilogue.
    assert.ok(tally.unfound < 0.03 * tally.frames, `${tally.unfound} of ${tally.frames} callers not found`);
    assert.ok(tally.lost < 0.05 * tally.registers, `${tally.lost} of ${tally.registers} registers not found`);
  });
}

interface Tally {
  frames: number;
  unfound: number;
  registers: number;
  lost: number;
  readonly wrong: string[];
}

async function compare(stop: LiveStop, image: SymbolImage, program: string, tally: Tally): Promise<void> {
  const real = stop.frames.filter(({ inlined }) => !inlined);
  for (let depth = 0; depth + 1 < real.length; depth++) {
    const [frame, theirs] = [real[depth] as LiveFrame, real[depth + 1] as LiveFrame];
    const registers = new Map(Object.entries(frame.registers).map(([name, value]) => [name, BigInt(value)]));
    const at = { pc: BigInt(frame.pc), sp: registers.get('rsp') ?? 0n, registers, isCaller: depth > 0 };
    const ours = await callerByCode(at, contextOf(stop, image, program));
    tally.frames++;
    if (ours === undefined) {
      tally.unfound++;
      continue;
    }
    const where = `${frame.name ?? '?'} at ${frame.pc}, frame ${depth}`;
    if (ours.pc !== BigInt(theirs.pc)) tally.wrong.push(`${where}: pc ${ours.pc}, gdb ${theirs.pc}`);
    for (const name of KEPT) {
      const [mine, expected] = [ours.registers.get(name), theirs.registers[name]];
      if (expected === undefined) continue;
      tally.registers++;
      if (mine === undefined) tally.lost++;
      else if (mine !== BigInt(expected)) tally.wrong.push(`${where}: ${name} ${mine}, gdb ${expected}`);
    }
  }
}

/** Addresses of the program's instructions. */
async function instructions(image: SymbolImage, program: string): Promise<bigint[]> {
  const disassembler = await Disassembler.load();
  const code = codeOf(program);
  return FUNCTIONS.flatMap((name) => {
    const start = image.functionByName(name)[0]?.start;
    const end = start === undefined ? undefined : image.functionAt(start)?.end;
    if (start === undefined || end === undefined) return []; // inlined after all
    const bytes = code(start, Number(end - start));
    assert.ok(bytes !== undefined);
    return disassembler
      .decode({ address: start, bytes, bits: 64, base: 0n }, 400)
      .map(({ address }) => address);
  });
}

function contextOf(stop: LiveStop, image: SymbolImage, program: string): UnwindContext {
  const memory = recordedMemory(stop);
  const code = codeOf(program);
  const cpu = { mode: 'long64', values: {}, segments: {} } as unknown as CpuRegisters;
  return {
    cpu,
    read: async (address, length) => code(address, length) ?? (await memory.read(address, length)),
    codeStart: (address) => image.functionAt(address)?.start,
    imageAt: () => image,
  };
}

type Code = (address: bigint, lengthBytes: number) => Uint8Array | undefined;

const known = new Map<string, Code>();

function codeOf(program: string): Code {
  const before = known.get(program);
  if (before !== undefined) return before;
  const file = Uint8Array.from(readFileSync(program));
  const text = parseElf(bytesSource(program, file)).sections.find(({ name }) => name === '.text');
  assert.ok(text !== undefined);
  const code: Code = (address, lengthBytes) => {
    const at = Number(address - text.address);
    return at >= 0 && at + lengthBytes <= text.sizeBytes
      ? file.slice(text.offset + at, text.offset + at + lengthBytes)
      : undefined;
  };
  known.set(program, code);
  return code;
}
