/**
 * The general registers at a vCPU's last exit, for hosts whose KVM discards them just when they are wanted:
 * under AMD-V a triple fault re-initialises the vCPU before KVM_EXIT_SHUTDOWN is reported
 * (arch/x86/kvm/svm/svm.c, shutdown_interception). The vCPU's thread.
 */
import { KVM_EXIT, KvmRegs } from '../abi/kvm.ts';
import type { GeneralRegisters } from '../abi/x86.ts';
import type { KvmRun } from '../kvm/kvmRun.ts';
import type { ExitObserver } from './observer.ts';

export class LastExit implements ExitObserver {
  readonly #run: KvmRun;
  readonly #mirror: Uint8Array;
  readonly #kept = new Uint8Array(KvmRegs.size);

  constructor(run: KvmRun) {
    this.#run = run;
    this.#mirror = run.generalBytes;
  }

  /** Asks for the general registers at each exit: cheaper than mirroring all registers at every one. */
  onRun(): void {
    this.#kept.set(this.#mirror);
    this.#run.mirrorGeneral();
  }

  onExit(reason: number): void {
    if (reason !== KVM_EXIT.SHUTDOWN) this.#kept.set(this.#mirror);
  }

  read(): GeneralRegisters {
    return KvmRegs.read(new DataView(this.#kept.buffer));
  }
}
