/** What precedes each frame of a network device, as <linux/virtio_net.h> spells it. Virtio 1.2 §5.1.6. */
import { struct, u16, u8 } from './struct.ts';

export const VirtioNetHdrV1 = struct('virtio_net_hdr_v1', 12, {
  flags: u8(0),
  gso_type: u8(1),
  hdr_len: u16(2),
  gso_size: u16(4),
  csum_start: u16(6),
  csum_offset: u16(8),
  num_buffers: u16(10),
});
/** What it is by the legacy interface without VIRTIO_NET_F_MRG_RXBUF. */
export const VirtioNetHdr = struct('virtio_net_hdr', 10, {
  flags: u8(0),
  gso_type: u8(1),
  hdr_len: u16(2),
  gso_size: u16(4),
  csum_start: u16(6),
  csum_offset: u16(8),
});

// Of `flags`.
export const VIRTIO_NET_HDR_F_NEEDS_CSUM = 1;
export const VIRTIO_NET_HDR_F_DATA_VALID = 2;

// Of `gso_type`.
export const VIRTIO_NET_HDR_GSO_NONE = 0;
export const VIRTIO_NET_HDR_GSO_TCPV4 = 1;
export const VIRTIO_NET_HDR_GSO_UDP = 3;
export const VIRTIO_NET_HDR_GSO_TCPV6 = 4;
export const VIRTIO_NET_HDR_GSO_UDP_L4 = 5;
export const VIRTIO_NET_HDR_GSO_ECN = 0x80;
