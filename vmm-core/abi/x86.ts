/**
 * x86-64 architectural constants and the register state that boot protocols produce and KVM consumes.
 * Intel SDM volume 3A §2 (control registers), §3.4 (segment descriptors). Values only, no logic.
 */

// CR0, SDM 3A §2.5
export const CR0_PE = 1n << 0n; // protection enable
export const CR0_MP = 1n << 1n;
export const CR0_EM = 1n << 2n;
export const CR0_TS = 1n << 3n;
export const CR0_ET = 1n << 4n; // hard-wired to 1
export const CR0_NE = 1n << 5n;
export const CR0_WP = 1n << 16n;
export const CR0_AM = 1n << 18n;
export const CR0_NW = 1n << 29n;
export const CR0_CD = 1n << 30n;
export const CR0_PG = 1n << 31n; // paging

// CR4
export const CR4_PSE = 1n << 4n;
export const CR4_PAE = 1n << 5n;
export const CR4_PGE = 1n << 7n;
export const CR4_LA57 = 1n << 12n;

// IA32_EFER
export const EFER_SCE = 1n << 0n;
export const EFER_LME = 1n << 8n; // long mode enable
export const EFER_LMA = 1n << 10n; // long mode active
export const EFER_NXE = 1n << 11n;

// RFLAGS
export const RFLAGS_RESERVED1 = 1n << 1n; // always 1
export const RFLAGS_TF = 1n << 8n;
export const RFLAGS_IF = 1n << 9n;
export const RFLAGS_RF = 1n << 16n;

/** A segment register with its hidden descriptor part, the fields of `struct kvm_segment`. */
export interface Segment {
  readonly selector: number;
  readonly base: bigint;
  /** In bytes; KVM does not scale it by G. */
  readonly limit: number;
  readonly type: number;
  readonly present: boolean;
  readonly dpl: number;
  /** Default operand size 32 (code) or big (stack). */
  readonly db: boolean;
  /** 1 for code and data, 0 for system descriptors. */
  readonly s: boolean;
  /** 64-bit code. */
  readonly l: boolean;
  readonly g: boolean;
  readonly avl: boolean;
  readonly unusable: boolean;
}

/** GDTR or IDTR. */
export interface DescriptorTable {
  readonly base: bigint;
  readonly limit: number;
}

export interface GeneralRegisters {
  readonly rax: bigint;
  readonly rbx: bigint;
  readonly rcx: bigint;
  readonly rdx: bigint;
  readonly rsi: bigint;
  readonly rdi: bigint;
  readonly rsp: bigint;
  readonly rbp: bigint;
  readonly r8: bigint;
  readonly r9: bigint;
  readonly r10: bigint;
  readonly r11: bigint;
  readonly r12: bigint;
  readonly r13: bigint;
  readonly r14: bigint;
  readonly r15: bigint;
  readonly rip: bigint;
  readonly rflags: bigint;
}

export interface SystemRegisters {
  readonly cs: Segment;
  readonly ds: Segment;
  readonly es: Segment;
  readonly fs: Segment;
  readonly gs: Segment;
  readonly ss: Segment;
  readonly tr: Segment;
  readonly ldt: Segment;
  readonly gdt: DescriptorTable;
  readonly idt: DescriptorTable;
  readonly cr0: bigint;
  readonly cr2: bigint;
  readonly cr3: bigint;
  readonly cr4: bigint;
  readonly cr8: bigint;
  readonly efer: bigint;
}
