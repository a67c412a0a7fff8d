/**
 * Call frame information: .debug_frame (DWARF 5 §6.4) and .eh_frame (LSB Core 5 §10.6). Finds the rules that
 * lead from a frame's registers to its caller's; applying them is unwind.ts.
 */
import { DwarfError } from './dwarfError.ts';
import type { EhFrameHeader } from './ehFrameHeader.ts';
import { type PointerBases, readEncodedPointer } from './encodedPointer.ts';
import type { Reader } from './reader.ts';
import type { Section } from './section.ts';
import { DW_CFA, DW_EH_PE, frameInstructionName } from './sectionConstants.ts';

/** How a register of the caller is found (§6.4.1). Registers without a rule are the ABI's business. */
export type RegisterRule =
  | { readonly kind: 'undefined' }
  | { readonly kind: 'sameValue' }
  /** Saved at CFA + offset. */
  | { readonly kind: 'offset'; readonly offset: number }
  /** Is CFA + offset. */
  | { readonly kind: 'valOffset'; readonly offset: number }
  | { readonly kind: 'register'; readonly register: number }
  /** Saved at the address the expression computes, with the CFA on its stack. */
  | { readonly kind: 'expression'; readonly expression: Uint8Array }
  | { readonly kind: 'valExpression'; readonly expression: Uint8Array };

export type CfaRule =
  | { readonly kind: 'register'; readonly register: number; readonly offset: number }
  | { readonly kind: 'expression'; readonly expression: Uint8Array };

export interface FrameRow {
  readonly cfa: CfaRule;
  readonly registers: ReadonlyMap<number, RegisterRule>;
  readonly returnAddressRegister: number;
  /** The frame is a signal's or an interrupt's: its pc is not a return address (augmentation `S`). */
  readonly isSignalFrame: boolean;
}

interface Cie {
  readonly version: number;
  readonly addressSize: number;
  readonly segmentSelectorSize: number;
  readonly codeAlign: number;
  readonly dataAlign: number;
  readonly returnAddressRegister: number;
  readonly pointerEncoding: number;
  readonly isSignalFrame: boolean;
  readonly hasAugmentation: boolean;
  readonly instructions: Reader;
}

interface FrameIndex {
  /** Sorted by start. */
  readonly start: Float64Array;
  readonly end: Float64Array;
  readonly offset: Float64Array;
}

const MAX_REMEMBERED = 64;

export class FrameTable {
  readonly #section: Section;
  readonly #isEhFrame: boolean;
  readonly #addressSize: number;
  readonly #bases: PointerBases;
  #header: EhFrameHeader | undefined;
  readonly #onProblem: (problem: DwarfError) => void;
  readonly #cies = new Map<number, Cie>();
  #index: FrameIndex | undefined;

  constructor(
    section: Section,
    options: {
      readonly isEhFrame: boolean;
      readonly addressSize: number;
      readonly bases: PointerBases;
      /** Finds entries without reading all of them. */
      readonly header?: EhFrameHeader | undefined;
      readonly onProblem: (problem: DwarfError) => void;
    },
  ) {
    this.#section = section;
    this.#isEhFrame = options.isEhFrame;
    this.#addressSize = options.addressSize;
    this.#bases = options.bases;
    this.#header = options.header;
    this.#onProblem = options.onProblem;
  }

  /** The rules at an address, or undefined when no entry covers it. Throws DwarfError. */
  rowAt(address: number): FrameRow | undefined {
    const found = this.#headerEntry(address);
    if (found !== null) return found === undefined ? undefined : this.#evaluate(found, address);
    const { start, end, offset } = (this.#index ??= this.#buildIndex());
    let low = 0;
    let high = start.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((start[middle] as number) <= address) low = middle + 1;
      else high = middle;
    }
    if (low === 0 || address >= (end[low - 1] as number)) return undefined;
    return this.#evaluate(offset[low - 1] as number, address);
  }

  /** The entry that the header's table has for an address, if it covers it; null without a usable table. */
  #headerEntry(address: number): number | undefined | null {
    if (this.#header === undefined) return null;
    try {
      const fdeAddress = this.#header.find(address);
      if (fdeAddress !== null) {
        const offset = fdeAddress === undefined ? undefined : fdeAddress - this.#bases.section;
        if (offset === undefined) return undefined;
        const fde = this.#section.parse(offset, (reader) => this.#readFde(reader, offset));
        if (fde !== undefined) return address >= fde.start && address < fde.end ? offset : undefined;
      }
    } catch (error) {
      if (!(error instanceof DwarfError)) throw error;
      this.#onProblem(error);
    }
    this.#header = undefined; // it leads astray: all entries are read instead
    return null;
  }

