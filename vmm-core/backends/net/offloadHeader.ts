/**
 * What precedes each frame outside the guest, too: Linux's tap and our switches have struct virtio_net_hdr_v1
 * there, little-endian (virtio 1.2 §5.1.6). What comes in from elsewhere is checked here.
 */
import {
  VIRTIO_NET_HDR_F_DATA_VALID,
  VIRTIO_NET_HDR_F_NEEDS_CSUM,
  VIRTIO_NET_HDR_GSO_ECN,
  VIRTIO_NET_HDR_GSO_NONE,
  VIRTIO_NET_HDR_GSO_TCPV4,
  VIRTIO_NET_HDR_GSO_TCPV6,
  VIRTIO_NET_HDR_GSO_UDP,
  VIRTIO_NET_HDR_GSO_UDP_L4,
  VirtioNetHdrV1,
} from '../../abi/virtioNetHdr.ts';
import type { Offload } from './netLink.ts';

export const OFFLOAD_HEADER_BYTES = VirtioNetHdrV1.size;

const { gso_type, hdr_len, gso_size, csum_start, csum_offset, num_buffers } = VirtioNetHdrV1.fields;
const CHECKSUM_BYTES = 2;
const GSO_TYPES: readonly number[] = [
  VIRTIO_NET_HDR_GSO_TCPV4,
  VIRTIO_NET_HDR_GSO_TCPV6,
  VIRTIO_NET_HDR_GSO_UDP,
  VIRTIO_NET_HDR_GSO_UDP_L4,
];

export function noOffload(): Offload {
  return { flags: 0, gsoType: VIRTIO_NET_HDR_GSO_NONE, hdrLen: 0, gsoSize: 0, csumStart: 0, csumOffset: 0 };
}

/** `buffers`: the chains that the frame fills, for a driver which merges them (§5.1.6.4). */
export function writeOffload(view: DataView, offload: Readonly<Offload>, buffers = 0): void {
  view.setUint8(0, offload.flags);
  view.setUint8(gso_type.offset, offload.gsoType);
  view.setUint16(hdr_len.offset, offload.hdrLen, true);
  view.setUint16(gso_size.offset, offload.gsoSize, true);
  view.setUint16(csum_start.offset, offload.csumStart, true);
  view.setUint16(csum_offset.offset, offload.csumOffset, true);
  view.setUint16(num_buffers.offset, buffers, true);
}

/**
 * False: a frame of that length cannot have it; guests' drivers take such frames for broken devices. Flags
 * that we do not know are dropped.
 */
export function readOffload(view: DataView, lengthBytes: number, into: Offload): boolean {
  into.flags = view.getUint8(0) & (VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID);
  into.gsoType = view.getUint8(gso_type.offset);
  into.hdrLen = view.getUint16(hdr_len.offset, true);
  into.gsoSize = view.getUint16(gso_size.offset, true);
  into.csumStart = view.getUint16(csum_start.offset, true);
  into.csumOffset = view.getUint16(csum_offset.offset, true);
  const needsChecksum = (into.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) !== 0;
  if (needsChecksum && into.csumStart + into.csumOffset + CHECKSUM_BYTES > lengthBytes) return false;
  if (into.gsoType === VIRTIO_NET_HDR_GSO_NONE) return true;
  return GSO_TYPES.includes(into.gsoType & ~VIRTIO_NET_HDR_GSO_ECN) && needsChecksum && into.gsoSize > 0;
}
