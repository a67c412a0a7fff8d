/**
 * ORC, the Linux kernel's own unwind tables for x86-64 (Documentation/arch/x86/orc-unwinder.rst,
 * arch/x86/include/asm/orc_types.h). They cover what has no call frame information: assembler, and the
 * entries of interrupts and exceptions. An entry becomes the same kind of row that call frame information
 * gives, so that the same code applies both (unwind.ts).
 */
import type { CfaRule, FrameRow, RegisterRule } from './cfi.ts';
import { DW_OP } from './operators.ts';
import type { Section } from './section.ts';

/** sp_reg and bp_reg. */
const ORC_REG = {
  UNDEFINED: 0,
  PREV_SP: 1,
  DX: 2,
  DI: 3,
  BP: 4,
  SP: 5,
  R10: 6,
  R13: 7,
  BP_INDIRECT: 8,
  SP_INDIRECT: 9,
} as const;

/**
 * What the return address and the stack pointer are found in; as of Linux 6.4. Before that, CALL was 0 and
 * each of the others one less.
 */
const ORC_TYPE = {
  UNDEFINED: 0,
  END_OF_STACK: 1,
  CALL: 2,
  REGS: 3,
  REGS_PARTIAL: 4,
} as const;

/** DWARF numbers (psABI of x86-64, Figure 3.36). */
const RDX = 1;
const RDI = 5;
const RBP = 6;
const RSP = 7;
const R10 = 10;
const R13 = 13;
const RIP = 16;

/** struct pt_regs: offset of each register by DWARF number. */
const PT_REGS: ReadonlyMap<number, number> = new Map([
  [15, 0x00],
  [14, 0x08],
  [R13, 0x10],
  [12, 0x18],
  [RBP, 0x20],
  [3, 0x28], // rbx
  [11, 0x30],
  [R10, 0x38],
  [9, 0x40],
  [8, 0x48],
  [0, 0x50], // rax
  [2, 0x58], // rcx
  [RDX, 0x60],
  [4, 0x68], // rsi
  [RDI, 0x70],
  [RIP, 0x80],
  [RSP, 0x98],
]);
/** The part of it that the processor pushes: rip, cs, rflags, rsp, ss. */
const IRET_RIP = 0x00;
const IRET_RSP = 0x18;

const ENTRY_BYTES = 6;
const IP_BYTES = 4;
const HEADER_BYTES = 20;

/**
 * How the bits after sp_reg and bp_reg are used; .orc_header has a hash of the kernel's header file since
 * 6.4.
 */
type OrcVersion = 'original' | '6.3' | '6.4';
const HEADER_6_3 = 'db84aed4103b31dd51e017f8f79783ca985c2c51';

export interface OrcSections {
  /** .orc_unwind_ip: the address each entry begins to hold at, relative to the place of the number. */
  readonly ip: Section;
  readonly ipAddress: number;
  /** .orc_unwind */
  readonly entries: Section;
  /** .orc_header */
  readonly header: Section | undefined;
  /** The kernel's build sorts both sections; those of a module are sorted when it is loaded. */
  readonly isSorted: boolean;
}

interface OrcEntry {
  readonly spOffset: number;
  readonly bpOffset: number;
  readonly spReg: number;
  readonly bpReg: number;
  /** ORC_TYPE as of 6.4. */
  readonly type: number;
  readonly isSignal: boolean;
}

export class OrcTable {
  readonly #sections: OrcSections;
  readonly #count: number;
  #version: OrcVersion | undefined;
  /** Of a module: entries in the order of their addresses. */
  #order: { readonly start: Float64Array; readonly entry: Uint32Array } | undefined;

  constructor(sections: OrcSections) {
    this.#sections = sections;
    this.#count = Math.min(
      Math.floor(sections.ip.sizeBytes / IP_BYTES),
      Math.floor(sections.entries.sizeBytes / ENTRY_BYTES),
    );
  }

  /**
   * The rules at an address that is in the image's code; undefined where the tables know none. Throws
   * DwarfError.
   */
  rowAt(address: number): FrameRow | undefined {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#startOf(middle) <= address) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? undefined : rowOf(this.#entry(this.#order?.entry[low - 1] ?? low - 1));
  }

  #startOf(index: number): number {
    if (this.#sections.isSorted) return this.#ip(index);
    return (this.#order ??= this.#sorted()).start[index] as number;
  }

  #ip(index: number): number {
    const { ip, ipAddress } = this.#sections;
    const at = index * IP_BYTES;
    return ipAddress + at + ip.cached(at, IP_BYTES, (reader) => reader.s32());
  }

  #sorted(): { start: Float64Array; entry: Uint32Array } {
    const starts = Float64Array.from({ length: this.#count }, (_, index) => this.#ip(index));
    // Of several at one address the last of the file counts, as in a search of the kernel's stable sort.
    const entry = Uint32Array.from(starts.keys()).sort(
      (a, b) => (starts[a] as number) - (starts[b] as number) || a - b,
    );
    return { start: Float64Array.from(entry, (index) => starts[index] as number), entry };
  }

  #entry(index: number): OrcEntry {
    const version = (this.#version ??= this.#findVersion());
    return this.#sections.entries.cached(index * ENTRY_BYTES, ENTRY_BYTES, (reader) => {
      const [spOffset, bpOffset, bits] = [reader.s16(), reader.s16(), reader.u16()];
      return { spOffset, bpOffset, spReg: bits & 0xf, bpReg: (bits >> 4) & 0xf, ...kindOf(bits, version) };
    });
  }

  /**
   * The header came after 6.3, whose bits it was first made for; an unknown one belongs to a kernel newer
   * than 6.4.
   */
  #findVersion(): OrcVersion {
    const { header } = this.#sections;
    if (header === undefined || header.sizeBytes !== HEADER_BYTES) return this.#guessVersion();
    const bytes = header.reader(0, HEADER_BYTES).bytes;
    const hash = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
    return hash === HEADER_6_3 ? '6.3' : '6.4';
  }

  /**
   * Without a header the entries tell: most of any kernel's or module's are calls, which 6.4 numbers 2 and
   * the others 0; and where the stack ends without a place, 6.3 sets bit 11 and the original bit 10.
   */
  #guessVersion(): OrcVersion {
    const reader = this.#sections.entries.reader(0, this.#count * ENTRY_BYTES);
    let calls = 0;
    let others = 0;
    let hasBit11 = false;
    for (let index = 0; index < this.#count; index++) {
      reader.skip(4);
      const bits = reader.u16();
      if ((bits & 0xff) === 0) hasBit11 ||= (bits & 0x800) !== 0;
      else if (((bits >> 8) & 0x7) === ORC_TYPE.CALL) others++;
      else if (((bits >> 8) & 0x7) === 0) calls++;
    }
    return others > calls ? '6.4' : hasBit11 ? '6.3' : 'original';
  }
}

