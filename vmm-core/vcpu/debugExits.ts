/**
 * What a vCPU's thread knows of debugging: arming the debug registers and single step, telling our int3 from the guest's own,
 * and naming the exits that end a VM. Reference: Documentation/virt/kvm/api.rst, KVM_SET_GUEST_DEBUG; SDM 3B §17.2 (DR6, DR7).
 */
import {
  KVM_EXIT,
  KVM_GUESTDBG_BLOCKIRQ,
  KVM_GUESTDBG_ENABLE,
  KVM_GUESTDBG_INJECT_BP,
  KVM_GUESTDBG_INJECT_DB,
  KVM_GUESTDBG_SINGLESTEP,
  KVM_GUESTDBG_USE_HW_BP,
  KVM_GUESTDBG_USE_SW_BP,
  KVM_INTERNAL_ERROR_EMULATION,
} from '../abi/kvm.ts';
import type { KvmVcpu } from '../kvm/vcpu.ts';
import type { GuestMemory } from '../memory/guestMemory.ts';
import { readLinear } from '../memory/linearMemory.ts';
import { hex } from '../protocol/hex.ts';
import { STOP, type StopCause } from '../protocol/stopCause.ts';
import { ARMED_SW, type Armed, type ArmedBreakpoints } from './armedBreakpoints.ts';
import { codeBits, MAX_INSTRUCTION_BYTES, OPCODE_INT3 } from './instruction.ts';
import type { VcpuFacilities } from './vcpuFacilities.ts';

const VECTOR_DB = 1;
const VECTOR_BP = 3;
const DR7_FIXED = 0x400n; // bit 10 reads as 1
const DR6_SLOTS = 0xfn;
export const DEBUG_REGISTERS = 4;

interface Instruction {
  readonly bytes: Uint8Array;
  readonly bits: 16 | 32 | 64;
}

/** DR7 for execution breakpoints in the first `count` slots: global enable, R/W and LEN 0. */
export function dr7ForExecution(count: number): bigint {
  let dr7 = DR7_FIXED;
  for (let slot = 0; slot < count; slot++) dr7 |= 2n << BigInt(2 * slot);
  return dr7;
}

export class DebugExits {
  readonly #vcpu: KvmVcpu;
  readonly #memory: GuestMemory;
  readonly #breakpoints: ArmedBreakpoints;
  readonly #facilities: VcpuFacilities;
  /** What KVM_SET_GUEST_DEBUG was last told, to call it only on change. */
  #applied = '0';
  #control = 0;
  /** Where an int3 of ours is taken out for a step: an int3 that traps there all the same is the guest's own. */
  #lifted: bigint | undefined;

  constructor(vcpu: KvmVcpu, memory: GuestMemory, breakpoints: ArmedBreakpoints, facilities: VcpuFacilities) {
    this.#vcpu = vcpu;
    this.#memory = memory;
    this.#breakpoints = breakpoints;
    this.#facilities = facilities;
  }

  /** Breakpoints of the table, for free running. */
  applyForRun(): void {
    const entries = this.#breakpoints.entries();
    const addresses = this.#breakpoints.hardware();
    let control = entries.length === 0 ? 0 : KVM_GUESTDBG_ENABLE;
    if (addresses.length > 0) control |= KVM_GUESTDBG_USE_HW_BP;
    if (addresses.length < entries.length) control |= KVM_GUESTDBG_USE_SW_BP;
    this.#apply(control, addresses);
  }

  /** No debug registers while stepping: the one at RIP would fire first. runLoop compares RIP with the table instead. */
  applyForStep(interrupts: boolean): void {
    const block = !interrupts && this.#facilities.blockIrq ? KVM_GUESTDBG_BLOCKIRQ : 0;
    this.#apply(KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_USE_SW_BP | block, [], true);
  }

  #apply(control: number, addresses: readonly bigint[], always = false): void {
    const key = `${control} ${addresses.join(' ')}`;
    // KVM re-arms TF at the RIP of the call only, so a step must be announced each time.
    if (key === this.#applied && !always) return;
    this.#vcpu.setGuestDebug({ control, addresses, dr7: dr7ForExecution(addresses.length) });
    this.#applied = key;
    this.#control = control;
  }

