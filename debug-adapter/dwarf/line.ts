/**
 * The line number state machine. DWARF 5 §6.2.2, §6.2.5. Rows come out as columns of numbers: kernels have 30
 * million of them.
 */
import { AddressArray } from './address.ts';
import { DwarfError } from './dwarfError.ts';
import type { LineHeader } from './lineHeader.ts';
import type { Reader } from './reader.ts';
import { DW_LNE, DW_LNS } from './sectionConstants.ts';

/** Flags of a row. */
export const ROW_IS_STMT = 1 << 0;
export const ROW_BASIC_BLOCK = 1 << 1;
export const ROW_END_SEQUENCE = 1 << 2;
export const ROW_PROLOGUE_END = 1 << 3;
export const ROW_EPILOGUE_BEGIN = 1 << 4;
/**
 * The row repeats the line of the one before, one of whose blocks has a discriminator (§6.2.2): the same
 * statement goes on in another block. Without discriminators a line that is repeated is a statement of its
 * own.
 */
export const ROW_CONTINUES = 1 << 5;

/**
 * Rows `first` to `last`; `last` is the end_sequence row, whose address is the first one after the sequence.
 */
export interface Sequence {
  readonly start: number;
  readonly end: number;
  readonly first: number;
  readonly last: number;
}

/** As narrow as its values allow: a kernel's rows take 50 MB. */
export type RowColumn = Uint8Array | Uint16Array | Uint32Array;

export interface LineRows {
  readonly count: number;
  readonly address: AddressArray;
  readonly file: RowColumn;
  readonly line: RowColumn;
  /** Columns past 65535 are kept as 65535. */
  readonly column: RowColumn;
  readonly flags: Uint8Array;
  /** Sorted by start. */
  readonly sequences: readonly Sequence[];
  /** What cut the program short; the rows before it are good. */
  readonly problem: DwarfError | undefined;
}

/** A program may make at most this many rows for each of its bytes: one special opcode is one row. */
export function runLineProgram(header: LineHeader): LineRows {
  const reader = header.section.reader(header.programOffset, header.endOffset - header.programOffset);
  const machine = new RowMachine(header, reader);
  try {
    machine.run();
  } catch (error) {
    if (!(error instanceof DwarfError)) throw error;
    return machine.finish(error);
  }
  return machine.finish(undefined);
}

/**
 * Where each file has statements, from the first to the last line; what comes after a broken opcode is left
 * out.
 */
export function statementSpans(header: LineHeader): Map<number, { firstLine: number; lastLine: number }> {
  const reader = header.section.reader(header.programOffset, header.endOffset - header.programOffset);
  const machine = new SpanMachine(header, reader);
  try {
    machine.run();
  } catch (error) {
    if (!(error instanceof DwarfError)) throw error;
  }
  return machine.spans;
}

/** Runs a program; the subclasses below decide what becomes of its rows. */
abstract class LineMachine {
  protected readonly header: LineHeader;
  protected readonly reader: Reader;

  protected address = 0;
  protected file = 1;
  protected line = 1;
  protected column = 0;
  protected isStmt: boolean;
  /** basic_block, prologue_end, epilogue_begin: cleared after every row. */
  protected rowFlags = 0;
  /** Cleared after every row too. */
  protected discriminator = 0;
  /** Whether a block of the present line had a discriminator. */
  protected hasBlocks = false;
  #opIndex = 0;

  constructor(header: LineHeader, reader: Reader) {
    this.header = header;
    this.reader = reader;
    this.isStmt = header.defaultIsStmt;
  }

  protected abstract emit(extraFlags: number): void;
  protected abstract sequenceEnded(): void;

  run(): void {
    const { header, reader } = this;
    const { opcodeBase } = header;
    while (!reader.atEnd) {
      const opcode = reader.u8();
      if (opcode >= opcodeBase) this.#special(opcode - opcodeBase);
      else if (opcode === 0) this.#extended();
      else this.#standard(opcode);
    }
  }