  /** One pass over the entries' heads; instructions stay undecoded. */
  #buildIndex(): FrameIndex {
    const entries: { start: number; end: number; offset: number }[] = [];
    try {
      this.#forEachEntry((offset, reader) => {
        const fde = this.#readFde(reader, offset);
        if (fde !== undefined && fde.end > fde.start)
          entries.push({ start: fde.start, end: fde.end, offset });
      });
    } catch (error) {
      if (!(error instanceof DwarfError)) throw error;
      this.#onProblem(error);
    }
    entries.sort((a, b) => a.start - b.start);
    return {
      start: Float64Array.from(entries, (entry) => entry.start),
      end: Float64Array.from(entries, (entry) => entry.end),
      offset: Float64Array.from(entries, (entry) => entry.offset),
    };
  }

  #forEachEntry(visit: (offset: number, entry: Reader) => void): void {
    const reader = this.#section.reader(0, this.#section.sizeBytes);
    while (!reader.atEnd) {
      const offset = reader.offset;
      const { length } = reader.initialLength();
      if (length === 0) {
        if (this.#isEhFrame) break; // the terminator
        continue;
      }
      const next = reader.pos + length;
      if (next > reader.end) throw reader.error('frame entry reaches past its section');
      reader.pos = offset - reader.base;
      const entry = reader.sub(next - reader.pos);
      try {
        visit(offset, entry);
      } catch (error) {
        if (!(error instanceof DwarfError)) throw error;
        this.#onProblem(error); // the length is good: the next entry can still be read
      }
    }
  }

  /** Undefined for a CIE. Leaves the reader at the instructions. */
  #readFde(reader: Reader, offset: number): { cie: Cie; start: number; end: number } | undefined {
    const cieOffset = this.#readCieReference(reader, offset);
    if (cieOffset === undefined) return undefined;
    const cie = this.#cieAt(cieOffset);
    reader.skip(cie.segmentSelectorSize); // segments other than the flat one are ignored elsewhere too
    const start = this.#readPointer(reader, cie, cie.pointerEncoding);
    // The length has the pointer's format but is not a pointer.
    const size = this.#readPointer(reader, cie, cie.pointerEncoding & 0x0f);
    if (start === undefined || size === undefined) return undefined;
    if (cie.hasAugmentation) reader.skip(reader.uleb());
    return { cie, start, end: start + size };
  }

  /** Section offset of the entry's CIE; undefined when it is one. */
  #readCieReference(reader: Reader, entryOffset: number): number | undefined {
    const { length, is64 } = reader.initialLength();
    reader.end = Math.min(reader.end, reader.pos + length);
    const at = reader.offset;
    const id = reader.sectionOffset(is64);
    if (this.#isEhFrame) return id === 0 ? undefined : at - id;
    const cieId = is64 ? 2 ** 64 : 0xffffffff; // 0xffffffffffffffff rounds up to 2^64
    if (id === cieId) return undefined;
    if (id === entryOffset) throw reader.error('frame entry is its own CIE');
    return id;
  }

  #cieAt(offset: number): Cie {
    let cie = this.#cies.get(offset);
    if (cie === undefined) {
      cie = this.#section.parse(offset, (reader) => this.#readCie(reader), 256);
      this.#cies.set(offset, cie);
    }
    return cie;
  }

  #readCie(reader: Reader): Cie {
    const { length, is64 } = reader.initialLength();
    const end = reader.pos + length;
    if (reader.base + end > this.#section.sizeBytes) throw reader.error('CIE reaches past its section');
    reader.skip(is64 ? 8 : 4);
    const version = reader.u8();
    if (version !== 1 && version !== 3 && version !== 4)
      throw reader.error(`unsupported CIE version: ${version}`);
    const augmentation = reader.cstring();
    let addressSize = this.#addressSize;
    let segmentSelectorSize = 0;
    if (version === 4) {
      addressSize = reader.u8();
      segmentSelectorSize = reader.u8();
    }
    if (augmentation.startsWith('eh')) reader.skip(addressSize); // very old gcc: a pointer to exception tables
    const codeAlign = reader.uleb();
    const dataAlign = reader.sleb();
    const returnAddressRegister = version === 1 ? reader.u8() : reader.uleb();
    const details = this.#readAugmentation(reader, augmentation);
    const instructions = reader.sub(end - reader.pos);
    return {
      version,
      addressSize,
      segmentSelectorSize,
      codeAlign,
      dataAlign,
      returnAddressRegister,
      ...details,
      instructions,
    };
  }

  #readAugmentation(
    reader: Reader,
    augmentation: string,
  ): Pick<Cie, 'pointerEncoding' | 'isSignalFrame' | 'hasAugmentation'> {
    let pointerEncoding: number = DW_EH_PE.absptr;
    let isSignalFrame = false;
    if (!augmentation.startsWith('z')) {
      return { pointerEncoding, isSignalFrame: augmentation.includes('S'), hasAugmentation: false };
    }
    const lengthBytes = reader.uleb();
    const start = reader.pos;
    for (const letter of augmentation.slice(1)) {
      if (letter === 'R') pointerEncoding = reader.u8();
      else if (letter === 'L') reader.skip(1);
      else if (letter === 'P') this.#skipPointer(reader, reader.u8());
      else if (letter === 'S') isSignalFrame = true;
      else if (letter !== 'B' && letter !== 'G') break; // the length lets us pass over what we do not know
    }
    reader.pos = start;
    reader.skip(lengthBytes);
    return { pointerEncoding, isSignalFrame, hasAugmentation: true };
  }

  #skipPointer(reader: Reader, encoding: number): void {
    if (encoding !== DW_EH_PE.omit) this.#readEncoded(reader, encoding, this.#addressSize);
  }

  #readPointer(reader: Reader, cie: Cie, encoding: number): number | undefined {
    if (encoding === DW_EH_PE.omit) return undefined;
    return this.#readEncoded(reader, encoding, cie.addressSize);
  }

  #readEncoded(reader: Reader, encoding: number, addressSize: number): number {
    return readEncodedPointer(reader, encoding, addressSize, this.#bases);
  }

  #evaluate(offset: number, address: number): FrameRow {
    return this.#section.parse(offset, (reader) => {
      const fde = this.#readFde(reader, offset);
      if (fde === undefined) throw reader.error('frame entry became a CIE');
      const program = new FrameProgram(fde.cie, fde.start, address, (at, encoding) =>
        this.#readEncoded(at, encoding, fde.cie.addressSize),
      );
      return program.run(reader);
    });
  }
}

