import { IoBuffer } from '../../../memory/ioBuffer.ts';

/** All that the payload of an IP packet can be, and slack for headers that sockets do not know. */
const SIZE_BYTES = 0x10000 + 256;

/** Room for the payload of one IP packet: the transport header and what follows. */
export class PacketBuffer {
  readonly io = new IoBuffer(SIZE_BYTES);
  readonly bytes = this.io.bytes;
  readonly view = new DataView(this.bytes.buffer, 0, SIZE_BYTES);
}
