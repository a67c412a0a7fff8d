/** What can be said of a network interface. */

export const NETWORK_KINDS = ['user', 'tap', 'local', 'switch', 'stream', 'passt'] as const;
export type NetworkKind = (typeof NETWORK_KINDS)[number];

/** Absent options are off, or as the table says. */
export interface NetworkConfig {
  readonly kind: NetworkKind;
  /** Six bytes with colons; absent: made from the VM's name and the interface's number. */
  readonly lladdr?: string;
  /** Frames from or to any other address are dropped. */
  readonly isLocked?: boolean;
  /** The link is down at the start. */
  readonly isDown?: boolean;
  /** Largest IP datagram: 68 to 65535. */
  readonly mtu?: number;
  /** Pairs of queues; absent: one per vCPU, at most 4, where the link has them. */
  readonly queues?: number;
  readonly transport?: 'pci' | 'mmio';
  /** It has an I/O thread of its own. */
  readonly iothread?: boolean;
  /** A pcapng file that the interface's frames are written to from the start. */
  readonly capture?: string;

  // Of `user`.
  readonly forwards?: readonly ForwardConfig[];
  readonly guestForwards?: readonly GuestForwardConfig[];
  /** Nothing but the network's own services and what is forwarded. */
  readonly isRestricted?: boolean;
  /** IPv4, as 10.0.2.0/24, the default. The host is .2, the name server .3, the guest from .15 on. */
  readonly prefix?: string;
  /** IPv6, /64; absent: one of our own. */
  readonly prefix6?: string;
  /** What DHCP calls the guest; absent: the VM's name. */
  readonly hostname?: string;
  /** The name server that the guest's questions go to; absent: the host's. */
  readonly dns?: string;
  /** Folders that the host's address serves to the guest, read-only. */
  readonly tftp?: string;
  readonly http?: string;
  /** What DHCP names for network boot. */
  readonly bootfile?: string;

  // Of `tap` and `local`.
  /** `tap7`; absent: a new one. */
  readonly tap?: string;
  readonly group?: string;
  readonly rdomain?: number;

  // Of `switch`.
  readonly switch?: string;

  // Of `stream`, and of `passt` where one runs already: a unix socket, or ADDRESS:PORT.
  readonly socket?: string;
}

/** From the host to the guest. */
export interface ForwardConfig {
  readonly protocol: 'tcp' | 'udp';
  /** Absent: loopback. */
  readonly hostAddress?: string;
  /** The first of `count`. */
  readonly hostPort?: number;
  /** In place of address and port: a unix socket; TCP only. */
  readonly hostPath?: string;
  readonly guestPort: number;
  /** Absent: the guest's own by DHCP. */
  readonly guestAddress?: string;
  readonly count?: number;
}

/** From an address of the virtual network to the host. */
export interface GuestForwardConfig {
  readonly guestAddress: string;
  readonly guestPort: number;
  readonly hostAddress?: string;
  readonly hostPort?: number;
  readonly hostPath?: string;
}
