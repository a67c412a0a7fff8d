/** Registers of a vCPU. */
import { RequestType } from 'vscode-jsonrpc';
import type { Hex } from './hex.ts';

/** A segment register as shown to users. */
export interface SegmentValue {
  readonly selector: number;
  readonly base: Hex;
  readonly limit: Hex;
  readonly type: number;
  readonly dpl: number;
  readonly present: boolean;
  readonly s: boolean;
  readonly l: boolean;
  readonly db: boolean;
  readonly g: boolean;
  readonly avl: boolean;
  readonly unusable: boolean;
}

/** How the vCPU executes now, from CR0, EFER, RFLAGS.VM and CS. */
export type CpuMode = 'real' | 'vm86' | 'protected16' | 'protected32' | 'long16' | 'long32' | 'long64';

export interface CpuRegisters {
  readonly cpu: number;
  readonly mode: CpuMode;
  readonly cpl: number;
  /** False while the vCPU waits for INIT/SIPI or is halted. */
  readonly runnable: boolean;
  /**
   * rax rbx rcx rdx rsi rdi rsp rbp r8..r15 rip rflags, cr0 cr2 cr3 cr4 cr8 efer, fs_base gs_base, gdt_base
   * gdt_limit idt_base idt_limit.
   */
  readonly values: Readonly<Record<string, Hex>>;
  /** cs ds es fs gs ss tr ldt. */
  readonly segments: Readonly<Record<string, SegmentValue>>;
}

/** Only while paused. */
export const readRegisters = new RequestType<{ readonly cpu: number }, CpuRegisters, void>(
  'debug/readRegisters',
);

/**
 * Sets registers by the names in CpuRegisters.values, or a selector by segment name (`cs`, …: in protected
 * and long mode the descriptor is loaded from the guest's GDT/LDT, in real mode base = selector << 4).
 * Unknown names and values that do not fit or that KVM refuses are User errors and change nothing.
 */
export const writeRegisters = new RequestType<
  { readonly cpu: number; readonly values: Readonly<Record<string, Hex>> },
  CpuRegisters,
  void
>('debug/writeRegisters');
