/**
 * The kvm_run of each vCPU of a VM, all in one memory: it is reserved once, and a thread that may have to
 * kick any vCPU needs one view, not one for each.
 */
import { KVM_RUN } from '../abi/kvm.ts';
import { UserError } from '../errors.ts';
import { mapOver } from './libc.ts';

/** As many as a configuration may ask for. What no vCPU uses costs address space only. */
const MAX_VCPUS = 64;
const WASM_PAGE_BYTES = 0x10000;

/** Plain data that every thread gets. The page of vCPU `n` is `strideBytes * n` from the start. */
export interface RunPages {
  readonly memory: WebAssembly.Memory;
  readonly strideBytes: number;
}

/** `sizeBytes`: of one vCPU's mapping. Throws UserError when this process may not allocate them. */
export function reserveRunPages(sizeBytes: number): RunPages {
  const pages = Math.ceil((sizeBytes * MAX_VCPUS) / WASM_PAGE_BYTES);
  try {
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    return { memory, strideBytes: sizeBytes };
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new UserError(
      'cpus: this process cannot reserve address space for vCPUs: raise its limit (ulimit -v unlimited)',
      { cause },
    );
  }
}

/** Makes the kernel's page of vCPU `index`, which has `fd`, visible. */
export function mapRunPage({ memory, strideBytes }: RunPages, index: number, fd: number): void {
  mapOver(new Uint8Array(memory.buffer, strideBytes * index, strideBytes), fd);
}

/** Sets immediate_exit of a vCPU: the next KVM_RUN returns at once. Any thread. */
export function exitSetter({ memory, strideBytes }: RunPages): (index: number) => void {
  const bytes = new Uint8Array(memory.buffer);
  return (index) => {
    bytes[strideBytes * index + KVM_RUN.immediate_exit] = 1;
  };
}
