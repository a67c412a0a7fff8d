/** Disassembly with symbols and source lines, forwards and backwards, in the width the vCPU executes. */
import path from 'node:path';
import type { DebugProtocol } from '@vscode/debugprotocol';
import type { Pace } from '../pace.ts';
import { toClientLine } from '../session/clientPositions.ts';
import type { SessionState } from '../session/sessionState.ts';
import type { AddressView } from '../target/addressView.ts';
import {
  type CodeBits,
  type DecodedInstruction,
  Disassembler,
  endingAt,
  MAX_INSTRUCTION_BYTES,
} from '../target/disassembler.ts';
import { codeBase, codeBits } from '../target/registers.ts';
import { hex } from '../target/vmTarget.ts';

type Shown = DebugProtocol.DisassembledInstruction;

/** The most to look backwards in one go. */
const MAX_BACK = 256;
/** Back from an address without a symbol: enough for the decoder to fall in step with the code. */
const RESYNC_BYTES = 64;
/** A function larger than this is not decoded from its start for every page of the view. */
const MAX_FUNCTION_BYTES = 0x1_0000n;

export interface DisassemblyStart {
  readonly cpu: number;
  readonly address: bigint;
  /** Instructions to go forward, or back when negative. */
  readonly instructionOffset: number;
}

/** Exactly `count` lines: where no code can be read, lines that say so. */
export async function disassembleAt(
  state: SessionState,
  { cpu, address, instructionOffset }: DisassemblyStart,
  count: number,
  pace: Pace,
): Promise<Shown[]> {
  const code = await CodeReader.open(state, cpu, pace);
  const before = Math.max(0, -instructionOffset);
  const skipped = Math.max(0, instructionOffset);
  const earlier = before === 0 ? [] : await code.backwards(address, before);
  const later = before >= count ? [] : await code.forwards(address, skipped + count - before);
  const window = before > 0 ? [...earlier, ...later].slice(0, count) : later.slice(skipped, skipped + count);
  const lines: Shown[] = [];
  let previous = '';
  for (const it of window) {
    const shown = show(state, code.view, it);
    const location = `${shown.location?.path ?? ''}:${shown.line ?? ''}`;
    lines.push(location === previous ? withoutLine(shown) : shown);
    previous = location;
    await pace.turn();
  }
  return lines;
}

/** A line as it comes out of memory: an instruction, or an address where nothing can be read. */
type CodeLine = DecodedInstruction | { readonly address: bigint; readonly unreadable: true };

class CodeReader {
  readonly #state: SessionState;
  readonly #disassembler: Disassembler;
  readonly #cpu: number;
  readonly #bits: CodeBits;
  readonly #base: bigint;
  readonly #pace: Pace;
  readonly view: AddressView;

  private constructor(
    state: SessionState,
    disassembler: Disassembler,
    view: AddressView,
    code: { readonly cpu: number; readonly bits: CodeBits; readonly base: bigint },
    pace: Pace,
  ) {
    this.#state = state;
    this.view = view;
    this.#disassembler = disassembler;
    this.#cpu = code.cpu;
    this.#bits = code.bits;
    this.#base = code.base;
    this.#pace = pace;
  }

  static async open(state: SessionState, cpu: number, pace: Pace): Promise<CodeReader> {
    const target = state.requireTarget();
    const disassembler = await Disassembler.load();
    const view = await state.viewOf(cpu);
    // While it runs the mode cannot be read; a kernel mostly runs 64-bit code.
    if (target.state !== 'paused')
      return new CodeReader(state, disassembler, view, { cpu, bits: 64, base: 0n }, pace);
    const registers = await target.readRegisters(cpu);
    const code = { cpu, bits: codeBits(registers.mode), base: codeBase(registers) };
    return new CodeReader(state, disassembler, view, code, pace);
  }

  async forwards(address: bigint, count: number): Promise<CodeLine[]> {
    const bytes = await this.#read(address, count * MAX_INSTRUCTION_BYTES);
    const lines: CodeLine[] = await this.#decode(address, bytes, count);
    let next = endOf(lines.at(-1), address);
    for (; lines.length < count; next++) lines.push({ address: BigInt.asUintN(64, next), unreadable: true });
    return lines;
  }

