/** An end of a socket, as JavaScript has it; kvm/net/sockets.ts makes struct sockaddr_… of it. */
export type SocketAddress =
  | { readonly family: 'ipv4'; readonly address: Uint8Array; readonly port: number }
  | { readonly family: 'ipv6'; readonly address: Uint8Array; readonly port: number; readonly scope?: number }
  | { readonly family: 'unix'; readonly path: string };
