/**
 * How registers are named, grouped and decoded for people. The bits are spelled as in the Intel SDM, volume
 * 3, chapter 2 (control registers), volume 1, §3.4.3 (EFLAGS).
 */
import type { CpuMode, CpuRegisters, SegmentValue } from '../../vmm-core/protocol/registers.ts';

export interface BitField {
  readonly name: string;
  readonly bit: number;
  readonly widthBits: number;
}

function flag(name: string, bit: number): BitField {
  return { name, bit, widthBits: 1 };
}

// RFLAGS, SDM vol. 1 §3.4.3, figure 3-8.
export const RFLAGS_BITS: readonly BitField[] = [
  flag('CF', 0),
  flag('PF', 2),
  flag('AF', 4),
  flag('ZF', 6),
  flag('SF', 7),
  flag('TF', 8),
  flag('IF', 9),
  flag('DF', 10),
  flag('OF', 11),
  { name: 'IOPL', bit: 12, widthBits: 2 },
  flag('NT', 14),
  flag('RF', 16),
  flag('VM', 17),
  flag('AC', 18),
  flag('VIF', 19),
  flag('VIP', 20),
  flag('ID', 21),
];

// SDM vol. 3 §2.5.
const CR0_BITS: readonly BitField[] = [
  flag('PE', 0),
  flag('MP', 1),
  flag('EM', 2),
  flag('TS', 3),
  flag('ET', 4),
  flag('NE', 5),
  flag('WP', 16),
  flag('AM', 18),
  flag('NW', 29),
  flag('CD', 30),
  flag('PG', 31),
];

const CR4_BITS: readonly BitField[] = [
  flag('VME', 0),
  flag('PVI', 1),
  flag('TSD', 2),
  flag('DE', 3),
  flag('PSE', 4),
  flag('PAE', 5),
  flag('MCE', 6),
  flag('PGE', 7),
  flag('PCE', 8),
  flag('OSFXSR', 9),
  flag('OSXMMEXCPT', 10),
  flag('UMIP', 11),
  flag('LA57', 12),
  flag('VMXE', 13),
  flag('SMXE', 14),
  flag('FSGSBASE', 16),
  flag('PCIDE', 17),
  flag('OSXSAVE', 18),
  flag('KL', 19),
  flag('SMEP', 20),
  flag('SMAP', 21),
  flag('PKE', 22),
  flag('CET', 23),
  flag('PKS', 24),
];

// SDM vol. 3 §2.2.1; SVME, LMSLE, FFXSR, TCE: AMD APM vol. 2 §3.1.7.
const EFER_BITS: readonly BitField[] = [
  flag('SCE', 0),
  flag('LME', 8),
  flag('LMA', 10),
  flag('NXE', 11),
  flag('SVME', 12),
  flag('LMSLE', 13),
  flag('FFXSR', 14),
  flag('TCE', 15),
];

const DECODED: Readonly<Record<string, readonly BitField[]>> = {
  rflags: RFLAGS_BITS,
  cr0: CR0_BITS,
  cr4: CR4_BITS,
  efer: EFER_BITS,
};

export const REGISTER_GROUPS = ['General', 'Segment', 'Control', 'Flags'] as const;
export type RegisterGroup = (typeof REGISTER_GROUPS)[number];

/** One row in the variables pane. */
export interface RegisterRow {
  /** As shown, and as `$name` in expressions. */
  readonly name: string;
  /** In CpuRegisters.values. */
  readonly key: string;
  readonly widthBits: number;
  /** Where the register holds an address of the guest. */
  readonly pointsTo?: 'linear' | 'physical';
}

const LEGACY_NAMES = ['ax', 'bx', 'cx', 'dx', 'si', 'di', 'bp', 'sp'] as const;
const LONG_NAMES = ['r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15'] as const;

