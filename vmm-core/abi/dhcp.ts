// DHCP: RFC 2131 (messages) and RFC 2132 (options). Offsets in the UDP payload; numbers are big-endian.

export const BOOTP_OP = 0; // u8
export const BOOTP_HTYPE = 1; // u8
export const BOOTP_HLEN = 2; // u8
export const BOOTP_XID = 4; // u32
export const BOOTP_SECS = 8; // u16
export const BOOTP_FLAGS = 10; // u16
export const BOOTP_CIADDR = 12; // the client's address, where it has one
export const BOOTP_YIADDR = 16; // the address it gets
export const BOOTP_SIADDR = 20; // where its boot file is
export const BOOTP_GIADDR = 24; // a relay's
export const BOOTP_CHADDR = 28; // 16 bytes
export const BOOTP_SNAME = 44; // 64 bytes
export const BOOTP_FILE = 108; // 128 bytes
export const BOOTP_MAGIC = 236; // u32
export const BOOTP_OPTIONS = 240;
/** Of the file's name, with its NUL. */
export const BOOTP_FILE_BYTES = 128;
/** RFC 951: no message is shorter. */
export const BOOTP_MIN_BYTES = 300;
/** RFC 2131 §2: what every client takes, without IP and UDP headers: 576 - 28. */
export const DHCP_MIN_MAX_BYTES = 548;

export const BOOTREQUEST = 1;
export const BOOTREPLY = 2;
export const HTYPE_ETHERNET = 1;
export const BOOTP_FLAG_BROADCAST = 0x8000;
export const DHCP_MAGIC = 0x63825363;

export const DHCP_SERVER_PORT = 67;
export const DHCP_CLIENT_PORT = 68;

// RFC 2132 §9.6: message types.
export const DHCPDISCOVER = 1;
export const DHCPOFFER = 2;
export const DHCPREQUEST = 3;
export const DHCPDECLINE = 4;
export const DHCPACK = 5;
export const DHCPNAK = 6;
export const DHCPRELEASE = 7;
export const DHCPINFORM = 8;

// Option codes.
export const DHO_PAD = 0;
export const DHO_SUBNET_MASK = 1;
export const DHO_ROUTERS = 3;
export const DHO_DOMAIN_NAME_SERVERS = 6;
export const DHO_HOST_NAME = 12;
export const DHO_DOMAIN_NAME = 15;
export const DHO_INTERFACE_MTU = 26;
export const DHO_BROADCAST_ADDRESS = 28;
export const DHO_DHCP_REQUESTED_ADDRESS = 50;
export const DHO_DHCP_LEASE_TIME = 51;
export const DHO_DHCP_MESSAGE_TYPE = 53;
export const DHO_DHCP_SERVER_IDENTIFIER = 54;
export const DHO_DHCP_PARAMETER_REQUEST_LIST = 55;
export const DHO_TFTP_SERVER_NAME = 66;
export const DHO_BOOTFILE_NAME = 67;
export const DHO_DOMAIN_SEARCH = 119; // RFC 3397
export const DHO_END = 255;

// DHCPv6, RFC 8415, as much of it as a stateless server needs (§18.3.6).
export const DHCPV6_SERVER_PORT = 547;
export const DHCPV6_CLIENT_PORT = 546;
export const DHCPV6_REPLY = 7;
export const DHCPV6_INFORMATION_REQUEST = 11;
export const D6O_CLIENTID = 1;
export const D6O_SERVERID = 2;
export const D6O_IA_NA = 3;
export const D6O_IA_TA = 4;
export const D6O_IA_PD = 25; // RFC 3633
export const D6O_DNS_SERVERS = 23; // RFC 3646
export const D6O_DOMAIN_SEARCH = 24; // RFC 3646
export const DUID_LL = 3; // §11.4
