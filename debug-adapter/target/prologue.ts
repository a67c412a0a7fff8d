/**
 * Frames of code without call frame information, from the code itself: what a function has pushed and moved
 * on every path from its first instruction to an address. Where two paths disagree nothing is said. x86 in 32
 * and 64 bits; pure but for loading the decoder.
 */
import type { Instruction, InstructionInfo } from 'iced-x86';

export interface FunctionCode {
  /** From the function's first instruction on. */
  readonly bytes: Uint8Array;
  readonly bits: 32 | 64;
}

/** How to find a frame's caller. Registers are named as in 64-bit code. */
export interface FrameLayout {
  /** The stack pointer before the call is this register's value and the offset. */
  readonly base: 'rsp' | 'rbp';
  readonly offset: number;
  /** Where registers of the caller are, from the stack pointer before the call. */
  readonly saved: ReadonlyMap<string, number>;
  /** Registers of the caller that are still in place. */
  readonly kept: readonly string[];
}

/** Before an instruction. */
interface State {
  /** How far RSP is below the stack pointer before the call; undefined where that is not known. */
  readonly depth: number | undefined;
  /** The same of RBP, while it is the frame's. */
  readonly frame: number | undefined;
  /** By register, from the stack pointer before the call. */
  readonly saved: ReadonlyMap<number, number>;
  /** Registers that no longer have the caller's value. */
  readonly changed: ReadonlySet<number>;
}

type Iced = typeof import('iced-x86');
let iced: Promise<Iced> | undefined;

/** No function is longer; broken symbols may say so. */
const MAX_STEPS = 20_000;
const MAX_DISTANCE = 1 << 24;

export class PrologueReader {
  readonly #iced: Iced;
  readonly #stackPointer: number;
  readonly #framePointer: number;
  /** What calls keep (System V ABI, AMD64 §3.2.1, i386 §2.2.1), with their names. */
  readonly #names: ReadonlyMap<number, string>;
  readonly #code: FunctionCode;
  readonly #states = new Map<number, State>();
  readonly #ends = new Set<number>();
  /** Before what jumps through tables lead to. */
  #throughTables: State | undefined;
  /** Ends of calls to their starts: return addresses. */
  readonly #calls = new Map<number, number>();

  private constructor(library: Iced, code: FunctionCode) {
    const { Register } = library;
    this.#iced = library;
    this.#code = code;
    this.#stackPointer = Register.RSP;
    this.#framePointer = Register.RBP;
    const common: [number, string][] = [
      [Register.RBX, 'rbx'],
      [Register.RBP, 'rbp'],
    ];
    const long: [number, string][] = [
      [Register.R12, 'r12'],
      [Register.R13, 'r13'],
      [Register.R14, 'r14'],
      [Register.R15, 'r15'],
    ];
    const short: [number, string][] = [
      [Register.RSI, 'rsi'],
      [Register.RDI, 'rdi'],
    ];
    this.#names = new Map([...common, ...(code.bits === 64 ? long : short)]);
    this.#walk();
  }

  static async read(code: FunctionCode): Promise<PrologueReader> {
    iced ??= import('iced-x86');
    return new PrologueReader(await iced, code);
  }