/** General registers by their names in the vCPU's mode: rax … r15 in 64-bit code, eax … elsewhere. */
export function generalRows(mode: CpuMode): RegisterRow[] {
  if (mode === 'long64') {
    const keys = [...LEGACY_NAMES.map((it) => `r${it}`), ...LONG_NAMES, 'rip', 'rflags'];
    return keys.map((key) => row(key, key, 64));
  }
  return [...LEGACY_NAMES, 'ip', 'flags'].map((it) => row(`e${it}`, `r${it}`, 32));
}

function row(name: string, key: string, widthBits: number): RegisterRow {
  return key === 'rflags' ? { name, key, widthBits } : { name, key, widthBits, pointsTo: 'linear' };
}

export function controlRows(mode: CpuMode): RegisterRow[] {
  const widthBits = mode === 'long64' ? 64 : 32;
  return [
    { name: 'cr0', key: 'cr0', widthBits },
    { name: 'cr2', key: 'cr2', widthBits, pointsTo: 'linear' },
    { name: 'cr3', key: 'cr3', widthBits, pointsTo: 'physical' },
    { name: 'cr4', key: 'cr4', widthBits },
    { name: 'cr8', key: 'cr8', widthBits: 4 },
    { name: 'efer', key: 'efer', widthBits: 64 },
  ];
}

export const SEGMENT_NAMES = ['cs', 'ds', 'es', 'fs', 'gs', 'ss', 'tr', 'ldt'] as const;

/** The bases and table registers shown below the segments. */
export const TABLE_ROWS: readonly RegisterRow[] = [
  { name: 'fs_base', key: 'fs_base', widthBits: 64, pointsTo: 'linear' },
  { name: 'gs_base', key: 'gs_base', widthBits: 64, pointsTo: 'linear' },
  { name: 'gdt_base', key: 'gdt_base', widthBits: 64, pointsTo: 'linear' },
  { name: 'gdt_limit', key: 'gdt_limit', widthBits: 16 },
  { name: 'idt_base', key: 'idt_base', widthBits: 64, pointsTo: 'linear' },
  { name: 'idt_limit', key: 'idt_limit', widthBits: 16 },
];

/** `0x…` padded to the register's width, so that values line up and changes stand out. */
export function formatRegister(value: bigint, widthBits: number): string {
  return `0x${BigInt.asUintN(widthBits, value)
    .toString(16)
    .padStart(Math.ceil(widthBits / 4), '0')}`;
}

/**
 * ` [PG WP PE]` for the registers made of bits, nothing for the others. Highest bit first, as the manuals
 * draw them.
 */
export function decodeBits(key: string, value: bigint): string {
  const fields = Object.hasOwn(DECODED, key) ? DECODED[key] : undefined;
  if (fields === undefined) return '';
  const names = fields.flatMap((field) => {
    const bits = fieldValue(value, field);
    if (bits === 0n) return [];
    return field.widthBits === 1 ? [field.name] : [`${field.name}=${bits}`];
  });
  return ` [${names.reverse().join(' ')}]`;
}

export function fieldValue(value: bigint, field: BitField): bigint {
  return (value >> BigInt(field.bit)) & ((1n << BigInt(field.widthBits)) - 1n);
}

export function withField(value: bigint, field: BitField, bits: bigint): bigint {
  const mask = ((1n << BigInt(field.widthBits)) - 1n) << BigInt(field.bit);
  return (value & ~mask) | (bits << BigInt(field.bit));
}

// Code and data segment types, SDM vol. 3 §3.4.5.1, table 3-1: bit 3 code, bit 2 conforming/expand-down, bit
// 1 read/write.
const TYPE_CODE = 1 << 3;
const TYPE_EXPAND_DOWN = 1 << 2;
const TYPE_READ_WRITE = 1 << 1;
const SYSTEM_TYPES: Readonly<Record<number, string>> = {
  2: 'LDT',
  3: 'TSS16 busy',
  9: 'TSS',
  11: 'TSS busy',
};

