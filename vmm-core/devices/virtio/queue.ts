/** A split virtqueue (virtio 1.2 §2.7) from the device's side. */
export interface VirtQueue {
  readonly index: number;
  /** The next available chain into `chain`; false when there is none (and then the driver will kick). */
  pop(chain: DescriptorChain): boolean;
  /** Returns a chain with that many bytes written. */
  push(head: number, writtenBytes: number): void;
}

/** A chain of descriptors, copied and checked once. Reused: nothing is allocated per request. */
export interface DescriptorChain {
  readonly head: number;
  /** Segments the device reads come first. */
  readonly readable: number;
  readonly segments: number;
  readonly readableBytes: number;
  readonly writableBytes: number;
  /** Guest-physical addresses, by segment. */
  readonly gpa: Float64Array;
  readonly length: Uint32Array;
}