  /** The bytes at RIP (mirror up to date), with planted int3s hidden, as far as they are mapped. */
  instruction(): Instruction {
    const { run } = this.#vcpu;
    const sregs = run.readSystem();
    const at = run.linearRip;
    const bytes = readLinear(this.#memory, sregs, at, MAX_INSTRUCTION_BYTES);
    for (const entry of this.#breakpoints.entries()) {
      const offset = Number(entry.address - at);
      if (entry.kind === ARMED_SW && offset >= 0 && offset < bytes.length) bytes[offset] = entry.original;
    }
    return { bytes, bits: codeBits(sregs) };
  }

  /** Takes the int3 under RIP out, for one step of this vCPU alone. */
  lift(): Armed | undefined {
    const entry = this.#breakpoints.at(this.#vcpu.run.linearRip);
    if (entry?.kind !== ARMED_SW) return undefined;
    this.#memory.writeU8(entry.gpa, entry.original);
    this.#lifted = entry.address;
    return entry;
  }

  /** Puts it back, unless the guest rewrote the byte meanwhile (kernel text patching). */
  plant(entry: Armed | undefined): void {
    this.#lifted = undefined;
    if (entry?.kind !== ARMED_SW) return;
    if (this.#memory.readU8(entry.gpa) === entry.original) this.#memory.writeU8(entry.gpa, OPCODE_INT3);
  }

  /** After a STEP over a call: the return address is on top of the stack. */
  calleeEntry(bits: 16 | 32 | 64): StopCause {
    const { run } = this.#vcpu;
    const sregs = run.readSystem();
    const rsp = run.rsp;
    const linear = bits === 64 ? rsp : sregs.ss.base + (sregs.ss.db ? rsp & 0xffff_ffffn : rsp & 0xffffn);
    const top = readLinear(this.#memory, sregs, linear, bits / 8);
    if (top.length < bits / 8) return { kind: STOP.step };
    let returnAddress = 0n;
    for (let i = top.length - 1; i >= 0; i--) returnAddress = (returnAddress << 8n) | BigInt(top[i] ?? 0);
    return {
      kind: STOP.calleeEntered,
      returnAddress: hex(bits === 64 ? returnAddress : sregs.cs.base + returnAddress),
      stack: hex(rsp),
    };
  }

  /** KVM_EXIT_DEBUG of a step we asked for. */
  isStepTrap(): boolean {
    return this.#vcpu.run.debug.exception === VECTOR_DB;
  }

  /** Exits that are neither device accesses nor power events. Undefined: handled, go on. */
  classify(): StopCause | undefined {
    const { run } = this.#vcpu;
    switch (run.exitReason) {
      case KVM_EXIT.DEBUG:
        return this.#debugExit();
      case KVM_EXIT.INTERNAL_ERROR:
        return this.#internalError();
      case KVM_EXIT.FAIL_ENTRY:
        return failure(
          `the processor refused to enter the guest (KVM_EXIT_FAIL_ENTRY, hardware reason ${hex(run.failEntry.hardwareReason)})`,
        );
      default:
        return failure(
          `KVM stopped the vCPU with exit reason ${exitName(run.exitReason)}, which this VMM does not handle`,
        );
    }
  }

  #debugExit(): StopCause | undefined {
    const { exception, pc: address, dr6 } = this.#vcpu.run.debug;
    if (exception === VECTOR_BP) {
      if (this.#breakpoints.at(address) !== undefined && address !== this.#lifted)
        return { kind: STOP.breakpoint };
      this.#inject(KVM_GUESTDBG_INJECT_BP);
      return undefined;
    }
    if ((dr6 & DR6_SLOTS) !== 0n || this.#breakpoints.at(address) !== undefined)
      return { kind: STOP.breakpoint };
    this.#inject(KVM_GUESTDBG_INJECT_DB);
    return undefined;
  }

  /** The exception was the guest's own: it goes back, once. */
  #inject(flag: number): void {
    const addresses = this.#breakpoints.hardware();
    const control = this.#control | KVM_GUESTDBG_ENABLE | flag;
    this.#vcpu.setGuestDebug({ control, addresses, dr7: dr7ForExecution(addresses.length) });
    this.#applied = ''; // the flag must not stay
  }

  /**
   * Hosts that emulate kernel code (no VMX or SVM) cannot execute int3 and end up here with RIP on it: the breakpoint, or
   * the guest's own int3, completed as the processor would: RIP after it, #BP.
   */
  #internalError(): StopCause | undefined {
    this.#vcpu.settle();
    const { run } = this.#vcpu;
    const { suberror } = run.internalError;
    if (suberror !== KVM_INTERNAL_ERROR_EMULATION) return failure(`KVM internal error, suberror ${suberror}`);
    const address = run.linearRip;
    if (this.#breakpoints.at(address)?.kind === ARMED_SW && address !== this.#lifted)
      return { kind: STOP.breakpoint };
    const bytes = this.#failedBytes();
    if (bytes[0] === OPCODE_INT3) {
      run.rip += 1n;
      run.markGeneralDirty();
      this.#vcpu.injectException(VECTOR_BP);
      return undefined;
    }
    const at = hex(address);
    if (bytes.length === 0)
      return failure(
        `the guest runs at ${at}, where it has no memory: look at the last jump, call or return before`,
      );
    return failure(`KVM cannot emulate the instruction at ${at} (bytes ${hexBytes(bytes)})`);
  }

  #failedBytes(): Uint8Array {
    return this.#vcpu.run.internalError.instruction ?? this.instruction().bytes;
  }
}

function failure(message: string): StopCause {
  return { kind: STOP.failure, message };
}

function exitName(reason: number): string {
  const name = Object.entries(KVM_EXIT).find(([, value]) => value === reason)?.[0];
  return name === undefined ? String(reason) : `${reason} (KVM_EXIT_${name})`;
}

function hexBytes(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(' ');
}