  /** The frame at an offset from the function's start; of a return address as it is during the call. */
  layoutAt(offset: number, isReturnAddress: boolean): FrameLayout | undefined {
    const at = isReturnAddress ? this.#calls.get(offset) : offset;
    const state = at === undefined ? undefined : this.#states.get(at);
    if (state === undefined) return undefined;
    const { depth, frame, changed } = state;
    const cfa = frame ?? depth;
    if (cfa === undefined) return undefined;
    // What is beyond the top of the stack may be overwritten at any time.
    const saved = new Map([...state.saved].filter(([, place]) => depth === undefined || place >= -depth));
    const kept = [...this.#names].filter(([register]) => !changed.has(register) && !saved.has(register));
    return {
      base: frame === undefined ? 'rsp' : 'rbp',
      offset: cfa,
      saved: new Map([...saved].map(([register, place]) => [this.#names.get(register) ?? '', place])),
      kept: kept.map(([, name]) => name),
    };
  }

  get #wordBytes(): number {
    return this.#code.bits / 8;
  }

  #walk(): void {
    const { Decoder, InstructionInfoFactory } = this.#iced;
    const decoder = new Decoder(this.#code.bits, this.#code.bytes, 0);
    const information = new InstructionInfoFactory();
    const open = [0];
    this.#states.set(0, { depth: this.#wordBytes, frame: undefined, saved: new Map(), changed: new Set() });
    try {
      for (let steps = 0; steps < MAX_STEPS; steps++) {
        const at = open.pop() ?? this.#unreached();
        if (at === undefined) break;
        decoder.position = at;
        decoder.ip = BigInt(at);
        const instruction = decoder.decode();
        const used = usedRegisters(information.info(instruction));
        if (decoder.lastError === this.#iced.DecoderError.None)
          open.push(...this.#follow(at, instruction, used));
        instruction.free();
      }
    } finally {
      information.free();
      decoder.free();
    }
  }

  /** Code after an instruction that nothing falls into or branches to: a jump through a table leads there. */
  #unreached(): number | undefined {
    if (this.#throughTables === undefined) return undefined;
    for (const end of this.#ends) {
      this.#ends.delete(end);
      if (end < this.#code.bytes.length && !this.#states.has(end)) {
        this.#states.set(end, this.#throughTables);
        return end;
      }
    }
    return undefined;
  }

  /** Offsets of the next instructions whose state is new. */
  #follow(at: number, instruction: Instruction, used: readonly UsedRegister[]): number[] {
    const { FlowControl } = this.#iced;
    const before = this.#states.get(at);
    if (before === undefined) return [];
    const next = at + instruction.length;
    this.#ends.add(next);
    const target = Number(BigInt.asIntN(this.#code.bits, instruction.nearBranchTarget));
    const after = this.#after(before, instruction, used);
    switch (instruction.flowControl) {
      case FlowControl.UnconditionalBranch:
        return this.#reach(target, after);
      case FlowControl.ConditionalBranch:
        return [...this.#reach(next, after), ...this.#reach(target, after)];
      case FlowControl.IndirectBranch:
        this.#throughTables = this.#throughTables === undefined ? after : join(this.#throughTables, after);
        return [];
      case FlowControl.Return:
      case FlowControl.Exception:
        return [];
      case FlowControl.Call:
      case FlowControl.IndirectCall:
        this.#calls.set(next, at);
        return this.#reach(next, after);
      default:
        return this.#reach(next, after);
    }
  }

  #reach(at: number, state: State): number[] {
    if (at < 0 || at >= this.#code.bytes.length) return [];
    const known = this.#states.get(at);
    const joined = known === undefined ? state : join(known, state);
    if (joined === known) return [];
    this.#states.set(at, joined);
    return [at];
  }

  #after(state: State, instruction: Instruction, used: readonly UsedRegister[]): State {
    const { Mnemonic } = this.#iced;
    switch (instruction.mnemonic) {
      case Mnemonic.Push:
        return this.#push(state, instruction);
      case Mnemonic.Pop:
        return this.#pop(state, this.#register(instruction, 0));
      case Mnemonic.Leave:
        return this.#pop({ ...state, depth: state.frame }, this.#framePointer);
      case Mnemonic.Call:
        // A `call` of the next instruction only finds its own address: the return address stays on the stack.
        return instruction.nearBranchTarget === instruction.nextIP ? deeper(state, this.#wordBytes) : state;
      case Mnemonic.Mov:
        return this.#move(state, instruction, used);
      case Mnemonic.Lea:
      case Mnemonic.Add:
      case Mnemonic.Sub:
        return this.#compute(state, instruction, used);
      default:
        return this.#changed(state, instruction, used);
    }
  }

  #push(state: State, instruction: Instruction): State {
    const pushed = deeper(state, -instruction.stackPointerIncrement);
    const { depth } = pushed;
    const register = this.#register(instruction, 0);
    return depth === undefined ? pushed : this.#save(pushed, register, -depth);
  }

  #pop(state: State, register: number): State {
    const popped = deeper(state, -this.#wordBytes);
    const isOwn = state.depth !== undefined && state.saved.get(register) === -state.depth;
    return this.#loaded(popped, register, isOwn);
  }

  /** The caller's value is stored, if it is still there and not stored already. */
  #save(state: State, register: number, place: number): State {
    const isFirst = this.#names.has(register) && !state.changed.has(register) && !state.saved.has(register);
    return isFirst ? { ...state, saved: new Map(state.saved).set(register, place) } : state;
  }

  /** A register has a new value: the caller's again, or another. */
  #loaded(state: State, register: number, isCallers: boolean): State {
    const frame = register === this.#framePointer ? undefined : state.frame;
    if (!this.#names.has(register)) return { ...state, frame };
    const changed = new Set(state.changed);
    const saved = new Map(state.saved);
    if (isCallers) {
      changed.delete(register);
      saved.delete(register);
    } else changed.add(register);
    return { ...state, frame, saved, changed };
  }

  #move(state: State, instruction: Instruction, used: readonly UsedRegister[]): State {
    const { OpKind } = this.#iced;
    const [to, from] = [this.#register(instruction, 0), this.#register(instruction, 1)];
    if (to === this.#framePointer && from === this.#stackPointer)
      return { ...this.#loaded(state, to, false), frame: state.depth };
    if (to === this.#stackPointer && from === this.#framePointer) return { ...state, depth: state.frame };
    const place = this.#stackPlace(state, instruction);
    const isWhole = place !== undefined && this.#isWord(instruction);
    if (isWhole && instruction.op0Kind === OpKind.Memory) return this.#save(state, from, place);
    if (isWhole && instruction.op1Kind === OpKind.Memory)
      return this.#loaded(state, to, state.saved.get(to) === place);
    return this.#changed(state, instruction, used);
  }

  /** `sub $24, %rsp`, `lea -24(%rsp), %rsp` and their like. */
  #compute(state: State, instruction: Instruction, used: readonly UsedRegister[]): State {
    const { Mnemonic } = this.#iced;
    const to = this.#register(instruction, 0);
    if (instruction.mnemonic === Mnemonic.Lea) {
      const place = this.#stackPlace(state, instruction);
      if (place !== undefined && to === this.#stackPointer) return { ...state, depth: -place };
      if (place !== undefined && to === this.#framePointer)
        return { ...this.#loaded(state, to, false), frame: -place };
    } else if (to === this.#stackPointer && this.#isImmediate(instruction)) {
      const amount = Number(BigInt.asIntN(this.#code.bits, instruction.immediate(1)));
      return deeper(state, instruction.mnemonic === Mnemonic.Sub ? amount : -amount);
    }
    return this.#changed(state, instruction, used);
  }

  /** An ordinary instruction: what it writes is no longer the caller's. */
  #changed(state: State, instruction: Instruction, used: readonly UsedRegister[]): State {
    const { RegisterExt, OpAccess } = this.#iced;
    const reads: number[] = [OpAccess.None, OpAccess.Read, OpAccess.CondRead, OpAccess.NoMemAccess];
    let result = state;
    for (const { register, access } of used) {
      if (reads.includes(access)) continue;
      const full: number = RegisterExt.fullRegister(register);
      if (full !== this.#stackPointer) result = this.#loaded(result, full, false);
      else if (instruction.stackPointerIncrement !== 0)
        result = deeper(result, -instruction.stackPointerIncrement);
      else result = { ...result, depth: undefined };
    }
    return result;
  }

  /** Where a memory operand is, from the stack pointer before the call. */
  #stackPlace({ depth, frame }: State, instruction: Instruction): number | undefined {
    const { Register, RegisterExt } = this.#iced;
    if (instruction.memoryIndex !== Register.None || instruction.memoryBase === Register.None)
      return undefined;
    const base: number = RegisterExt.fullRegister(instruction.memoryBase);
    const below = base === this.#stackPointer ? depth : base === this.#framePointer ? frame : undefined;
    const distance = Number(BigInt.asIntN(this.#code.bits, instruction.memoryDisplacement));
    return below === undefined || Math.abs(distance) > MAX_DISTANCE ? undefined : distance - below;
  }

  /** By its 64-bit name; Register.None for an operand that is not a register, or only a part of one. */
  #register(instruction: Instruction, operand: 0 | 1): number {
    const { OpKind, Register, RegisterExt } = this.#iced;
    if (operand >= instruction.opCount || instruction.opKind(operand) !== OpKind.Register)
      return Register.None;
    const register = instruction.opRegister(operand);
    const isWord = RegisterExt.size(register) === this.#wordBytes;
    return isWord ? RegisterExt.fullRegister(register) : Register.None;
  }

  #isWord(instruction: Instruction): boolean {
    const none: number = this.#iced.Register.None;
    return this.#register(instruction, 0) !== none || this.#register(instruction, 1) !== none;
  }

  #isImmediate(instruction: Instruction): boolean {
    const { OpKind } = this.#iced;
    const kinds: number[] = [
      OpKind.Immediate8to32,
      OpKind.Immediate8to64,
      OpKind.Immediate32to64,
      OpKind.Immediate32,
    ];
    return kinds.includes(instruction.op1Kind);
  }
}

interface UsedRegister {
  readonly register: number;
  readonly access: number;
}

/** As plain objects: those of the decoder are in its own memory. */
function usedRegisters(information: InstructionInfo): UsedRegister[] {
  const all = information.usedRegisters() as (UsedRegister & { free(): void })[];
  const used = all.map(({ register, access }) => ({ register, access }));
  for (const one of all) one.free();
  information.free();
  return used;
}

function deeper(state: State, bytes: number): State {
  return { ...state, depth: state.depth === undefined ? undefined : state.depth + bytes };
}

/** What holds on both paths; the first of them when nothing is lost. */
function join(known: State, other: State): State {
  const depth = known.depth === other.depth ? known.depth : undefined;
  const frame = known.frame === other.frame ? known.frame : undefined;
  const saved = new Map([...known.saved].filter(([register, place]) => other.saved.get(register) === place));
  const changed = new Set([...known.changed, ...other.changed]);
  // Saved on one path only: neither there nor in place for certain.
  for (const register of [...known.saved.keys(), ...other.saved.keys()])
    if (!saved.has(register)) changed.add(register);
  const isSame =
    depth === known.depth &&
    frame === known.frame &&
    saved.size === known.saved.size &&
    changed.size === known.changed.size;
  return isSame ? known : { depth, frame, saved, changed };
}
