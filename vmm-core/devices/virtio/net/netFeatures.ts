/** Which features an interface offers, what they need of each other, and which of them the driver has set. */
import {
  VIRTIO_NET_F_CSUM,
  VIRTIO_NET_F_CTRL_GUEST_OFFLOADS,
  VIRTIO_NET_F_CTRL_MAC_ADDR,
  VIRTIO_NET_F_CTRL_RX,
  VIRTIO_NET_F_CTRL_RX_EXTRA,
  VIRTIO_NET_F_CTRL_VLAN,
  VIRTIO_NET_F_CTRL_VQ,
  VIRTIO_NET_F_GUEST_ANNOUNCE,
  VIRTIO_NET_F_GUEST_CSUM,
  VIRTIO_NET_F_GUEST_ECN,
  VIRTIO_NET_F_GUEST_TSO4,
  VIRTIO_NET_F_GUEST_TSO6,
  VIRTIO_NET_F_GUEST_UFO,
  VIRTIO_NET_F_GUEST_USO4,
  VIRTIO_NET_F_GUEST_USO6,
  VIRTIO_NET_F_HOST_ECN,
  VIRTIO_NET_F_HOST_TSO4,
  VIRTIO_NET_F_HOST_TSO6,
  VIRTIO_NET_F_HOST_UFO,
  VIRTIO_NET_F_HOST_USO,
  VIRTIO_NET_F_MAC,
  VIRTIO_NET_F_MQ,
  VIRTIO_NET_F_MRG_RXBUF,
  VIRTIO_NET_F_MTU,
  VIRTIO_NET_F_STATUS,
} from '../../../abi/virtioNet.ts';
import { VIRTIO_F_ANY_LAYOUT } from '../../../abi/virtioConfig.ts';
import { LINK_TRAITS } from '../../../backends/net/linkKind.ts';
import type { GuestOffloads } from '../../../backends/net/netLink.ts';
import type { NetInstance } from './netState.ts';

const ALWAYS = [
  VIRTIO_F_ANY_LAYOUT,
  VIRTIO_NET_F_MAC,
  VIRTIO_NET_F_MRG_RXBUF,
  VIRTIO_NET_F_STATUS,
  VIRTIO_NET_F_CTRL_VQ,
  VIRTIO_NET_F_CTRL_RX,
  VIRTIO_NET_F_CTRL_VLAN,
  VIRTIO_NET_F_CTRL_RX_EXTRA,
  VIRTIO_NET_F_GUEST_ANNOUNCE,
];
/** What the link does for the driver, and the driver for the link. */
const OFFLOADS = [
  VIRTIO_NET_F_CSUM,
  VIRTIO_NET_F_GUEST_CSUM,
  VIRTIO_NET_F_CTRL_GUEST_OFFLOADS,
  VIRTIO_NET_F_GUEST_TSO4,
  VIRTIO_NET_F_GUEST_TSO6,
  VIRTIO_NET_F_GUEST_ECN,
  VIRTIO_NET_F_GUEST_UFO,
  VIRTIO_NET_F_HOST_TSO4,
  VIRTIO_NET_F_HOST_TSO6,
  VIRTIO_NET_F_HOST_ECN,
  VIRTIO_NET_F_HOST_UFO,
];
const USO = [VIRTIO_NET_F_GUEST_USO4, VIRTIO_NET_F_GUEST_USO6, VIRTIO_NET_F_HOST_USO];

export function featuresOf({ network, pairs }: NetInstance): readonly number[] {
  const { hasOffloads, hasUso } = LINK_TRAITS[network.kind];
  return [
    ...ALWAYS,
    ...(hasOffloads ? OFFLOADS : []),
    ...(hasUso ? USO : []),
    // A driver that may use no other address needs no way to set one.
    ...(network.isLocked === true ? [] : [VIRTIO_NET_F_CTRL_MAC_ADDR]),
    // To Linux it is the most that a user may set, too: only where somebody wants that.
    ...(network.mtu === undefined ? [] : [VIRTIO_NET_F_MTU]),
    ...(pairs > 1 ? [VIRTIO_NET_F_MQ] : []),
  ];
}

interface Dependency {
  readonly features: readonly number[];
  /** One of them. */
  readonly needs: readonly number[];
  readonly sentence: string;
}

/** §5.1.3.1. */
const DEPENDENCIES: readonly Dependency[] = [
  {
    features: [
      VIRTIO_NET_F_GUEST_TSO4,
      VIRTIO_NET_F_GUEST_TSO6,
      VIRTIO_NET_F_GUEST_UFO,
      VIRTIO_NET_F_GUEST_USO4,
      VIRTIO_NET_F_GUEST_USO6,
    ],
    needs: [VIRTIO_NET_F_GUEST_CSUM],
    sentence: 'segments for the guest without VIRTIO_NET_F_GUEST_CSUM',
  },
  {
    features: [VIRTIO_NET_F_GUEST_ECN],
    needs: [VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_GUEST_TSO6],
    sentence: 'VIRTIO_NET_F_GUEST_ECN without VIRTIO_NET_F_GUEST_TSO4 or _TSO6',
  },
  {
    features: [VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_HOST_TSO6, VIRTIO_NET_F_HOST_UFO, VIRTIO_NET_F_HOST_USO],
    needs: [VIRTIO_NET_F_CSUM],
    sentence: 'segments of the guest without VIRTIO_NET_F_CSUM',
  },
  {
    features: [VIRTIO_NET_F_HOST_ECN],
    needs: [VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_HOST_TSO6],
    sentence: 'VIRTIO_NET_F_HOST_ECN without VIRTIO_NET_F_HOST_TSO4 or _TSO6',
  },
  {
    features: [
      VIRTIO_NET_F_CTRL_RX,
      VIRTIO_NET_F_CTRL_VLAN,
      VIRTIO_NET_F_GUEST_ANNOUNCE,
      VIRTIO_NET_F_MQ,
      VIRTIO_NET_F_CTRL_MAC_ADDR,
    ],
    needs: [VIRTIO_NET_F_CTRL_VQ],
    sentence: 'features of the control queue without VIRTIO_NET_F_CTRL_VQ',
  },
];

/** What the driver has chosen is impossible; undefined: it is not. */
export function refusalOf(has: (bit: number) => boolean): string | undefined {
  return DEPENDENCIES.find(({ features, needs }) => features.some(has) && !needs.some(has))?.sentence;
}

/** §5.1.6.5.8: what may be switched on and off at run time. */
export const GUEST_OFFLOADS = [
  VIRTIO_NET_F_GUEST_CSUM,
  VIRTIO_NET_F_GUEST_TSO4,
  VIRTIO_NET_F_GUEST_TSO6,
  VIRTIO_NET_F_GUEST_ECN,
  VIRTIO_NET_F_GUEST_UFO,
  VIRTIO_NET_F_GUEST_USO4,
  VIRTIO_NET_F_GUEST_USO6,
];

export function offloadsOf(has: (bit: number) => boolean): GuestOffloads {
  const csum = has(VIRTIO_NET_F_GUEST_CSUM);
  return {
    csum,
    tso4: csum && has(VIRTIO_NET_F_GUEST_TSO4),
    tso6: csum && has(VIRTIO_NET_F_GUEST_TSO6),
    ecn: csum && has(VIRTIO_NET_F_GUEST_ECN),
    ufo: csum && has(VIRTIO_NET_F_GUEST_UFO),
    uso4: csum && has(VIRTIO_NET_F_GUEST_USO4),
    uso6: csum && has(VIRTIO_NET_F_GUEST_USO6),
  };
}

export const NO_OFFLOADS = offloadsOf(() => false);
