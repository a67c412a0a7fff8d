/**
 * What is in a frame: offsets of fields, all big-endian, as <net/ethernet.h>, <netinet/ip.h>,
 * <netinet/ip6.h>, <netinet/tcp.h> and <netinet/udp.h> spell them. Flat numbers, because every packet is
 * read by hand.
 */

// struct ether_header.
export const ETHER_DHOST = 0;
export const ETHER_SHOST = 6;
export const ETHER_TYPE = 12;
export const ETHER_HDR_LEN = 14;
export const ETHER_ADDR_LEN = 6;
export const ETHERTYPE_IP = 0x0800;
export const ETHERTYPE_ARP = 0x0806;
export const ETHERTYPE_VLAN = 0x8100;
export const ETHERTYPE_IPV6 = 0x86dd;

// struct iphdr, RFC 791 §3.1. Version and length of the header, in words, share the first byte.
export const IPHDR_TOS = 1;
export const IPHDR_TOT_LEN = 2;
export const IPHDR_ID = 4;
export const IPHDR_FRAG_OFF = 6;
export const IPHDR_TTL = 8;
export const IPHDR_PROTOCOL = 9;
export const IPHDR_CHECK = 10;
export const IPHDR_SADDR = 12;
export const IPHDR_DADDR = 16;
export const IPHDR_BYTES = 20;
export const IP_DF = 0x4000; // of frag_off: do not fragment
export const IP_MF = 0x2000; // more fragments follow
export const IP_OFFMASK = 0x1fff; // in units of 8 bytes

// struct ip6_hdr, RFC 8200 §3.
export const IP6_HDR_IP6_PLEN = 4;
export const IP6_HDR_IP6_NXT = 6;
export const IP6_HDR_IP6_HLIM = 7;
export const IP6_HDR_IP6_SRC = 8;
export const IP6_HDR_IP6_DST = 24;
export const IP6_HDR_BYTES = 40;

// Extension headers, RFC 8200 §4.1. All but the fragment's begin with `next` and a length in units of 8.
export const IPPROTO_HOPOPTS = 0;
export const IPPROTO_ROUTING = 43;
export const IPPROTO_FRAGMENT = 44;
export const IPPROTO_AH = 51;
export const IPPROTO_NONE = 59;
export const IPPROTO_DSTOPTS = 60;

// struct ip6_frag, RFC 8200 §4.5.
export const IP6_FRAG_IP6F_NXT = 0;
export const IP6_FRAG_IP6F_OFFLG = 2;
export const IP6_FRAG_IP6F_IDENT = 4;
export const IP6_FRAG_BYTES = 8;

// struct tcphdr, RFC 9293 §3.1. The header's length, in words, is the upper half of byte 12.
export const TCPHDR_SOURCE = 0;
export const TCPHDR_DEST = 2;
export const TCPHDR_SEQ = 4;
export const TCPHDR_ACK_SEQ = 8;
export const TCPHDR_WINDOW = 14;
export const TCPHDR_CHECK = 16;
export const TCPHDR_URG_PTR = 18;
export const TCPHDR_BYTES = 20;
export const TH_FIN = 0x01; // byte 13
export const TH_SYN = 0x02;
export const TH_RST = 0x04;
export const TH_PUSH = 0x08;
export const TH_ACK = 0x10;
export const TH_URG = 0x20;

// Options of TCP: RFC 9293 §3.2, RFC 7323, RFC 2018.
export const TCPOPT_EOL = 0;
export const TCPOPT_NOP = 1;
export const TCPOPT_MAXSEG = 2;
export const TCPOLEN_MAXSEG = 4;
export const TCPOPT_WINDOW = 3;
export const TCPOLEN_WINDOW = 3;
export const TCPOPT_SACK_PERMITTED = 4;
export const TCPOLEN_SACK_PERMITTED = 2;
export const TCPOPT_SACK = 5;
/** RFC 7323 §2.3. */
export const TCP_MAX_WINSHIFT = 14;

// struct udphdr, RFC 768.
export const UDPHDR_SOURCE = 0;
export const UDPHDR_DEST = 2;
export const UDPHDR_LEN = 4;
export const UDPHDR_CHECK = 6;
export const UDPHDR_BYTES = 8;
