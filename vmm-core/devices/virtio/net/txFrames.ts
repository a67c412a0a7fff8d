/**
 * Frames that the guest sends (virtio 1.2 §5.1.6.2): of a chain a header and a frame, however the driver has
 * cut them into descriptors (§2.7.4). The header and the beginning of the frame are copied once and checked;
 * the rest stays in guest memory. On the thread that serves the interface; one frame at a time.
 */
import {
  VIRTIO_NET_F_CSUM,
  VIRTIO_NET_F_HOST_ECN,
  VIRTIO_NET_F_HOST_TSO4,
  VIRTIO_NET_F_HOST_TSO6,
  VIRTIO_NET_F_HOST_UFO,
  VIRTIO_NET_F_HOST_USO,
} from '../../../abi/virtioNet.ts';
import {
  VIRTIO_NET_HDR_F_NEEDS_CSUM,
  VIRTIO_NET_HDR_GSO_ECN,
  VIRTIO_NET_HDR_GSO_NONE,
  VIRTIO_NET_HDR_GSO_TCPV4,
  VIRTIO_NET_HDR_GSO_TCPV6,
  VIRTIO_NET_HDR_GSO_UDP,
  VIRTIO_NET_HDR_GSO_UDP_L4,
  VirtioNetHdrV1,
} from '../../../abi/virtioNetHdr.ts';
import { type GuestFrame, HEAD_BYTES, MAX_FRAME_BYTES } from '../../../backends/net/netLink.ts';
import { noOffload } from '../../../backends/net/offloadHeader.ts';
import type { MessageIo } from '../../../bus/messageIo.ts';
import { IoBuffer } from '../../../memory/ioBuffer.ts';
import type { DescriptorChain } from '../descriptorChain.ts';
import type { RamCopy } from '../ramCopy.ts';
import { Pieces } from './pieces.ts';

/** Destination, source, type. */
export const ETHERNET_HEADER_BYTES = 14;
const CHECKSUM_BYTES = 2;
const { gso_type, hdr_len, gso_size, csum_start, csum_offset } = VirtioNetHdrV1.fields;

/** Feature by which the driver may send segments of that type. */
const GSO_FEATURE: Readonly<Record<number, number>> = {
  [VIRTIO_NET_HDR_GSO_TCPV4]: VIRTIO_NET_F_HOST_TSO4,
  [VIRTIO_NET_HDR_GSO_TCPV6]: VIRTIO_NET_F_HOST_TSO6,
  [VIRTIO_NET_HDR_GSO_UDP]: VIRTIO_NET_F_HOST_UFO,
  [VIRTIO_NET_HDR_GSO_UDP_L4]: VIRTIO_NET_F_HOST_USO,
};
const GSO_TYPES = 0x100;

export class TxFrame implements GuestFrame {
  lengthBytes = 0;
  headBytes = 0;
  head: Uint8Array;
  readonly offload = noOffload();
  readonly #pieces: Pieces;
  /** The virtio header and then the head. */
  readonly #buffer = new IoBuffer(VirtioNetHdrV1.size + HEAD_BYTES);
  readonly #copy = new DataView(this.#buffer.memory.buffer, 0, VirtioNetHdrV1.size + HEAD_BYTES);
  /** So many of the first bytes leave as they were checked, whatever the guest makes of them meanwhile. */
  readonly #fixedBytes: number;
  #headerBytes = VirtioNetHdrV1.size;
  #mayLeaveChecksum = false;
  /** By gso_type: 1: negotiated. */
  readonly #maySegment = new Uint8Array(GSO_TYPES);

  /** `isLocked`: its Ethernet header is checked. */
  constructor(ram: RamCopy, chain: DescriptorChain, isLocked: boolean, copies: () => MessageIo) {
    this.#fixedBytes = isLocked ? ETHERNET_HEADER_BYTES : 0;
    this.#pieces = new Pieces(ram, chain.gpa, chain.length, copies);
    this.head = new Uint8Array(this.#copy.buffer, this.#headerBytes, HEAD_BYTES);
  }

  /** As it is negotiated. */
  configure(headerBytes: number, has: (bit: number) => boolean): void {
    this.#headerBytes = headerBytes;
    this.head = new Uint8Array(this.#copy.buffer, headerBytes, HEAD_BYTES);
    this.#mayLeaveChecksum = has(VIRTIO_NET_F_CSUM);
    this.#maySegment.fill(0);
    for (const [type, feature] of Object.entries(GSO_FEATURE))
      if (this.#mayLeaveChecksum && has(feature)) this.#maySegment[Number(type)] = 1;
    if (!has(VIRTIO_NET_F_HOST_ECN)) return;
    for (const type of [VIRTIO_NET_HDR_GSO_TCPV4, VIRTIO_NET_HDR_GSO_TCPV6])
      this.#maySegment[type | VIRTIO_NET_HDR_GSO_ECN] = this.#maySegment[type] ?? 0;
  }

  /** The frame in that chain, which is the constructor's. False: it is none. */
  load({ readable, readableBytes }: DescriptorChain): boolean {
    const lengthBytes = readableBytes - this.#headerBytes;
    if (lengthBytes < ETHERNET_HEADER_BYTES || lengthBytes > MAX_FRAME_BYTES) return false;
    const headBytes = Math.min(lengthBytes, HEAD_BYTES);
    this.lengthBytes = lengthBytes;
    this.headBytes = headBytes;
    this.#pieces.begin(0, readable);
    this.#pieces.toView(0, this.#copy, 0, this.#headerBytes + headBytes);
    return this.#loadOffload();
  }

  copyTo(into: Uint8Array, from: number): void {
    this.#pieces.toBytes(this.#headerBytes + from, into);
    const fixedEnd = Math.min(this.#fixedBytes, from + into.length);
    for (let at = from; at < fixedEnd; at++) into[at - from] = this.head[at] ?? 0;
  }

  addTo(message: MessageIo, from: number, lengthBytes: number): boolean {
    const fixed = Math.min(lengthBytes, Math.max(0, this.#fixedBytes - from));
    if (fixed > 0 && !message.addBuffer(this.#buffer, this.#headerBytes + from, fixed)) return false;
    return this.#pieces.addTo(message, this.#headerBytes + from + fixed, lengthBytes - fixed);
  }

  /** §5.1.6.2.1. What the driver may not ask for it may not leave in the fields either. */
  #loadOffload(): boolean {
    const copy = this.#copy;
    const { offload } = this;
    const gsoType = copy.getUint8(gso_type.offset);
    const isPartial = this.#mayLeaveChecksum && (copy.getUint8(0) & VIRTIO_NET_HDR_F_NEEDS_CSUM) !== 0;
    offload.flags = 0;
    offload.gsoType = gsoType;
    offload.hdrLen = 0;
    offload.gsoSize = 0;
    offload.csumStart = 0;
    offload.csumOffset = 0;
    if (!isPartial) return gsoType === VIRTIO_NET_HDR_GSO_NONE;
    offload.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    offload.csumStart = copy.getUint16(csum_start.offset, true);
    offload.csumOffset = copy.getUint16(csum_offset.offset, true);
    if (offload.csumStart + offload.csumOffset + CHECKSUM_BYTES > this.lengthBytes) return false;
    if (gsoType === VIRTIO_NET_HDR_GSO_NONE) return true;
    offload.hdrLen = copy.getUint16(hdr_len.offset, true);
    offload.gsoSize = copy.getUint16(gso_size.offset, true);
    return this.#maySegment[gsoType] === 1 && offload.gsoSize !== 0;
  }
}
