/** What main and the link on the I/O thread say to each other. Plain data. */
import type { SocketAddress } from '../../../bus/socketAddress.ts';
import type { UserNetwork } from './addresses.ts';
import type { GuestForward } from './destinations.ts';
import type { TcpForward } from './tcpForwards.ts';
import type { TftpAsks, TftpTold } from './tftpFolder.ts';
import type { UdpForward } from './udpForwards.ts';

/** LinkBackend.opened. */
export interface UserOpened {
  readonly network: UserNetwork;
  readonly nameservers: readonly SocketAddress[];
  readonly search: readonly string[];
  readonly hostname: string;
  readonly bootfile: string | undefined;
  readonly isRestricted: boolean;
  readonly hasTftp: boolean;
  readonly guestForwards: readonly GuestForward[];
  readonly tcpForwards: readonly TcpForward[];
  readonly udpForwards: readonly UdpForward[];
}

/** From main. */
export type UserCommand =
  | { readonly kind: 'addForward'; readonly protocol: 'tcp' | 'udp'; readonly forward: TcpForward }
  | { readonly kind: 'removeForward'; readonly protocol: 'tcp' | 'udp'; readonly id: number }
  | { readonly kind: 'nameservers'; readonly list: readonly SocketAddress[] }
  | TftpTold;

/** To main. */
export type UserNews =
  /** The guest asks for names: has the host's resolver changed? */
  { readonly kind: 'nameservers' } | TftpAsks;
