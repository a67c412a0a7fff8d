/**
 * A vCPU's file descriptor. `run` only on the vCPU's own thread; everything else by whichever thread knows
 * that the vCPU is not in KVM_RUN (its own, or main after the stop was acknowledged): otherwise the kernel
 * would block us.
 */
import { closeSync } from 'node:fs';
import {
  KVM_GET_LAPIC,
  KVM_GET_MP_STATE,
  KVM_GET_REGS,
  KVM_GET_SREGS,
  KVM_GET_VCPU_EVENTS,
  KVM_KVMCLOCK_CTRL,
  KVM_RUN_IOCTL,
  KVM_SET_CPUID2,
  KVM_SET_FPU,
  KVM_SET_GUEST_DEBUG,
  KVM_SET_LAPIC,
  KVM_SET_REGS,
  KVM_SET_SREGS,
  KVM_SET_VCPU_EVENTS,
  KvmCpuid2,
  KvmCpuidEntry2,
  KvmFpu,
  KvmGuestDebug,
  KvmLapicState,
  KvmMpState,
  KvmRegs,
  KvmSregs,
  KvmVcpuEvents,
} from '../abi/kvm.ts';
import type { GeneralRegisters, SystemRegisters } from '../abi/x86.ts';
import type { CpuidEntry } from './kvm.ts';
import { decodeSregs, encodeSregs, KvmRun } from './kvmRun.ts';
import { ioctl, ioctlStruct } from './libc.ts';
import { encodeMsrs, type MsrValue, setMsrs, writeMsrs } from './msrs.ts';
import { restoreVcpuState, saveVcpuState, type VcpuState, type VcpuStateFormat } from './vcpuState.ts';
import type { VcpuHandle } from './vm.ts';

/** What KVM_SET_GUEST_DEBUG replaces, all of it at each call. */
export interface GuestDebugSettings {
  /** KVM_GUESTDBG_* bits; 0 turns debugging off. */
  readonly control: number;
  /** DR0..DR3. */
  readonly addresses: readonly bigint[];
  readonly dr7: bigint;
}

export class KvmVcpu {
  readonly index: number;
  readonly run: KvmRun;
  readonly #fd: number;

  constructor(handle: VcpuHandle) {
    this.index = handle.index;
    this.run = new KvmRun(handle.runPages, handle.index);
    this.#fd = handle.fd;
  }

