/**
 * The part of the WebAssembly API that guest memory uses (JS API §5.3). TypeScript has it only in its DOM
 * library, which would also let `window` and friends compile here.
 */
declare namespace WebAssembly {
  interface MemoryDescriptor {
    readonly initial: number;
    readonly maximum?: number;
    readonly shared?: boolean;
  }
  class Memory {
    constructor(descriptor: MemoryDescriptor);
    /** Throws a RangeError when the pages cannot be had. Returns the size before, in pages. */
    grow(deltaPages: number): number;
    readonly buffer: ArrayBuffer | SharedArrayBuffer;
  }
}