  /** The `count` lines before `address`, which the last of them ends at. */
  async backwards(address: bigint, count: number): Promise<CodeLine[]> {
    const chunks: (readonly CodeLine[])[] = []; // the last one comes first in memory
    let found = 0;
    let end = address;
    while (found < count && end > 0n) {
      const chunk = await this.#chunkBefore(end, Math.min(count - found, MAX_BACK));
      if (chunk === undefined) break;
      chunks.push(chunk);
      found += chunk.length;
      end = chunk[0]?.address ?? 0n;
    }
    const unreadable = Array.from({ length: Math.max(0, count - found) }, (_, i): CodeLine => {
      return { address: BigInt.asUintN(64, end - BigInt(i + 1)), unreadable: true };
    });
    return [...unreadable.reverse(), ...chunks.reverse().flat()].slice(-count);
  }

  /**
   * Some instructions that end at `end`: from the start of the function before it, else from wherever
   * decoding falls in step.
   */
  async #chunkBefore(end: bigint, wanted: number): Promise<readonly CodeLine[] | undefined> {
    const start = this.view.codeStart(end - 1n);
    if (start !== undefined && start < end && end - start <= MAX_FUNCTION_BYTES) {
      const bytes = await this.#read(start, Number(end - start));
      if (bytes.length === Number(end - start)) {
        const decoded = endingAt(await this.#decode(start, bytes, bytes.length), end);
        if (decoded !== undefined) return decoded;
      }
    }
    return this.#resync(end, wanted);
  }

  async #resync(end: bigint, wanted: number): Promise<readonly CodeLine[] | undefined> {
    const lengthBytes = wanted * MAX_INSTRUCTION_BYTES + RESYNC_BYTES;
    let start = end > BigInt(lengthBytes) ? end - BigInt(lengthBytes) : 0n;
    let bytes = await this.#read(start, Number(end - start));
    if (bytes.length < Number(end - start)) {
      // Unmapped below: as much of the last page as can be read.
      start = end - 1n - ((end - 1n) & 0xfffn);
      bytes = await this.#read(start, Number(end - start));
      if (bytes.length < Number(end - start)) return undefined;
    }
    for (let skip = 0; skip < Math.min(MAX_INSTRUCTION_BYTES, bytes.length); skip++) {
      const from = start + BigInt(skip);
      const decoded = endingAt(await this.#decode(from, bytes.subarray(skip), bytes.length), end);
      if (decoded !== undefined) return decoded.slice(-wanted);
    }
    return undefined;
  }

  async #read(address: bigint, lengthBytes: number): Promise<Uint8Array> {
    return (await this.#state.requireTarget().readMemory({ address, cpu: this.#cpu }, lengthBytes)).data;
  }

  #decode(address: bigint, bytes: Uint8Array, count: number): Promise<DecodedInstruction[]> {
    const block = { address, bytes, bits: this.#bits, base: this.#base };
    return this.#disassembler.decodePaced(block, count, this.#pace);
  }
}

function endOf(line: CodeLine | undefined, start: bigint): bigint {
  if (line === undefined) return start;
  return line.address + BigInt('bytes' in line ? line.bytes.length : 1);
}

function show(state: SessionState, view: AddressView, line: CodeLine): Shown {
  const address = hex(line.address);
  if ('unreadable' in line) return { address, instruction: '??', presentationHint: 'invalid' };
  const symbol = view.describe(line.address);
  const target = line.target === undefined ? undefined : nameTarget(view, line, line.target);
  return {
    address,
    instructionBytes: [...line.bytes].map((it) => it.toString(16).padStart(2, '0')).join(' '),
    instruction: target === undefined ? line.text : `${line.text} <${target}>`,
    ...(symbol === undefined ? {} : { symbol }),
    ...(line.valid ? {} : { presentationHint: 'invalid' as const }),
    ...sourceOf(state, view, line.address),
  };
}

/**
 * The symbol of a branch target; in code whose segment has a base, the linear address behind the offset that
 * is shown.
 */
function nameTarget(view: AddressView, line: DecodedInstruction, target: bigint): string | undefined {
  const symbol = view.describe(target);
  return symbol ?? (line.text.includes(hex(target)) ? undefined : hex(target));
}

function sourceOf(state: SessionState, view: AddressView, address: bigint): Pick<Shown, 'location' | 'line'> {
  const found = view.lineAt(address);
  const file = found && state.sources.toEditor(found.row.file, found.imagePath);
  if (found === undefined || file === undefined || found.row.line === 0) return {};
  return { location: { name: path.basename(file), path: file }, line: toClientLine(state, found.row.line) };
}

/** DAP: a line that equals the one before is left out. */
function withoutLine(shown: Shown): Shown {
  const { location: _location, line: _line, ...rest } = shown;
  return rest;
}
