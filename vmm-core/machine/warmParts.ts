/** What can be made before the configuration is known: F5 then only waits for what depends on it. */
import { Kvm } from '../kvm/kvm.ts';
import { KvmVcpu } from '../kvm/vcpu.ts';
import { type VcpuStateFormat, vcpuStateFormat } from '../kvm/vcpuState.ts';
import type { KvmVm, VcpuHandle } from '../kvm/vm.ts';
import { KVM_IDENTITY_MAP, KVM_TSS } from '../memory/layout.ts';
import { VcpuWorker } from '../vcpu/vcpuWorker.ts';

export interface WarmParts {
  /** Absent: main starts vCPU 0 itself and hands it over when its thread is there. */
  readonly worker?: VcpuWorker;
  readonly kvm: Kvm;
  readonly vm: KvmVm;
  readonly vcpu: VcpuHandle;
  readonly stateFormat: VcpuStateFormat;
}

/** `thread`: start that of vCPU 0 too, for a VM that comes later. Throws KvmUnavailableError. */
export function warmUp(options: { readonly thread: boolean }): WarmParts {
  const kvm = Kvm.open();
  const vm = kvm.createVm();
  vm.createChips(KVM_TSS, KVM_IDENTITY_MAP);
  const parts = { kvm, vm, vcpu: vm.createVcpu(0), stateFormat: vcpuStateFormat(kvm) };
  if (!options.thread) return parts;
  try {
    return { ...parts, worker: new VcpuWorker() };
  } catch (error) {
    coolDown(parts);
    throw error;
  }
}

/** Gives up what no VM was made of. */
export function coolDown({ worker, kvm, vm, vcpu }: WarmParts): void {
  worker?.dismiss();
  new KvmVcpu(vcpu).close();
  vm.close();
  kvm.close();
}
