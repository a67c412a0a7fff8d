/** A chain of descriptors, copied from guest memory and checked once. Reused: no request allocates one. */
import { MAX_SEGMENTS } from '../../bus/ioEngine.ts';

/** What our devices offer at most; no chain is longer (virtio 1.2 §2.7.5.3.1). */
export const MAX_QUEUE_SIZE = MAX_SEGMENTS;

/** Written by the queue only. */
export class DescriptorChain {
  /** Index of its first descriptor: what `push` returns it by. */
  head = 0;
  /** How many. Those the device reads come first; none is empty. */
  segments = 0;
  readable = 0;
  readableBytes = 0;
  writableBytes = 0;
  /** Guest-physical addresses, by segment. Each segment is inside one slot of RAM. */
  readonly gpa = new Float64Array(MAX_QUEUE_SIZE);
  readonly length = new Uint32Array(MAX_QUEUE_SIZE);
}
