/** The way into the guest and back. The thread that runs the vCPU. */
import { KvmError } from '../errors.ts';
import { EAGAIN, EINTR } from '../kvm/errno.ts';
import type { KvmVcpu } from '../kvm/vcpu.ts';

export class GuestEntry {
  readonly #vcpu: Pick<KvmVcpu, 'enter'>;
  /** What devices have the guest wait for; they outlive a stop. */
  #holds: (() => boolean)[] = [];

  constructor(vcpu: Pick<KvmVcpu, 'enter'>) {
    this.#vcpu = vcpu;
  }

  /** See DeviceHost.holdGuest. */
  hold(isOver: () => boolean): void {
    this.#holds.push(isOver);
  }

  get isHeld(): boolean {
    return this.#holds.length > 0;
  }

  /**
   * One KVM_RUN. False when a signal ended it, or the guest was held for a moment: then check whether to
   * stop. Throws KvmError when the kernel refuses to run this vCPU.
   */
  enter(): boolean {
    if (this.isHeld) {
      this.wait();
      return false;
    }
    const result = this.#vcpu.enter();
    if (result >= 0) return true;
    if (result === -EINTR || result === -EAGAIN) return false;
    throw new KvmError('KVM_RUN', -result);
  }

  /**
   * A moment, for the first that is not over: each takes its own, and a guest that writes a string to a port
   * has as many as it likes.
   */
  wait(): void {
    const first = this.#holds.findIndex((isOver) => !isOver());
    this.#holds = first < 0 ? [] : this.#holds.slice(first);
  }
}