/** `0x0008 base 0x0 limit 0xffffffff code64 DPL0`. */
export function formatSegment(segment: SegmentValue): string {
  const selector = formatRegister(BigInt(segment.selector), 16);
  if (segment.unusable) return `${selector} unusable`;
  const notes = [segmentType(segment), `DPL${segment.dpl}`, ...(segment.present ? [] : ['not present'])];
  return `${selector} base ${segment.base} limit ${segment.limit} ${notes.join(' ')}`;
}

function segmentType(segment: SegmentValue): string {
  if (!segment.s) return SYSTEM_TYPES[segment.type] ?? `system type ${segment.type}`;
  const width = segment.l ? 64 : segment.db ? 32 : 16;
  if ((segment.type & TYPE_CODE) !== 0) return `code${width}`;
  const direction = (segment.type & TYPE_EXPAND_DOWN) !== 0 ? ' expand-down' : '';
  return `data${(segment.type & TYPE_READ_WRITE) !== 0 ? '' : ' read-only'}${direction}`;
}

/** Width of code and of a pointer in it, in bits. */
export function codeBits(mode: CpuMode): 16 | 32 | 64 {
  switch (mode) {
    case 'real':
    case 'vm86':
    case 'protected16':
    case 'long16':
      return 16;
    case 'protected32':
    case 'long32':
      return 32;
    case 'long64':
      return 64;
  }
}

/** What is added to RIP to give a linear address: CS base, which 64-bit code ignores (SDM vol. 3 §3.4.4). */
export function codeBase(registers: CpuRegisters): bigint {
  return registers.mode === 'long64' ? 0n : BigInt(registers.segments.cs?.base ?? 0);
}

export function stackBase(registers: CpuRegisters): bigint {
  return registers.mode === 'long64' ? 0n : BigInt(registers.segments.ss?.base ?? 0);
}

export function registerValue(registers: CpuRegisters, key: string): bigint {
  return BigInt(registers.values[key] ?? 0);
}

export function linearPc(registers: CpuRegisters): bigint {
  return linear(codeBase(registers), registerValue(registers, 'rip'), registers.mode);
}

export function linearSp(registers: CpuRegisters): bigint {
  const ss = registers.segments.ss;
  const wide = registers.mode === 'long64' || ss?.db === true;
  const sp = registerValue(registers, 'rsp');
  return linear(stackBase(registers), wide ? sp : BigInt.asUintN(16, sp), registers.mode);
}

function linear(base: bigint, offset: bigint, mode: CpuMode): bigint {
  return BigInt.asUintN(mode === 'long64' ? 64 : 32, base + offset);
}

/** A part of a general register: `eax` is the low 32 bits of rax, `ah` bits 8 to 15. */
export interface RegisterAlias {
  readonly key: string;
  readonly shift: number;
  readonly widthBits: number;
}

const ALIASES = buildAliases();

/** Resolves a name an expression may use, lower case: whole registers, parts of them, `pc`, `sp`. */
export function registerAlias(name: string): RegisterAlias | undefined {
  return ALIASES.get(name);
}

function buildAliases(): ReadonlyMap<string, RegisterAlias> {
  const aliases = new Map<string, RegisterAlias>();
  const add = (name: string, key: string, widthBits: number, shift = 0): void => {
    aliases.set(name, { key, widthBits, shift });
  };
  for (const name of [...LEGACY_NAMES, 'ip', 'flags']) {
    add(`r${name}`, `r${name}`, 64);
    add(`e${name}`, `r${name}`, 32);
    add(name, `r${name}`, 16);
  }
  for (const name of LONG_NAMES) {
    add(name, name, 64);
    add(`${name}d`, name, 32);
    add(`${name}w`, name, 16);
    add(`${name}b`, name, 8);
  }
  for (const letter of ['a', 'b', 'c', 'd']) {
    add(`${letter}l`, `r${letter}x`, 8);
    add(`${letter}h`, `r${letter}x`, 8, 8);
  }
  for (const name of ['si', 'di', 'bp', 'sp']) add(`${name}l`, `r${name}`, 8);
  for (const { name, key } of [...controlRows('long64'), ...TABLE_ROWS]) add(name, key, 64);
  return aliases;
}
