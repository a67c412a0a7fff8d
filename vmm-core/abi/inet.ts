/** The Internet's sockets, as <netinet/in.h> and <netinet/tcp.h> spell them. ip(7), ipv6(7), tcp(7). */

export const IPPROTO_IP = 0;
export const IPPROTO_ICMP = 1;
export const IPPROTO_TCP = 6;
export const IPPROTO_UDP = 17;
export const IPPROTO_IPV6 = 41;
export const IPPROTO_ICMPV6 = 58;

// Options of IPPROTO_IP.
export const IP_TOS = 1;
export const IP_TTL = 2;
export const IP_MTU_DISCOVER = 10;
export const IP_RECVERR = 11;
export const IP_BIND_ADDRESS_NO_PORT = 24;
export const IP_PMTUDISC_DONT = 0; // values of IP_MTU_DISCOVER
export const IP_PMTUDISC_DO = 2;

// Options of IPPROTO_IPV6.
export const IPV6_UNICAST_HOPS = 16;
export const IPV6_MTU_DISCOVER = 23;
export const IPV6_RECVERR = 25;
export const IPV6_V6ONLY = 26;

// Options of IPPROTO_TCP.
export const TCP_NODELAY = 1;
export const TCP_MAXSEG = 2;
export const TCP_CORK = 3;
export const TCP_KEEPIDLE = 4;
export const TCP_INFO = 11;
export const TCP_QUICKACK = 12;
export const TCP_USER_TIMEOUT = 18;
export const TCP_NOTSENT_LOWAT = 25;

/** struct sockaddr_in: offsets; port and address are big-endian. */
export const SOCKADDR_IN = { sin_family: 0, sin_port: 2, sin_addr: 4 } as const;
export const SOCKADDR_IN_BYTES = 16;

export const SOCKADDR_IN6 = { sin6_family: 0, sin6_port: 2, sin6_addr: 8, sin6_scope_id: 24 } as const;
export const SOCKADDR_IN6_BYTES = 28;