  /** §6.2.5.1 */
  #special(adjusted: number): void {
    const { lineBase, lineRange } = this.header;
    if (lineRange === 0) throw this.reader.error('special opcode with a line_range of 0');
    this.#advance(Math.floor(adjusted / lineRange));
    this.#advanceLine(lineBase + (adjusted % lineRange));
    this.emit(0);
  }

  /** §6.2.5.2. An unknown opcode is skipped by its number of operands. */
  #standard(opcode: number): void {
    const { reader, header } = this;
    switch (opcode) {
      case DW_LNS.copy:
        return this.emit(0);
      case DW_LNS.advance_pc:
        return this.#advance(reader.uleb());
      case DW_LNS.advance_line:
        return this.#advanceLine(reader.sleb());
      case DW_LNS.set_file:
        this.file = reader.uleb();
        this.hasBlocks = this.discriminator !== 0;
        return;
      case DW_LNS.set_column:
        this.column = reader.uleb();
        return;
      case DW_LNS.negate_stmt:
        this.isStmt = !this.isStmt;
        return;
      case DW_LNS.set_basic_block:
        this.rowFlags |= ROW_BASIC_BLOCK;
        return;
      case DW_LNS.const_add_pc:
        if (header.lineRange === 0) throw reader.error('DW_LNS_const_add_pc with a line_range of 0');
        return this.#advance(Math.floor((255 - header.opcodeBase) / header.lineRange));
      case DW_LNS.fixed_advance_pc:
        this.address += reader.u16();
        this.#opIndex = 0;
        return;
      case DW_LNS.set_prologue_end:
        this.rowFlags |= ROW_PROLOGUE_END;
        return;
      case DW_LNS.set_epilogue_begin:
        this.rowFlags |= ROW_EPILOGUE_BEGIN;
        return;
      case DW_LNS.set_isa:
        return reader.skipLeb();
      default:
        for (let operands = header.standardOpcodeLengths[opcode] ?? 0; operands > 0; operands--)
          reader.skipLeb();
    }
  }

  /** §6.2.5.3. The length says where the next opcode is, whatever this one's operands are. */
  #extended(): void {
    const { reader } = this;
    const length = reader.uleb();
    if (length === 0) return;
    const start = reader.pos;
    if (length > reader.remaining)
      throw reader.error(`extended opcode of ${length} bytes reaches past its program`);
    switch (reader.u8()) {
      case DW_LNE.end_sequence:
        this.#endSequence();
        break;
      case DW_LNE.set_address:
        this.address = reader.address(length - 1);
        this.#opIndex = 0;
        break;
      case DW_LNE.set_discriminator:
        this.discriminator = reader.uleb();
        if (this.discriminator !== 0) this.hasBlocks = true;
        break;
      // DW_LNE.define_file (before version 5) adds a file in the middle of the program; no producer we know
      // does it.
    }
    reader.pos = start + length;
  }

  #endSequence(): void {
    this.emit(ROW_END_SEQUENCE);
    this.sequenceEnded();
    this.address = 0;
    this.#opIndex = 0;
    this.file = 1;
    this.line = 1;
    this.column = 0;
    this.isStmt = this.header.defaultIsStmt;
    this.discriminator = 0;
    this.hasBlocks = false;
  }

  #advanceLine(lines: number): void {
    this.line = (this.line + lines) >>> 0;
    if (lines !== 0) this.hasBlocks = this.discriminator !== 0;
  }

  #advance(operationAdvance: number): void {
    const { minimumInstructionLength, maximumOperationsPerInstruction: perInstruction } = this.header;
    if (perInstruction <= 1) {
      this.address += minimumInstructionLength * operationAdvance;
      return;
    }
    const operations = this.#opIndex + operationAdvance;
    this.address += minimumInstructionLength * Math.floor(operations / perInstruction);
    this.#opIndex = operations % perInstruction;
  }
}

class RowMachine extends LineMachine {
  readonly #sequences: Sequence[] = [];
  #capacity: number;
  #count = 0;
  #addresses: Float64Array;
  #files: Uint32Array;
  #lines: Uint32Array;
  #columns: Uint16Array;
  #flags: Uint8Array;
  #sequenceFirst = 0;
  /** Of the last row that had a line and counts: see isAside. */
  #lastFile = -1;
  #lastLine = -1;
  /** Where the last row was, and whether a statement begins there. */
  #lastAddress = NaN;
  #hasStatement = false;

  constructor(header: LineHeader, reader: Reader) {
    super(header, reader);
    // gcc and clang need about 3 bytes a row.
    this.#capacity = Math.max(16, reader.end >> 2);
    this.#addresses = new Float64Array(this.#capacity);
    this.#files = new Uint32Array(this.#capacity);
    this.#lines = new Uint32Array(this.#capacity);
    this.#columns = new Uint16Array(this.#capacity);
    this.#flags = new Uint8Array(this.#capacity);
  }

