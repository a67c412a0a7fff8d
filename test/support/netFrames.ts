/** Frames as the device hands them to a link, of bytes that a test has made. */
import {
  type GuestFrame,
  type GuestOffloads,
  HEAD_BYTES,
  type Offload,
} from '../../vmm-core/backends/net/netLink.ts';
import type { MessageIo } from '../../vmm-core/bus/messageIo.ts';
import { IoBuffer } from '../../vmm-core/memory/ioBuffer.ts';

export const NO_OFFLOAD: Offload = {
  flags: 0,
  gsoType: 0,
  hdrLen: 0,
  gsoSize: 0,
  csumStart: 0,
  csumOffset: 0,
};

export const NO_OFFLOADS: GuestOffloads = {
  csum: false,
  tso4: false,
  tso6: false,
  ecn: false,
  ufo: false,
  uso4: false,
  uso6: false,
};

const FRAME_ROOM_BYTES = 0x20000;

/** One frame at a time, in memory that the kernel may read. */
export class FrameBuffer implements GuestFrame {
  readonly head = new Uint8Array(HEAD_BYTES);
  readonly offload: Offload = { ...NO_OFFLOAD };
  lengthBytes = 0;
  headBytes = 0;
  readonly buffer = new IoBuffer(FRAME_ROOM_BYTES);

  put(bytes: Uint8Array, offload: Readonly<Offload> = NO_OFFLOAD): this {
    this.buffer.bytes.set(bytes);
    return this.putLength(bytes.length, offload);
  }

  /** The frame is in the buffer already. */
  putLength(lengthBytes: number, offload: Readonly<Offload> = NO_OFFLOAD): this {
    this.lengthBytes = lengthBytes;
    this.headBytes = Math.min(HEAD_BYTES, lengthBytes);
    this.head.set(this.buffer.bytes.subarray(0, this.headBytes));
    Object.assign(this.offload, offload);
    return this;
  }

  copyTo(into: Uint8Array, from: number): void {
    if (from + into.length > this.lengthBytes) throw new RangeError('the frame is not as long');
    into.set(this.buffer.bytes.subarray(from, from + into.length));
  }

  addTo(message: MessageIo, from: number, lengthBytes: number): boolean {
    if (from + lengthBytes > this.lengthBytes) throw new RangeError('the frame is not as long');
    return message.addBuffer(this.buffer, from, lengthBytes);
  }
}

export function frameOf(bytes: Uint8Array, offload?: Readonly<Offload>): FrameBuffer {
  return new FrameBuffer().put(bytes, offload);
}
