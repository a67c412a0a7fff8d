/** Virtio sockets, as <linux/virtio_vsock.h> spells them. Virtio 1.2 §5.10. */
import { struct, u16, u32, u64 } from './struct.ts';

/** The host's address, as <linux/vm_sockets.h> spells it. §5.10.4: 0, 1 and 2 are reserved. */
export const VMADDR_CID_HOST = 2;

// Feature bits, §5.10.3.
export const VIRTIO_VSOCK_F_SEQPACKET = 1;

/** §5.10.4. */
export const VirtioVsockConfig = struct('virtio_vsock_config', 8, {
  guest_cid: u64(0), // the upper 32 bits are reserved, and zero
});

/** In front of each packet, §5.10.6. */
export const VirtioVsockHdr = struct('virtio_vsock_hdr', 44, {
  src_cid: u64(0),
  dst_cid: u64(8),
  src_port: u32(16),
  dst_port: u32(20),
  len: u32(24), // of the data after it
  type: u16(28),
  op: u16(30),
  flags: u32(32),
  buf_alloc: u32(36), // the sender's buffer, in bytes, for this connection
  fwd_cnt: u32(40), // what its application has taken out of that since the start, modulo 2^32
});

export const VirtioVsockEvent = struct('virtio_vsock_event', 4, { id: u32(0) });
/** §5.10.6.7: connections are gone, and guest_cid may be another. */
export const VIRTIO_VSOCK_EVENT_TRANSPORT_RESET = 0;

// Types, §5.10.6.
export const VIRTIO_VSOCK_TYPE_STREAM = 1;
export const VIRTIO_VSOCK_TYPE_SEQPACKET = 2;

// Operations.
export const VIRTIO_VSOCK_OP_INVALID = 0;
export const VIRTIO_VSOCK_OP_REQUEST = 1; // to connect
export const VIRTIO_VSOCK_OP_RESPONSE = 2;
export const VIRTIO_VSOCK_OP_RST = 3;
export const VIRTIO_VSOCK_OP_SHUTDOWN = 4;
export const VIRTIO_VSOCK_OP_RW = 5;
export const VIRTIO_VSOCK_OP_CREDIT_UPDATE = 6;
export const VIRTIO_VSOCK_OP_CREDIT_REQUEST = 7;

// Flags of SHUTDOWN: the sender will receive, or send, no more.
export const VIRTIO_VSOCK_SHUTDOWN_RCV = 1;
export const VIRTIO_VSOCK_SHUTDOWN_SEND = 2;
