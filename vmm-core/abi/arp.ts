/** ARP for IPv4 over Ethernet, RFC 826, after the Ethernet header: struct ether_arp, <netinet/if_ether.h>. */

export const ARP_HRD = 0; // u16
export const ARP_PRO = 2; // u16
export const ARP_HLN = 4; // u8
export const ARP_PLN = 5; // u8
export const ARP_OP = 6; // u16
export const ARP_SHA = 8; // 6 bytes
export const ARP_SPA = 14; // 4 bytes
export const ARP_THA = 18; // 6 bytes
export const ARP_TPA = 24; // 4 bytes
export const ARP_BYTES = 28;

export const ARPHRD_ETHER = 1;
export const ARPOP_REQUEST = 1;
export const ARPOP_REPLY = 2;
