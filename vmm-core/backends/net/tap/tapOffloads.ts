/** What the guest's driver takes, as a tap is told of it, and whether a frame of a tap is of that kind. */
import {
  TUN_F_CSUM,
  TUN_F_TSO4,
  TUN_F_TSO6,
  TUN_F_TSO_ECN,
  TUN_F_USO4,
  TUN_F_USO6,
} from '../../../abi/tun.ts';
import {
  VIRTIO_NET_HDR_F_DATA_VALID,
  VIRTIO_NET_HDR_F_NEEDS_CSUM,
  VIRTIO_NET_HDR_GSO_ECN,
  VIRTIO_NET_HDR_GSO_NONE,
  VIRTIO_NET_HDR_GSO_TCPV4,
  VIRTIO_NET_HDR_GSO_TCPV6,
  VIRTIO_NET_HDR_GSO_UDP,
  VIRTIO_NET_HDR_GSO_UDP_L4,
} from '../../../abi/virtioNetHdr.ts';
import type { GuestOffloads, Offload } from '../netLink.ts';

/** TUN_F_… */
export function tunFlags({ csum, tso4, tso6, ecn, uso4, uso6 }: GuestOffloads): number {
  if (!csum) return 0; // the others need it
  return (
    TUN_F_CSUM |
    (tso4 ? TUN_F_TSO4 : 0) |
    (tso6 ? TUN_F_TSO6 : 0) |
    ((tso4 || tso6) && ecn ? TUN_F_TSO_ECN : 0) |
    // The kernel has them together only.
    (uso4 && uso6 ? TUN_F_USO4 | TUN_F_USO6 : 0)
  );
}

/** Of what readOffload has found to be sane. That a checksum is right is left out where need be. */
export function takesOffload(guest: GuestOffloads, offload: Offload): boolean {
  if (!guest.csum) {
    if ((offload.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) !== 0) return false;
    offload.flags &= ~VIRTIO_NET_HDR_F_DATA_VALID;
  }
  const isEcn = (offload.gsoType & VIRTIO_NET_HDR_GSO_ECN) !== 0;
  switch (offload.gsoType & ~VIRTIO_NET_HDR_GSO_ECN) {
    case VIRTIO_NET_HDR_GSO_NONE:
      return !isEcn;
    case VIRTIO_NET_HDR_GSO_TCPV4:
      return guest.tso4 && (!isEcn || guest.ecn);
    case VIRTIO_NET_HDR_GSO_TCPV6:
      return guest.tso6 && (!isEcn || guest.ecn);
    case VIRTIO_NET_HDR_GSO_UDP:
      return guest.ufo && !isEcn;
    case VIRTIO_NET_HDR_GSO_UDP_L4:
      return guest.uso4 && guest.uso6 && !isEcn;
    default:
      return false;
  }
}
