/** ICMP, RFC 792, and ICMPv6, RFC 4443, with neighbour discovery, RFC 4861. Fields are big-endian. */

// Both: struct icmphdr and struct icmp6_hdr.
export const ICMP_TYPE = 0; // u8
export const ICMP_CODE = 1; // u8
export const ICMP_CHECKSUM = 2; // u16
export const ICMP_ID = 4; // u16, of an echo
export const ICMP_SEQUENCE = 6; // u16
export const ICMP_MTU = 6; // u16, of ICMP_FRAG_NEEDED (RFC 1191 §4)
export const ICMP6_MTU = 4; // u32, of ICMP6_PACKET_TOO_BIG
export const ICMP6_PPTR = 4; // u32, of ICMP6_PARAM_PROB
export const ICMP_HEADER_BYTES = 8;

// <netinet/ip_icmp.h>
export const ICMP_ECHOREPLY = 0;
export const ICMP_DEST_UNREACH = 3;
export const ICMP_ECHO = 8;
export const ICMP_TIME_EXCEEDED = 11;
// Codes of ICMP_DEST_UNREACH.
export const ICMP_NET_UNREACH = 0;
export const ICMP_HOST_UNREACH = 1;
export const ICMP_PROT_UNREACH = 2;
export const ICMP_PORT_UNREACH = 3;
export const ICMP_FRAG_NEEDED = 4;
export const ICMP_PKT_FILTERED = 13;

// <netinet/icmp6.h>
export const ICMP6_DST_UNREACH = 1;
export const ICMP6_PACKET_TOO_BIG = 2;
export const ICMP6_TIME_EXCEEDED = 3;
export const ICMP6_PARAM_PROB = 4;
export const ICMP6_ECHO_REQUEST = 128;
export const ICMP6_ECHO_REPLY = 129;
/** Types from here on are no errors (RFC 4443 §2.1). */
export const ICMP6_INFOMSG = 128;
// Codes of ICMP6_DST_UNREACH and ICMP6_PARAM_PROB.
export const ICMP6_DST_UNREACH_NOROUTE = 0;
export const ICMP6_DST_UNREACH_ADMIN = 1;
export const ICMP6_DST_UNREACH_ADDR = 3;
export const ICMP6_DST_UNREACH_NOPORT = 4;
export const ICMP6_PARAMPROB_NEXTHEADER = 1;

export const ND_ROUTER_SOLICIT = 133;
export const ND_ROUTER_ADVERT = 134;
export const ND_NEIGHBOR_SOLICIT = 135;
export const ND_NEIGHBOR_ADVERT = 136;
export const ND_TARGET = 8; // of a neighbour's messages: 16 bytes
export const ND_RS_BYTES = 8;
export const ND_NS_BYTES = 24;
// Of an advertisement's flags.
export const ND_NA_FLAG_ROUTER = 0x80;
export const ND_NA_FLAG_SOLICITED = 0x40;
export const ND_NA_FLAG_OVERRIDE = 0x20;
export const ND_RA_FLAG_OTHER = 0x40;

export const ND_OPT_SOURCE_LINKADDR = 1;
export const ND_OPT_TARGET_LINKADDR = 2;
export const ND_OPT_PREFIX_INFORMATION = 3;
export const ND_OPT_PI_FLAG_ONLINK = 0x80;
export const ND_OPT_PI_FLAG_AUTO = 0x40;
export const ND_OPT_MTU = 5;
export const ND_OPT_RDNSS = 25; // RFC 8106
export const ND_OPT_DNSSL = 31; // RFC 8106
/** RFC 4861 §6.1.1: what comes from another link has less. */
export const ND_HOP_LIMIT = 255;
