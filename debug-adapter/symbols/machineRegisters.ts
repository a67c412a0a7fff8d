/** Registers by name and by DWARF number, and what the ABI says of them. System V ABI of x86-64 Figure 3.36, of i386 Figure 2.14. */
import { EM_386, EM_X86_64 } from '../../vmm-core/elf/elfConstants.ts';

export interface MachineRegisters {
  /** Index is the DWARF number. */
  readonly names: readonly string[];
  readonly stackPointer: number;
  readonly framePointer: number;
  /** The column of the return address: the caller's program counter. */
  readonly programCounter: number;
  /** Callee-saved: unchanged across a call unless the callee's rules say where they were saved. */
  readonly preserved: ReadonlySet<number>;
}

const X86_64: MachineRegisters = {
  names: [
    ...['rax', 'rdx', 'rcx', 'rbx', 'rsi', 'rdi', 'rbp', 'rsp'],
    ...['r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15', 'rip'],
    ...Array.from({ length: 16 }, (_, index) => `xmm${index}`),
  ],
  stackPointer: 7,
  framePointer: 6,
  programCounter: 16,
  preserved: new Set([3, 6, 12, 13, 14, 15]),
};

const I386: MachineRegisters = {
  names: ['eax', 'ecx', 'edx', 'ebx', 'esp', 'ebp', 'esi', 'edi', 'eip'],
  stackPointer: 4,
  framePointer: 5,
  programCounter: 8,
  preserved: new Set([3, 5, 6, 7]),
};

/** Undefined for machines whose frames we do not unwind. */
export function machineRegisters(machine: number): MachineRegisters | undefined {
  if (machine === EM_X86_64) return X86_64;
  if (machine === EM_386) return I386;
  return undefined;
}
