/**
 * Registers by name and by DWARF number, and what the ABI says of them. System V ABI of x86-64 Figure 3.36,
 * of i386 Figure 2.14; DWARF for the Arm Architecture §4.1, for AArch64 §4.1; RISC-V DWARF Specification,
 * Table 1.
 */
import { EM_386, EM_AARCH64, EM_ARM, EM_RISCV, EM_X86_64 } from '../../../vmm-core/elf/elfConstants.ts';

export interface MachineRegisters {
  /** Index is the DWARF number. */
  readonly names: readonly string[];
  readonly stackPointer: number;
  readonly framePointer: number;
  /**
   * The caller's program counter; on machines that do not number it, a number that DWARF does not use there.
   */
  readonly programCounter: number;
  readonly wordBytes: 4 | 8;
  /** A call pushes the return address, and functions push the frame pointer below it. */
  readonly pushesReturnAddress: boolean;
}

const X86_64: MachineRegisters = {
  names: [
    ...['rax', 'rdx', 'rcx', 'rbx', 'rsi', 'rdi', 'rbp', 'rsp'],
    ...['r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15', 'rip'],
    ...numbered('xmm', 16),
  ],
  stackPointer: 7,
  framePointer: 6,
  programCounter: 16,
  wordBytes: 8,
  pushesReturnAddress: true,
};

const I386: MachineRegisters = {
  names: ['eax', 'ecx', 'edx', 'ebx', 'esp', 'ebp', 'esi', 'edi', 'eip'],
  stackPointer: 4,
  framePointer: 5,
  programCounter: 8,
  wordBytes: 4,
  pushesReturnAddress: true,
};

const AARCH64: MachineRegisters = {
  names: [...numbered('x', 31), 'sp', 'pc'],
  stackPointer: 31,
  framePointer: 29,
  programCounter: 32,
  wordBytes: 8,
  pushesReturnAddress: false,
};

const ARM: MachineRegisters = {
  names: [...numbered('r', 13), 'sp', 'lr', 'pc'],
  stackPointer: 13,
  framePointer: 11,
  programCounter: 15,
  wordBytes: 4,
  pushesReturnAddress: false,
};

const RISCV: MachineRegisters = {
  names: [
    ...['zero', 'ra', 'sp', 'gp', 'tp', 't0', 't1', 't2', 's0', 's1'],
    ...[...numbered('a', 8), ...numbered('s', 12).slice(2), ...numbered('t', 7).slice(3)],
    ...numbered('f', 32),
    'pc',
  ],
  stackPointer: 2,
  framePointer: 8,
  programCounter: 64,
  wordBytes: 8,
  pushesReturnAddress: false,
};

/** Registers of machines whose names we do not know: enough for types, lines and where variables are. */
const OTHER: MachineRegisters = {
  names: [...numbered('r', 128), 'pc'],
  stackPointer: -1,
  framePointer: -1,
  programCounter: 128,
  wordBytes: 8,
  pushesReturnAddress: false,
};

const MACHINES: ReadonlyMap<number, MachineRegisters> = new Map([
  [EM_X86_64, X86_64],
  [EM_386, I386],
  [EM_AARCH64, AARCH64],
  [EM_ARM, ARM],
  [EM_RISCV, RISCV],
]);

export function machineRegisters(machine: number): MachineRegisters {
  return MACHINES.get(machine) ?? OTHER;
}

function numbered(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}${index}`);
}

/** A register as an expression names it: a part of a full register, which is what can be set. */
export interface NamedRegister {
  readonly value: bigint;
  readonly sizeBytes: number;
  readonly full: string;
  readonly fullValue: bigint;
  readonly offsetBytes: number;
}

/** Whether the machine has a register of that name, known in a frame or not. */
export function isRegisterName(machine: MachineRegisters, name: string): boolean {
  const full = partOf(name)?.full ?? name;
  return (
    Object.hasOwn(aliasesOf(machine), name) || machine.names.includes(name) || machine.names.includes(full)
  );
}

function aliasesOf(machine: MachineRegisters): Readonly<Record<string, number>> {
  return { pc: machine.programCounter, sp: machine.stackPointer, fp: machine.framePointer };
}

/**
 * `rax`, its parts `eax`, `ax`, `al`, `ah`, and gdb's `pc`, `sp`, `fp`. Undefined when the frame lacks it.
 */
export function registerByName(
  machine: MachineRegisters,
  registers: ReadonlyMap<string, bigint>,
  name: string,
): NamedRegister | undefined {
  const alias = aliasesOf(machine)[name];
  const full = alias === undefined ? name : (machine.names[alias] as string);
  const wide = registers.get(full);
  if (wide !== undefined) {
    const sizeBytes = full.startsWith('xmm') ? 16 : machine.wordBytes;
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
  if (name === 'eflags') return { full: 'rflags', sizeBytes: 4, offsetBytes: 0 };
  const word = /^(ax|bx|cx|dx|si|di|bp|sp)$/.exec(name);
  if (word?.[1] !== undefined) return { full: `r${word[1]}`, sizeBytes: 2, offsetBytes: 0 };
  const low = /^([sd]i|[bs]p)l$/.exec(name);
  if (low?.[1] !== undefined) return { full: `r${low[1]}`, sizeBytes: 1, offsetBytes: 0 };
  const byte = /^([abcd])([lh])$/.exec(name);
  if (byte?.[1] !== undefined)
    return { full: `r${byte[1]}x`, sizeBytes: 1, offsetBytes: byte[2] === 'h' ? 1 : 0 };
  return undefined;
}
