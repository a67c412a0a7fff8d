/**
 * A vCPU's KVM_SET_GUEST_DEBUG settings: its debug registers, whether int3 comes to us, single step. The
 * thread that runs the vCPU. Reference: Documentation/virt/kvm/api.rst; SDM 3B §17.2 (DR7).
 */
import {
  KVM_GUESTDBG_BLOCKIRQ,
  KVM_GUESTDBG_ENABLE,
  KVM_GUESTDBG_INJECT_BP,
  KVM_GUESTDBG_INJECT_DB,
  KVM_GUESTDBG_SINGLESTEP,
  KVM_GUESTDBG_USE_HW_BP,
  KVM_GUESTDBG_USE_SW_BP,
} from '../abi/kvm.ts';
import type { KvmVcpu } from '../kvm/vcpu.ts';
import type { ArmedBreakpoints } from './armedBreakpoints.ts';

export const DEBUG_REGISTERS = 4;
export const VECTOR_DB = 1;
export const VECTOR_BP = 3;
const DR7_FIXED = 0x400n; // bit 10 reads as 1

/** DR7 for execution breakpoints in the first `count` slots: global enable, R/W and LEN 0. */
export function dr7ForExecution(count: number): bigint {
  let dr7 = DR7_FIXED;
  for (let slot = 0; slot < count; slot++) dr7 |= 2n << BigInt(2 * slot);
  return dr7;
}

export class GuestDebug {
  readonly #vcpu: KvmVcpu;
  readonly #armed: ArmedBreakpoints;
  /** KVM_GUESTDBG_BLOCKIRQ where the host has it. */
  readonly #blockIrq: number;
  /** What KVM was last told, to tell it only about changes. */
  #applied = '0';
  #control = 0;

  constructor(vcpu: KvmVcpu, armed: ArmedBreakpoints, blockIrq: boolean) {
    this.#vcpu = vcpu;
    this.#armed = armed;
    this.#blockIrq = blockIrq ? KVM_GUESTDBG_BLOCKIRQ : 0;
  }

  get isStepping(): boolean {
    return (this.#control & KVM_GUESTDBG_SINGLESTEP) !== 0;
  }

  /** For free running: the armed breakpoints. */
  applyForRun(): void {
    const entries = this.#armed.entries();
    const addresses = this.#armed.hardware();
    let control = entries.length === 0 ? 0 : KVM_GUESTDBG_ENABLE;
    if (addresses.length > 0) control |= KVM_GUESTDBG_USE_HW_BP;
    if (addresses.length < entries.length) control |= KVM_GUESTDBG_USE_SW_BP;
    if (`${control} ${addresses.join(' ')}` !== this.#applied) this.#apply(control, addresses);
  }

  /**
   * For one instruction; each step needs it again, because KVM re-arms TF at the RIP of the call only. No
   * debug registers: the one at RIP would fire first. Stepping compares RIP with the breakpoints instead.
   */
  applyForStep(options: { readonly interrupts: boolean }): void {
    const block = options.interrupts ? 0 : this.#blockIrq;
    this.#apply(KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_USE_SW_BP | block, []);
  }

  /** A #DB or #BP that was the guest's own goes back to it, once. */
  giveBack(vector: typeof VECTOR_DB | typeof VECTOR_BP): void {
    const inject = vector === VECTOR_BP ? KVM_GUESTDBG_INJECT_BP : KVM_GUESTDBG_INJECT_DB;
    this.#tell(this.#control | KVM_GUESTDBG_ENABLE | inject, this.#armed.hardware());
    this.#applied = ''; // the flag must not stay
  }

  #apply(control: number, addresses: readonly bigint[]): void {
    this.#tell(control, addresses);
    this.#applied = `${control} ${addresses.join(' ')}`;
    this.#control = control;
  }

  #tell(control: number, addresses: readonly bigint[]): void {
    this.#vcpu.setGuestDebug({ control, addresses, dr7: dr7ForExecution(addresses.length) });
  }
}