/** The bits above bp_reg: type:2 end:1, then type:2 signal:1 end:1, then type:3 signal:1. */
function kindOf(bits: number, version: OrcVersion): Pick<OrcEntry, 'type' | 'isSignal'> {
  if (version === '6.4') return { type: (bits >> 8) & 0x7, isSignal: ((bits >> 11) & 1) !== 0 };
  const spReg = bits & 0xf;
  const isEnd = ((bits >> (version === '6.3' ? 11 : 10)) & 1) !== 0;
  if (spReg === ORC_REG.UNDEFINED)
    return { type: isEnd ? ORC_TYPE.END_OF_STACK : ORC_TYPE.UNDEFINED, isSignal: false };
  const type = ((bits >> 8) & 0x3) + ORC_TYPE.CALL;
  // Before 6.3 every frame found through registers was taken to be an interrupted one.
  return { type, isSignal: version === '6.3' ? ((bits >> 10) & 1) !== 0 : type !== ORC_TYPE.CALL };
}

function rowOf(entry: OrcEntry): FrameRow | undefined {
  if (entry.type === ORC_TYPE.END_OF_STACK) {
    const registers = new Map<number, RegisterRule>([[RIP, { kind: 'undefined' }]]);
    return { cfa: registerCfa(RSP, 0), registers, returnAddressRegister: RIP, isSignalFrame: false };
  }
  const cfa = cfaOf(entry);
  const registers = cfa && registersOf(entry);
  if (cfa === undefined || registers === undefined) return undefined;
  return { cfa, registers, returnAddressRegister: RIP, isSignalFrame: entry.isSignal };
}

/** unwind_next_frame(): where the previous stack pointer, or the saved registers, are. */
function cfaOf({ spReg, spOffset }: OrcEntry): CfaRule | undefined {
  switch (spReg) {
    case ORC_REG.SP:
      return registerCfa(RSP, spOffset);
    case ORC_REG.BP:
      return registerCfa(RBP, spOffset);
    case ORC_REG.SP_INDIRECT:
      return {
        kind: 'expression',
        expression: Uint8Array.of(DW_OP.breg0 + RSP, 0, DW_OP.deref, ...plus(spOffset)),
      };
    case ORC_REG.BP_INDIRECT:
      return {
        kind: 'expression',
        expression: Uint8Array.of(DW_OP.breg0 + RBP, 0, ...plus(spOffset), DW_OP.deref),
      };
    case ORC_REG.R10:
      return registerCfa(R10, 0);
    case ORC_REG.R13:
      return registerCfa(R13, 0);
    case ORC_REG.DI:
      return registerCfa(RDI, 0);
    case ORC_REG.DX:
      return registerCfa(RDX, 0);
    default:
      return undefined;
  }
}

function registersOf(entry: OrcEntry): Map<number, RegisterRule> | undefined {
  const registers = new Map<number, RegisterRule>();
  switch (entry.type) {
    case ORC_TYPE.CALL:
      // The tables follow no other registers: a function may have saved and changed them.
      for (const register of PT_REGS.keys()) registers.set(register, { kind: 'undefined' });
      registers.set(RIP, { kind: 'offset', offset: -8 });
      registers.set(RSP, { kind: 'valOffset', offset: 0 });
      registers.set(RBP, { kind: 'sameValue' });
      break;
    case ORC_TYPE.REGS:
      for (const [register, offset] of PT_REGS) registers.set(register, { kind: 'offset', offset });
      break;
    case ORC_TYPE.REGS_PARTIAL:
      // Just entered or about to leave: the other registers still are, or are again, those of the interrupted
      // code.
      registers.set(RIP, { kind: 'offset', offset: IRET_RIP });
      registers.set(RSP, { kind: 'offset', offset: IRET_RSP });
      break;
    default:
      return undefined;
  }
  if (entry.bpReg === ORC_REG.PREV_SP) registers.set(RBP, { kind: 'offset', offset: entry.bpOffset });
  else if (entry.bpReg === ORC_REG.BP)
    registers.set(RBP, {
      kind: 'expression',
      expression: Uint8Array.of(DW_OP.breg0 + RBP, 0, ...plus(entry.bpOffset)),
    });
  return registers;
}

function registerCfa(register: number, offset: number): CfaRule {
  return { kind: 'register', register, offset };
}

/** Operators that add a signed 16-bit number. */
function plus(offset: number): number[] {
  return [DW_OP.const2s, offset & 0xff, (offset >> 8) & 0xff, DW_OP.plus];
}
