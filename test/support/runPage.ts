/** A kvm_run without a kernel: a test writes what KVM would. */
import { KVM_RUN, KvmRegs } from '../../vmm-core/abi/kvm.ts';
import type { GeneralRegisters, SystemRegisters } from '../../vmm-core/abi/x86.ts';
import { decodeSregs, encodeSregs, KvmRun } from '../../vmm-core/kvm/kvmRun.ts';

export class RunPage {
  readonly run: KvmRun;
  readonly #view: DataView;

  constructor() {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    this.run = new KvmRun({ memory, strideBytes: memory.buffer.byteLength }, 0);
    this.#view = new DataView(memory.buffer);
  }

  exit(reason: number): void {
    this.#view.setUint32(KVM_RUN.exit_reason, reason, true);
  }

  /** Those that are named. */
  setGeneral(registers: Partial<GeneralRegisters>): void {
    KvmRegs.write(this.#view, registers, KVM_RUN.s_regs);
  }

  setSystem(registers: Partial<SystemRegisters>): void {
    const before = decodeSregs(this.#view, KVM_RUN.s_sregs);
    encodeSregs(this.#view, { ...before, ...registers }, KVM_RUN.s_sregs);
  }

  /** Little-endian, at one of KVM_RUN's offsets. */
  write(offset: number, bytes: readonly number[]): void {
    for (const [i, byte] of bytes.entries()) this.#view.setUint8(offset + i, byte);
  }
}