interface Rules {
  cfa: CfaRule | undefined;
  registers: Map<number, RegisterRule>;
}

/** Runs the instructions of a CIE and an FDE up to an address (§6.4.3). */
class FrameProgram {
  readonly #cie: Cie;
  readonly #target: number;
  readonly #readEncoded: (reader: Reader, encoding: number) => number;
  #location: number;
  #rules: Rules = { cfa: undefined, registers: new Map() };
  #initial: ReadonlyMap<number, RegisterRule> = new Map();
  readonly #remembered: Rules[] = [];

  constructor(
    cie: Cie,
    start: number,
    target: number,
    readEncoded: (reader: Reader, encoding: number) => number,
  ) {
    this.#cie = cie;
    this.#location = start;
    this.#target = target;
    this.#readEncoded = readEncoded;
  }

  run(instructions: Reader): FrameRow {
    const cie = this.#cie;
    const first = cie.instructions;
    first.pos = 0;
    this.#execute(first);
    this.#initial = new Map(this.#rules.registers);
    this.#execute(instructions);
    const { cfa, registers } = this.#rules;
    if (cfa === undefined) throw instructions.error('frame entry defines no CFA');
    const { returnAddressRegister, isSignalFrame } = cie;
    return { cfa, registers, returnAddressRegister, isSignalFrame };
  }

