/**
 * A CPU that runs what gcc -O0 makes of test/dap/fixtures: 64-bit integer code with one flat address space.
 * An instruction it does not know is a machine error, as on a host whose emulator lacks it.
 */
import { Code, Decoder, DecoderOptions, type Instruction, Mnemonic, OpKind, Register } from 'iced-x86';

export const FLAG_CF = 1n << 0n;
export const FLAG_ZF = 1n << 6n;
export const FLAG_SF = 1n << 7n;
export const FLAG_OF = 1n << 11n;

const NAMES = [
  'rax',
  'rcx',
  'rdx',
  'rbx',
  'rsp',
  'rbp',
  'rsi',
  'rdi',
  'r8',
  'r9',
  'r10',
  'r11',
  'r12',
  'r13',
  'r14',
  'r15',
];

/** Flat memory from address 0. */
export class FakeMemory {
  readonly bytes: Uint8Array;

  constructor(sizeBytes: number) {
    this.bytes = new Uint8Array(sizeBytes);
  }

  /** The part of the range that exists. */
  read(address: bigint, lengthBytes: number): Uint8Array {
    if (address >= BigInt(this.bytes.length)) return new Uint8Array();
    return this.bytes.slice(Number(address), Number(address) + lengthBytes);
  }

  load(address: bigint, lengthBytes: number): bigint {
    const bytes = this.read(address, lengthBytes);
    if (bytes.length < lengthBytes) throw new Error(`no memory at 0x${address.toString(16)}`);
    return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
  }

  store(address: bigint, lengthBytes: number, value: bigint): void {
    if (address + BigInt(lengthBytes) > BigInt(this.bytes.length))
      throw new Error(`no memory at 0x${address.toString(16)}`);
    for (let i = 0; i < lengthBytes; i++)
      this.bytes[Number(address) + i] = Number((value >> BigInt(8 * i)) & 0xffn);
  }
}

export type Outcome = 'ran' | 'halted';

export class FakeCpu {
  /** By the names of CpuRegisters.values; rip and rflags included. */
  readonly registers: Record<string, bigint>;
  readonly #memory: FakeMemory;

  constructor(memory: FakeMemory, rip: bigint) {
    this.#memory = memory;
    this.registers = Object.fromEntries([...NAMES, 'rip'].map((it) => [it, 0n]));
    this.registers.rip = rip;
    this.registers.rflags = 2n;
  }

  get rip(): bigint {
    return this.registers.rip ?? 0n;
  }

  /** The instruction at RIP is a call that returns to the instruction after it. */
  returnOfCall(): bigint | undefined {
    const instruction = this.#fetch();
    return instruction.isCallNear || instruction.isCallNearIndirect
      ? this.rip + BigInt(instruction.length)
      : undefined;
  }

  /** One instruction. Throws for what it does not know. */
  step(): Outcome {
    const instruction = this.#fetch();
    const next = this.rip + BigInt(instruction.length);
    if (instruction.mnemonic === Mnemonic.Hlt) return 'halted';
    this.registers.rip = next;
    this.#execute(instruction);
    return 'ran';
  }

  #fetch(): Instruction {
    const decoder = new Decoder(64, this.#memory.read(this.rip, 15), DecoderOptions.None);
    decoder.ip = this.rip;
    const instruction = decoder.decode();
    decoder.free();
    if (instruction.code === Code.INVALID) throw new Error(`no instruction at 0x${this.rip.toString(16)}`);
    return instruction;
  }

