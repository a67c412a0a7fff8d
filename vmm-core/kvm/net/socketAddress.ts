/** Where it was; goes away once nobody imports it from here. */
export type { SocketAddress } from '../../bus/socketAddress.ts';