  #execute(reader: Reader): void {
    while (!reader.atEnd) {
      const opcode = reader.u8();
      const operand = opcode & 0x3f;
      switch (opcode & 0xc0) {
        case DW_CFA.advance_loc:
          if (this.#advance(operand)) return;
          break;
        case DW_CFA.offset:
          this.#set(operand, { kind: 'offset', offset: reader.uleb() * this.#cie.dataAlign });
          break;
        case DW_CFA.restore:
          this.#restore(operand);
          break;
        default:
          if (this.#extended(reader, opcode)) return;
      }
    }
  }

  /** True once the target is passed: the rules before it are the ones. */
  #extended(reader: Reader, opcode: number): boolean {
    const { dataAlign } = this.#cie;
    switch (opcode) {
      case DW_CFA.nop:
        return false;
      case DW_CFA.set_loc: {
        const location = this.#readEncoded(reader, this.#cie.pointerEncoding);
        if (location > this.#target) return true;
        this.#location = location;
        return false;
      }
      case DW_CFA.advance_loc1:
        return this.#advance(reader.u8());
      case DW_CFA.advance_loc2:
        return this.#advance(reader.u16());
      case DW_CFA.advance_loc4:
        return this.#advance(reader.u32());
      case DW_CFA.MIPS_advance_loc8:
        return this.#advance(reader.u64Number());
      case DW_CFA.offset_extended:
        return this.#set(reader.uleb(), { kind: 'offset', offset: reader.uleb() * dataAlign });
      case DW_CFA.offset_extended_sf:
        return this.#set(reader.uleb(), { kind: 'offset', offset: reader.sleb() * dataAlign });
      case DW_CFA.GNU_negative_offset_extended:
        return this.#set(reader.uleb(), { kind: 'offset', offset: -reader.uleb() * dataAlign });
      case DW_CFA.val_offset:
        return this.#set(reader.uleb(), { kind: 'valOffset', offset: reader.uleb() * dataAlign });
      case DW_CFA.val_offset_sf:
        return this.#set(reader.uleb(), { kind: 'valOffset', offset: reader.sleb() * dataAlign });
      case DW_CFA.restore_extended:
        this.#restore(reader.uleb());
        return false;
      case DW_CFA.undefined:
        return this.#set(reader.uleb(), { kind: 'undefined' });
      case DW_CFA.same_value:
        return this.#set(reader.uleb(), { kind: 'sameValue' });
      case DW_CFA.register:
        return this.#set(reader.uleb(), { kind: 'register', register: reader.uleb() });
      case DW_CFA.expression:
        return this.#set(reader.uleb(), { kind: 'expression', expression: reader.block(reader.uleb()) });
      case DW_CFA.val_expression:
        return this.#set(reader.uleb(), { kind: 'valExpression', expression: reader.block(reader.uleb()) });
      case DW_CFA.remember_state:
        if (this.#remembered.length >= MAX_REMEMBERED) throw reader.error('frame state remembered too often');
        this.#remembered.push({ cfa: this.#rules.cfa, registers: new Map(this.#rules.registers) });
        return false;
      case DW_CFA.restore_state: {
        const state = this.#remembered.pop();
        if (state === undefined) throw reader.error('frame state restored but never remembered');
        this.#rules = state;
        return false;
      }
      case DW_CFA.GNU_args_size:
        reader.skipLeb();
        return false;
      case DW_CFA.GNU_window_save:
        return false; // AArch64: toggles the signing of return addresses; nothing for us to undo
      default:
        return this.#defineCfa(reader, opcode);
    }
  }

  #defineCfa(reader: Reader, opcode: number): boolean {
    const { dataAlign } = this.#cie;
    switch (opcode) {
      case DW_CFA.def_cfa:
        this.#rules.cfa = { kind: 'register', register: reader.uleb(), offset: reader.uleb() };
        return false;
      case DW_CFA.def_cfa_sf:
        this.#rules.cfa = { kind: 'register', register: reader.uleb(), offset: reader.sleb() * dataAlign };
        return false;
      case DW_CFA.def_cfa_register:
        this.#rules.cfa = { ...this.#registerCfa(reader), register: reader.uleb() };
        return false;
      case DW_CFA.def_cfa_offset:
        this.#rules.cfa = { ...this.#registerCfa(reader), offset: reader.uleb() };
        return false;
      case DW_CFA.def_cfa_offset_sf:
        this.#rules.cfa = { ...this.#registerCfa(reader), offset: reader.sleb() * dataAlign };
        return false;
      case DW_CFA.def_cfa_expression:
        this.#rules.cfa = { kind: 'expression', expression: reader.block(reader.uleb()) };
        return false;
      default:
        throw reader.error(`unsupported frame instruction: ${frameInstructionName(opcode)}`);
    }
  }

  #registerCfa(reader: Reader): { kind: 'register'; register: number; offset: number } {
    const { cfa } = this.#rules;
    if (cfa?.kind === 'expression') throw reader.error('CFA is not a register and offset to change');
    return cfa ?? { kind: 'register', register: 0, offset: 0 }; // MIPS compilers leave out an offset of 0
  }

  #advance(delta: number): boolean {
    const location = this.#location + delta * this.#cie.codeAlign;
    if (location > this.#target) return true;
    this.#location = location;
    return false;
  }

  #set(register: number, rule: RegisterRule): false {
    this.#rules.registers.set(register, rule);
    return false;
  }

  #restore(register: number): void {
    const rule = this.#initial.get(register);
    if (rule === undefined) this.#rules.registers.delete(register);
    else this.#rules.registers.set(register, rule);
  }
}
