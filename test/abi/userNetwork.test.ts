import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as arp from '../../vmm-core/abi/arp.ts';
import * as icmp from '../../vmm-core/abi/icmp.ts';
import * as tftp from '../../vmm-core/abi/tftp.ts';
import {
  ask,
  type Claim,
  contradictions,
  macroClaim,
  oracleUnavailable,
  unknownToHeaders,
} from './headerOracle.ts';

const HEADERS = ['netinet/in.h', 'netinet/ip_icmp.h', 'netinet/icmp6.h', 'netinet/if_ether.h', 'arpa/tftp.h'];

/** What the headers call it. DHCP's numbers (abi/dhcp.ts) are in none. */
const EXPRESSIONS: Readonly<Record<string, string>> = {
  ICMP_TYPE: 'offsetof(struct icmphdr, type)',
  ICMP_CODE: 'offsetof(struct icmphdr, code)',
  ICMP_CHECKSUM: 'offsetof(struct icmphdr, checksum)',
  ICMP_ID: 'offsetof(struct icmphdr, un.echo.id)',
  ICMP_SEQUENCE: 'offsetof(struct icmphdr, un.echo.sequence)',
  ICMP_MTU: 'offsetof(struct icmphdr, un.frag.mtu)',
  ICMP6_MTU: 'offsetof(struct icmp6_hdr, icmp6_mtu)',
  ICMP6_PPTR: 'offsetof(struct icmp6_hdr, icmp6_pptr)',
  ICMP_HEADER_BYTES: 'sizeof(struct icmphdr)',
  ICMP6_INFOMSG: 'ICMP6_INFOMSG_MASK',
  ND_TARGET: 'offsetof(struct nd_neighbor_solicit, nd_ns_target)',
  ND_RS_BYTES: 'sizeof(struct nd_router_solicit)',
  ND_NS_BYTES: 'sizeof(struct nd_neighbor_solicit)',
  ND_HOP_LIMIT: 'MAXTTL',
  ARP_HRD: 'offsetof(struct ether_arp, arp_hrd)',
  ARP_PRO: 'offsetof(struct ether_arp, arp_pro)',
  ARP_HLN: 'offsetof(struct ether_arp, arp_hln)',
  ARP_PLN: 'offsetof(struct ether_arp, arp_pln)',
  ARP_OP: 'offsetof(struct ether_arp, arp_op)',
  ARP_SHA: 'offsetof(struct ether_arp, arp_sha)',
  ARP_SPA: 'offsetof(struct ether_arp, arp_spa)',
  ARP_THA: 'offsetof(struct ether_arp, arp_tha)',
  ARP_TPA: 'offsetof(struct ether_arp, arp_tpa)',
  ARP_BYTES: 'sizeof(struct ether_arp)',
  TFTP_PORT: 'IPPORT_TFTP',
  TFTP_RRQ: 'RRQ',
  TFTP_WRQ: 'WRQ',
  TFTP_DATA: 'DATA',
  TFTP_ACK: 'ACK',
  TFTP_ERROR: 'ERROR',
  TFTP_DEFAULT_BLKSIZE: 'SEGSIZE',
  TFTP_UNDEFINED: 'EUNDEF',
  TFTP_NOT_FOUND: 'ENOTFOUND',
  TFTP_ACCESS: 'EACCESS',
  TFTP_ILLEGAL: 'EBADOP',
};
/** Of later RFCs, which the headers do not know. */
const OF_RFCS = new Set([
  ...['ND_OPT_RDNSS', 'ND_OPT_DNSSL'],
  ...['TFTP_OACK', 'TFTP_HEADER_BYTES', 'TFTP_MIN_BLKSIZE', 'TFTP_MAX_BLKSIZE'],
]);

function claimOf([name, value]: [string, number]): Claim[] {
  if (OF_RFCS.has(name)) return [];
  const expression = EXPRESSIONS[name];
  return [expression === undefined ? macroClaim(name, value) : { name, value: BigInt(value), expression }];
}

test('ARP, ICMP and TFTP are as the headers of the C library say', async (t) => {
  const unavailable = await oracleUnavailable(HEADERS);
  if (unavailable !== undefined) return t.skip(unavailable);
  const claims = [arp, icmp, tftp].flatMap((it) => Object.entries<number>({ ...it }).flatMap(claimOf));
  const answers = await ask(HEADERS, claims);
  assert.deepEqual(contradictions(claims, answers), []);
  assert.deepEqual(unknownToHeaders(claims, answers), []);
  t.diagnostic(`${claims.length} compared`);
});
