/** Registers by name and by DWARF number, and what the ABI says of them. System V ABI of x86-64 Figure 3.36, of i386 Figure 2.14. */
import { EM_386, EM_X86_64 } from '../../vmm-core/elf/elfConstants.ts';

export interface MachineRegisters {
  /** Index is the DWARF number. */
  readonly names: readonly string[];
  readonly stackPointer: number;
  readonly framePointer: number;
  /** The column of the return address: the caller's program counter. */
  readonly programCounter: number;
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
};

const I386: MachineRegisters = {
  names: ['eax', 'ecx', 'edx', 'ebx', 'esp', 'ebp', 'esi', 'edi', 'eip'],
  stackPointer: 4,
  framePointer: 5,
  programCounter: 8,
};

/** Undefined for machines whose frames we do not unwind. */
export function machineRegisters(machine: number): MachineRegisters | undefined {
  if (machine === EM_X86_64) return X86_64;
  if (machine === EM_386) return I386;
  return undefined;
}

/** A register as an expression names it: a part of a full register, which is what can be set. */
export interface NamedRegister {
  readonly value: bigint;
  readonly sizeBytes: number;
  readonly full: string;
  readonly fullValue: bigint;
  readonly offsetBytes: number;
}

/** `rax`, its parts `eax`, `ax`, `al`, `ah`, and gdb's `pc`, `sp`, `fp`. Undefined when the frame does not have it. */
export function registerByName(
  machine: MachineRegisters,
  registers: ReadonlyMap<string, bigint>,
  name: string,
): NamedRegister | undefined {
  const aliases: Readonly<Record<string, number>> = {
    pc: machine.programCounter,
    sp: machine.stackPointer,
    fp: machine.framePointer,
  };
  const alias = aliases[name];
  const full = alias === undefined ? name : (machine.names[alias] as string);
  const wide = registers.get(full);
  if (wide !== undefined) {
    const sizeBytes = full.startsWith('xmm') ? 16 : machine === X86_64 ? 8 : 4;
    return { value: wide, sizeBytes, full, fullValue: wide, offsetBytes: 0 };
  }
  const part = partOf(name);
  const fullValue = part && registers.get(part.full);
  if (part === undefined || fullValue === undefined) return undefined;
  const value = BigInt.asUintN(8 * part.sizeBytes, fullValue >> BigInt(8 * part.offsetBytes));
  return { ...part, value, fullValue };
}

function partOf(name: string): { full: string; sizeBytes: number; offsetBytes: number } | undefined {
  const numbered = /^(r(?:8|9|1[0-5]))([dwb])$/.exec(name);
  if (numbered?.[1] !== undefined) {
    return {
      full: numbered[1],
      sizeBytes: numbered[2] === 'd' ? 4 : numbered[2] === 'w' ? 2 : 1,
      offsetBytes: 0,
    };
  }
  const wide = /^e(ax|bx|cx|dx|si|di|bp|sp|ip)$/.exec(name);
  if (wide?.[1] !== undefined) return { full: `r${wide[1]}`, sizeBytes: 4, offsetBytes: 0 };
  const word = /^(ax|bx|cx|dx|si|di|bp|sp)$/.exec(name);
  if (word?.[1] !== undefined) return { full: `r${word[1]}`, sizeBytes: 2, offsetBytes: 0 };
  const byte = /^([abcd])([lh])$/.exec(name);
  if (byte?.[1] !== undefined)
    return { full: `r${byte[1]}x`, sizeBytes: 1, offsetBytes: byte[2] === 'h' ? 1 : 0 };
  return undefined;
}
