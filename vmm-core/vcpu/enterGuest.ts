/** The way into the guest and back. The thread that runs the vCPU. */
import { KvmError } from '../errors.ts';
import { EAGAIN, EINTR } from '../kvm/errno.ts';
import type { KvmVcpu } from '../kvm/vcpu.ts';

/** One KVM_RUN. False when a signal ended it. Throws KvmError when the kernel refuses to run this vCPU. */
export function enterGuest(vcpu: KvmVcpu): boolean {
  const result = vcpu.enter();
  if (result >= 0) return true;
  if (result === -EINTR || result === -EAGAIN) return false;
  throw new KvmError('KVM_RUN', -result);
}