  /** Enters the guest until an exit. Returns 0, or -errno (-EINTR after a kick). Own thread only. */
  enter(): number {
    return ioctl(this.#fd, KVM_RUN_IOCTL);
  }

  /**
   * Brings the register mirror up to date after registers were set from outside. Any thread, the vCPU
   * stopped.
   */
  refreshMirror(): void {
    const regs = KvmRegs.bytes({});
    ioctlStruct('KVM_GET_REGS', this.#fd, KVM_GET_REGS, regs);
    this.run.showRegisters(regs, this.#readSregs());
  }

  /**
   * Finishes a pending I/O or MMIO read without entering the guest and brings the register mirror up to date.
   * Own thread.
   */
  settle(): void {
    this.run.mirrorRegisters = true;
    this.run.immediateExit = true;
    this.enter();
    this.run.immediateExit = false;
    this.run.mirrorRegisters = false;
  }

  setCpuid(entries: readonly CpuidEntry[]): void {
    const buffer = new Uint8Array(KvmCpuid2.size + entries.length * KvmCpuidEntry2.size);
    const view = new DataView(buffer.buffer);
    KvmCpuid2.write(view, { nent: entries.length });
    entries.forEach((entry, i) =>
      KvmCpuidEntry2.write(view, entry, KvmCpuid2.size + i * KvmCpuidEntry2.size),
    );
    ioctlStruct('KVM_SET_CPUID2', this.#fd, KVM_SET_CPUID2, buffer);
  }

  readGeneral(): GeneralRegisters {
    const buffer = KvmRegs.bytes({});
    ioctlStruct('KVM_GET_REGS', this.#fd, KVM_GET_REGS, buffer);
    return KvmRegs.read(viewOf(buffer));
  }
  writeGeneral(regs: GeneralRegisters): void {
    ioctlStruct('KVM_SET_REGS', this.#fd, KVM_SET_REGS, KvmRegs.bytes(regs));
  }

  readSystem(): SystemRegisters {
    return decodeSregs(viewOf(this.#readSregs()));
  }
  /**
   * Keeps apic_base and pending interrupts. Throws KvmError EINVAL for a state that no CPU can be in.
   */
  writeSystem(sregs: SystemRegisters): void {
    const buffer = this.#readSregs();
    encodeSregs(viewOf(buffer), sregs);
    ioctlStruct('KVM_SET_SREGS', this.#fd, KVM_SET_SREGS, buffer);
  }

  writeFpu(values: { fcw: number; mxcsr: number }): void {
    ioctlStruct('KVM_SET_FPU', this.#fd, KVM_SET_FPU, KvmFpu.bytes(values));
  }

  /** Without those this host does not have. */
  writeMsrs(msrs: readonly MsrValue[]): void {
    writeMsrs(encodeMsrs(msrs), setMsrs(this.#fd));
  }

  /** The local APIC's register page. */
  readLapic(): Uint8Array {
    const buffer = KvmLapicState.bytes({});
    ioctlStruct('KVM_GET_LAPIC', this.#fd, KVM_GET_LAPIC, buffer);
    return buffer;
  }
  writeLapic(page: Uint8Array): void {
    ioctlStruct('KVM_SET_LAPIC', this.#fd, KVM_SET_LAPIC, page);
  }

  /** KVM_MP_STATE_*. */
  readMpState(): number {
    const buffer = KvmMpState.bytes({});
    ioctlStruct('KVM_GET_MP_STATE', this.#fd, KVM_GET_MP_STATE, buffer);
    return KvmMpState.read(viewOf(buffer)).mp_state;
  }

  /** Delivers exception `vector` (without error code) before the next instruction. Own thread or stopped. */
  injectException(vector: number): void {
    const buffer = KvmVcpuEvents.bytes({});
    ioctlStruct('KVM_GET_VCPU_EVENTS', this.#fd, KVM_GET_VCPU_EVENTS, buffer);
    KvmVcpuEvents.write(viewOf(buffer), {
      exception_injected: 1,
      exception_nr: vector,
      exception_has_error_code: 0,
      flags: 0,
    });
    ioctlStruct('KVM_SET_VCPU_EVENTS', this.#fd, KVM_SET_VCPU_EVENTS, buffer);
  }

  setGuestDebug(debug: GuestDebugSettings): void {
    const [debugreg0 = 0n, debugreg1 = 0n, debugreg2 = 0n, debugreg3 = 0n] = debug.addresses;
    const buffer = KvmGuestDebug.bytes({
      control: debug.control,
      debugreg0,
      debugreg1,
      debugreg2,
      debugreg3,
      debugreg7: debug.dr7,
    });
    ioctlStruct('KVM_SET_GUEST_DEBUG', this.#fd, KVM_SET_GUEST_DEBUG, buffer);
  }

  /**
   * Tells a kvmclock guest that it was stopped, so that its soft-lockup watchdog stays quiet. Ignored
   * without kvmclock.
   */
  noteStop(): void {
    ioctl(this.#fd, KVM_KVMCLOCK_CTRL);
  }

  /** Everything the guest can change in this vCPU. */
  save(format: VcpuStateFormat): VcpuState {
    return saveVcpuState(this.#fd, format);
  }
  restore(state: VcpuState): void {
    restoreVcpuState(this.#fd, state);
  }

  close(): void {
    closeSync(this.#fd);
  }

  #readSregs(): Uint8Array {
    const buffer = new Uint8Array(KvmSregs.size);
    ioctlStruct('KVM_GET_SREGS', this.#fd, KVM_GET_SREGS, buffer);
    return buffer;
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