  finish(problem: DwarfError | undefined): LineRows {
    // Rows after the last end_sequence have no known end: they are dropped.
    const count = this.#sequenceFirst;
    return {
      count,
      address: new AddressArray(this.#addresses, count),
      file: narrowed(this.#files, count),
      line: narrowed(this.#lines, count),
      column: narrowed(this.#columns, count),
      flags: this.#flags.slice(0, count),
      sequences: this.#sequences.sort((a, b) => a.start - b.start),
      problem,
    };
  }

  protected override emit(extraFlags: number): void {
    if (this.#count === this.#capacity) this.#grow();
    const row = this.#count++;
    this.#addresses[row] = this.address;
    this.#files[row] = this.file;
    this.#lines[row] = this.line;
    this.#columns[row] = Math.min(this.column, 0xffff);
    const continues = this.hasBlocks && this.line === this.#lastLine && this.file === this.#lastFile;
    this.#flags[row] =
      this.rowFlags | extraFlags | (this.isStmt ? ROW_IS_STMT : 0) | (continues ? ROW_CONTINUES : 0);
    this.rowFlags = 0;
    this.discriminator = 0;
    if (this.line !== 0 && !this.#isAside()) {
      this.#lastFile = this.file;
      this.#lastLine = this.line;
    }
    if (this.address !== this.#lastAddress) this.#hasStatement = false;
    this.#lastAddress = this.address;
    if (this.isStmt) this.#hasStatement = true;
  }

  /**
   * A row of another file that is not a statement, where a statement begins: an inlined function's first
   * instruction, named a second time. The row has no code of its own, so what follows does not continue from
   * it (gdb leaves such rows out).
   */
  #isAside(): boolean {
    const isHere = this.address === this.#lastAddress;
    return isHere && this.#hasStatement && !this.isStmt && this.file !== this.#lastFile;
  }

  #grow(): void {
    this.#capacity *= 2;
    this.#addresses = grown(this.#addresses, new Float64Array(this.#capacity));
    this.#files = grown(this.#files, new Uint32Array(this.#capacity));
    this.#lines = grown(this.#lines, new Uint32Array(this.#capacity));
    this.#columns = grown(this.#columns, new Uint16Array(this.#capacity));
    this.#flags = grown(this.#flags, new Uint8Array(this.#capacity));
  }

  protected override sequenceEnded(): void {
    const first = this.#sequenceFirst;
    const last = this.#count - 1;
    const start = this.#addresses[first] as number;
    const end = this.#addresses[last] as number;
    if (end > start && this.#isAscending(first, last)) {
      this.#sequences.push({ start, end, first, last });
    }
    this.#sequenceFirst = this.#count;
    this.#lastFile = -1;
    this.#lastAddress = NaN;
    this.#hasStatement = false;
  }

  /** §6.2.5: addresses only increase within a sequence. A sequence that violates this cannot be searched. */
  #isAscending(first: number, last: number): boolean {
    for (let row = first + 1; row <= last; row++) {
      if ((this.#addresses[row] as number) < (this.#addresses[row - 1] as number)) return false;
    }
    return true;
  }
}

class SpanMachine extends LineMachine {
  readonly spans = new Map<number, { firstLine: number; lastLine: number }>();

  protected override emit(extraFlags: number): void {
    const { line } = this;
    this.rowFlags = 0;
    if (line === 0 || !this.isStmt || (extraFlags & ROW_END_SEQUENCE) !== 0) return;
    const span = this.spans.get(this.file);
    if (span === undefined) this.spans.set(this.file, { firstLine: line, lastLine: line });
    else if (line < span.firstLine) span.firstLine = line;
    else if (line > span.lastLine) span.lastLine = line;
  }

  protected override sequenceEnded(): void {
    // Where rows end does not matter here.
  }
}

function narrowed(from: Uint32Array | Uint16Array, count: number): RowColumn {
  const used = from.subarray(0, count);
  let largest = 0;
  for (const value of used) if (value > largest) largest = value;
  if (largest <= 0xff) return Uint8Array.from(used);
  return largest <= 0xffff ? Uint16Array.from(used) : used.slice();
}

function grown<T extends Float64Array | Uint32Array | Uint16Array | Uint8Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
