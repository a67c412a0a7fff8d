/**
 * Memory for I/O that is not the guest's: page-aligned, never moved, so that O_DIRECT and the kernel's side
 * of a ring may use it.
 */
export class IoBuffer {
  readonly bytes: Uint8Array;
  /** Keeps it alive, and is what kvm/ takes the address of. */
  readonly memory: WebAssembly.Memory;

  constructor(sizeBytes: number) {
    const pages = Math.ceil(sizeBytes / WASM_PAGE_BYTES);
    this.memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    this.bytes = new Uint8Array(this.memory.buffer, 0, sizeBytes);
  }
}

const WASM_PAGE_BYTES = 0x10000;