  #execute(it: Instruction): void {
    switch (it.mnemonic) {
      case Mnemonic.Push:
        return this.#push(this.#operand(it, 0));
      case Mnemonic.Pop:
        return this.#setOperand(it, 0, this.#pop());
      case Mnemonic.Mov:
        return this.#setOperand(it, 0, this.#operand(it, 1));
      case Mnemonic.Lea:
        return this.#setOperand(it, 0, this.#address(it));
      case Mnemonic.Add:
        return this.#setOperand(it, 0, this.#flags(this.#operand(it, 0) + this.#operand(it, 1), size(it)));
      case Mnemonic.Sub:
        return this.#setOperand(it, 0, this.#compare(it));
      case Mnemonic.Cmp:
        return void this.#compare(it);
      case Mnemonic.Xor:
        return this.#setOperand(it, 0, this.#flags(this.#operand(it, 0) ^ this.#operand(it, 1), size(it)));
      case Mnemonic.Imul:
        return this.#setOperand(it, 0, this.#operand(it, 0) * this.#operand(it, 1));
      case Mnemonic.Leave:
        this.registers.rsp = this.#get('rbp');
        this.registers.rbp = this.#pop();
        return;
      case Mnemonic.Call:
        this.#push(this.rip);
        this.registers.rip = it.nearBranchTarget;
        return;
      case Mnemonic.Ret:
        this.registers.rip = this.#pop();
        return;
      case Mnemonic.Jmp:
        this.registers.rip = it.nearBranchTarget;
        return;
      case Mnemonic.Jg:
        return this.#jumpIf(it, !this.#flag(FLAG_ZF) && this.#flag(FLAG_SF) === this.#flag(FLAG_OF));
      case Mnemonic.Jle:
        return this.#jumpIf(it, this.#flag(FLAG_ZF) || this.#flag(FLAG_SF) !== this.#flag(FLAG_OF));
      case Mnemonic.Nop:
        return;
      default:
        throw new Error(`the fake CPU has no ${Mnemonic[it.mnemonic]}`);
    }
  }

  #jumpIf(it: Instruction, taken: boolean): void {
    if (taken) this.registers.rip = it.nearBranchTarget;
  }

  #flag(mask: bigint): boolean {
    return (this.#get('rflags') & mask) !== 0n;
  }

  #compare(it: Instruction): bigint {
    const bits = size(it) * 8;
    const left = BigInt.asIntN(bits, this.#operand(it, 0));
    const right = BigInt.asIntN(bits, this.#operand(it, 1));
    const difference = left - right;
    const result = this.#flags(difference, size(it));
    if (BigInt.asIntN(bits, difference) !== difference) this.registers.rflags = this.#get('rflags') | FLAG_OF;
    if (BigInt.asUintN(bits, left) < BigInt.asUintN(bits, right))
      this.registers.rflags = this.#get('rflags') | FLAG_CF;
    return result;
  }

  /** ZF and SF of a result; CF and OF cleared. */
  #flags(value: bigint, lengthBytes: number): bigint {
    const bits = lengthBytes * 8;
    const result = BigInt.asUintN(bits, value);
    let flags = this.#get('rflags') & ~(FLAG_CF | FLAG_ZF | FLAG_SF | FLAG_OF);
    if (result === 0n) flags |= FLAG_ZF;
    if (BigInt.asIntN(bits, value) < 0n) flags |= FLAG_SF;
    this.registers.rflags = flags;
    return result;
  }

  #push(value: bigint): void {
    this.registers.rsp = this.#get('rsp') - 8n;
    this.#memory.store(this.#get('rsp'), 8, value);
  }

  #pop(): bigint {
    const value = this.#memory.load(this.#get('rsp'), 8);
    this.registers.rsp = this.#get('rsp') + 8n;
    return value;
  }

  #get(name: string): bigint {
    return this.registers[name] ?? 0n;
  }

  #operand(it: Instruction, index: number): bigint {
    switch (it.opKind(index)) {
      case OpKind.Register:
        return BigInt.asUintN(
          registerBits(it.opRegister(index)),
          this.#get(registerName(it.opRegister(index))),
        );
      case OpKind.Memory:
        return this.#memory.load(this.#address(it), size(it));
      default:
        return BigInt.asUintN(64, it.immediate(index));
    }
  }

  #setOperand(it: Instruction, index: number, value: bigint): void {
    if (it.opKind(index) === OpKind.Memory) return this.#memory.store(this.#address(it), size(it), value);
    const register = it.opRegister(index);
    this.registers[registerName(register)] = BigInt.asUintN(registerBits(register), value);
  }

  #address(it: Instruction): bigint {
    if (it.isIpRelMemoryOperand) return it.ipRelMemoryAddress;
    const base = it.memoryBase === Register.None ? 0n : this.#get(registerName(it.memoryBase));
    const index = it.memoryIndex === Register.None ? 0n : this.#get(registerName(it.memoryIndex));
    return BigInt.asUintN(64, base + index * BigInt(it.memoryIndexScale) + it.memoryDisplacement);
  }
}

/**
 * Operand size: that of the first register, or else of the memory operand (mov $imm, mem in the fixtures is
 * 4 bytes).
 */
function size(it: Instruction): number {
  for (let i = 0; i < it.opCount; i++) {
    if (it.opKind(i) === OpKind.Register) return registerBits(it.opRegister(i)) / 8;
  }
  return 4;
}

function registerBits(register: Register): 32 | 64 {
  if (register >= Register.RAX && register <= Register.R15) return 64;
  if (register >= Register.EAX && register <= Register.R15D) return 32;
  throw new Error(`the fake CPU has no register ${Register[register]}`);
}

function registerName(register: Register): string {
  const first = registerBits(register) === 64 ? Register.RAX : Register.EAX;
  return NAMES[register - first] ?? '';
}
