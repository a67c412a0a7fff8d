/** A UDP datagram of the guest, whose data is in guest memory or, put together of fragments, in a buffer. */
import { UDPHDR_BYTES } from '../../../abi/packets.ts';
import type { MessageIo } from '../../../bus/messageIo.ts';
import type { GuestFrame } from '../netLink.ts';
import type { PacketBuffer } from './packetBuffer.ts';

/** One object is used again for each. */
export class OutgoingDatagram {
  readonly #request: PacketBuffer;
  sourcePort = 0;
  destinationPort = 0;
  dataBytes = 0;
  /** It is several of so many bytes (USO); else all. */
  segmentBytes = 0;
  /** No router on its way may cut it: what is too large for that the guest is to hear of. */
  dontFragment = false;
  #frame: GuestFrame | undefined;
  #dataAt = 0;

  constructor(request: PacketBuffer) {
    this.#request = request;
  }

  /** `frame` has the data from `dataAt` on; undefined: `request` has it, behind the header. */
  set(frame: GuestFrame | undefined, dataAt: number): void {
    this.#frame = frame;
    this.#dataAt = dataAt;
  }

  /** False: there is no room for more pieces. */
  addTo(message: MessageIo, at: number, lengthBytes: number): boolean {
    if (lengthBytes === 0) return true;
    if (this.#frame !== undefined) return this.#frame.addTo(message, this.#dataAt + at, lengthBytes);
    return message.addBuffer(this.#request.io, UDPHDR_BYTES + at, lengthBytes);
  }

  /** All of the data, to be looked at: in `request`. */
  bytes(): Uint8Array {
    const bytes = this.#request.bytes.subarray(UDPHDR_BYTES, UDPHDR_BYTES + this.dataBytes);
    this.#frame?.copyTo(bytes, this.#dataAt);
    return bytes;
  }
}
