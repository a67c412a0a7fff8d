/**
 * The vCPUs of a machine and the interrupt chips between them, as far as KVM has their state. Main thread,
 * all vCPUs stopped.
 */
import type { BootState } from '../boot/bootState.ts';
import { KvmVcpu } from '../kvm/vcpu.ts';
import type { VcpuState, VcpuStateFormat } from '../kvm/vcpuState.ts';
import type { ChipState, KvmVm, VcpuHandle } from '../kvm/vm.ts';
import { powerOnVcpu, setupVcpu } from '../vcpu/vcpuSetup.ts';
import type { WarmParts } from './warmParts.ts';

export interface MachineVcpu {
  readonly vcpu: KvmVcpu;
  /** For the thread that will run it. */
  readonly handle: VcpuHandle;
}

export class MachineVcpus {
  readonly all: readonly MachineVcpu[];
  readonly #vm: KvmVm;
  readonly #stateFormat: VcpuStateFormat;
  /** All but the first, which is one of the warm parts. */
  readonly #made: KvmVcpu[] = [];
  readonly #newChips: ChipState;
  readonly #newVcpus: readonly VcpuState[];

  /** Throws KvmError: then nothing is left but the warm parts. */
  constructor({ kvm, vm, vcpu: first, stateFormat }: WarmParts, cpus: number) {
    this.#vm = vm;
    this.#stateFormat = stateFormat;
    try {
      const others = Array.from({ length: cpus - 1 }, (_, i) => this.#make(i + 1));
      this.all = [{ vcpu: new KvmVcpu(first), handle: first }, ...others];
      const cpuid = kvm.supportedCpuid();
      for (const { vcpu } of this.all) setupVcpu(vcpu, cpuid, cpus);
      this.#newChips = vm.saveChips();
      this.#newVcpus = this.all.map(({ vcpu }) => vcpu.save(stateFormat));
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Once: the first vCPU will start with `boot`, the others wait for it. */
  powerOn(boot: BootState): void {
    for (const { vcpu } of this.all) {
      powerOnVcpu(vcpu, vcpu.index === 0 ? boot : undefined);
      vcpu.refreshMirror(); // registers can be read before the first run
    }
  }

  /** As new, then as powerOn(). */
  reset(boot: BootState): void {
    this.#newVcpus.forEach((state, index) => this.all[index]?.vcpu.restore(state));
    this.powerOn(boot);
  }

  /** Everything the guest can change in a vCPU. Throws RangeError. */
  save(cpu: number): VcpuState {
    const saved = this.all[cpu]?.vcpu.save(this.#stateFormat);
    if (saved === undefined) throw new RangeError(`no vCPU ${cpu}`);
    return saved;
  }

  /** Before the image is loaded again: no interrupt of the old life comes. */
  resetChips(): void {
    this.#vm.restoreChips(this.#newChips);
  }

  close(): void {
    for (const vcpu of this.#made) vcpu.close();
  }

  #make(index: number): MachineVcpu {
    const handle = this.#vm.createVcpu(index);
    const vcpu = new KvmVcpu(handle);
    this.#made.push(vcpu);
    return { vcpu, handle };
  }
}
