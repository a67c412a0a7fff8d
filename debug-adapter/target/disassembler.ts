/**
 * Bytes to instructions with iced-x86, loaded on first use (its wasm costs some ten milliseconds). Pure:
 * knows no VM.
 */
import type { Decoder, Formatter } from 'iced-x86';
import type { Pace } from '../pace.ts';

export type CodeBits = 16 | 32 | 64;

export interface DecodedInstruction {
  /** Linear. */
  readonly address: bigint;
  readonly bytes: Uint8Array;
  /** Intel syntax. `(bad)` where the bytes are not an instruction. */
  readonly text: string;
  readonly valid: boolean;
  /** Where a direct jump or call goes, or what a RIP-relative operand names; linear. */
  readonly target?: bigint;
}

export interface CodeBlock {
  /** Linear address of the first byte. */
  readonly address: bigint;
  readonly bytes: Uint8Array;
  readonly bits: CodeBits;
  /** CS base: branch targets of 16-bit code wrap inside the segment. */
  readonly base: bigint;
}

export const MAX_INSTRUCTION_BYTES = 15;
/** Instructions decoded between two looks at the clock. */
const BATCH = 256;

type Iced = typeof import('iced-x86');
let loaded: Promise<Disassembler> | undefined;

export class Disassembler {
  readonly #iced: Iced;
  readonly #formatter: Formatter;

  private constructor(library: Iced) {
    this.#iced = library;
    const formatter = new library.Formatter(library.FormatterSyntax.Intel);
    formatter.hexPrefix = '0x';
    formatter.hexSuffix = '';
    formatter.uppercaseHex = false;
    formatter.spaceAfterOperandSeparator = true;
    formatter.branchLeadingZeros = false;
    formatter.ripRelativeAddresses = false;
    formatter.smallHexNumbersInDecimal = true;
    this.#formatter = formatter;
  }

  /** Shared by all: it keeps nothing of what it decoded. */
  static load(): Promise<Disassembler> {
    return (loaded ??= import('iced-x86').then((library) => new Disassembler(library)));
  }

  /**
   * Up to `count` instructions from the start of the block. An instruction cut off by its end is left out.
   */
  decode(block: CodeBlock, count: number): DecodedInstruction[] {
    const { Decoder: DecoderClass, DecoderOptions } = this.#iced;
    const decoder = new DecoderClass(block.bits, block.bytes, DecoderOptions.None);
    try {
      decoder.ip = BigInt.asUintN(64, block.address - block.base);
      const decoded: DecodedInstruction[] = [];
      while (decoder.canDecode && decoded.length < count) {
        const one = this.#decodeOne(decoder, block);
        if (one === undefined) break;
        decoded.push(one);
      }
      return decoded;
    } finally {
      decoder.free();
    }
  }

  /** Like `decode`, for more than a few. */
  async decodePaced(block: CodeBlock, count: number, pace: Pace): Promise<DecodedInstruction[]> {
    const decoded: DecodedInstruction[] = [];
    let offset = 0;
    while (decoded.length < count) {
      const rest = {
        ...block,
        address: BigInt.asUintN(64, block.address + BigInt(offset)),
        bytes: block.bytes.subarray(offset, offset + BATCH * MAX_INSTRUCTION_BYTES),
      };
      const batch = this.decode(rest, Math.min(BATCH, count - decoded.length));
      if (batch.length === 0) break;
      for (const it of batch) {
        decoded.push(it);
        offset += it.bytes.length;
      }
      await pace.turn();
    }
    return decoded;
  }

  #decodeOne(decoder: Decoder, block: CodeBlock): DecodedInstruction | undefined {
    const { DecoderError } = this.#iced;
    const start = decoder.position;
    const instruction = decoder.decode();
    try {
      if (decoder.lastError === DecoderError.NoMoreBytes) return undefined;
      const address = BigInt.asUintN(64, block.address + BigInt(start));
      if (decoder.lastError !== DecoderError.None) {
        decoder.position = start + 1; // one byte at a time until the code makes sense again
        return { address, bytes: block.bytes.slice(start, start + 1), text: '(bad)', valid: false };
      }
      const bytes = block.bytes.slice(start, start + instruction.length);
      const target = this.#target(instruction, block.base);
      const text = this.#formatter.format(instruction);
      return { address, bytes, text, valid: true, ...(target === undefined ? {} : { target }) };
    } finally {
      instruction.free();
    }
  }

  #target(instruction: ReturnType<Decoder['decode']>, base: bigint): bigint | undefined {
    const { nearBranchTarget } = instruction;
    if (instruction.isJmpShortOrNear || instruction.isJccShortOrNear || instruction.isCallNear) {
      return BigInt.asUintN(64, base + nearBranchTarget);
    }
    return instruction.isIpRelMemoryOperand ? instruction.ipRelMemoryAddress : undefined;
  }
}

/**
 * The `count` instructions that end exactly at `address`, from a list decoded from somewhere before it;
 * `undefined` when that list is out of step with `address`.
 */
export function endingAt(
  decoded: readonly DecodedInstruction[],
  address: bigint,
): readonly DecodedInstruction[] | undefined {
  const at = decoded.findIndex((it) => it.address >= address);
  const before = at < 0 ? decoded : decoded.slice(0, at);
  const last = before.at(-1);
  if (last === undefined) return undefined;
  return last.address + BigInt(last.bytes.length) === address ? before : undefined;
}
