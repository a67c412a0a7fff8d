import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as packets from '../../vmm-core/abi/packets.ts';
import {
  ask,
  type Claim,
  contradictions,
  macroClaim,
  oracleUnavailable,
  unknownToHeaders,
} from './headerOracle.ts';

const HEADERS = [
  ...['netinet/in.h', 'net/ethernet.h', 'netinet/ip.h', 'netinet/ip6.h', 'netinet/tcp.h', 'netinet/udp.h'],
];

/** How names begin that are an offset in a struct (the rest is the field's), or with _BYTES its size. */
const STRUCTS: readonly (readonly [prefix: string, cType: string])[] = [
  ['IPHDR_', 'struct iphdr'],
  ['IP6_HDR_', 'struct ip6_hdr'],
  ['IP6_FRAG_', 'struct ip6_frag'],
  ['TCPHDR_', 'struct tcphdr'],
  ['UDPHDR_', 'struct udphdr'],
];
const ETHER_FIELDS = new Set(['ETHER_DHOST', 'ETHER_SHOST', 'ETHER_TYPE']);

function claimOf([name, value]: [string, number]): Claim {
  const struct = STRUCTS.find(([prefix]) => name.startsWith(prefix));
  if (ETHER_FIELDS.has(name)) return offset(name, value, 'struct ether_header', name.toLowerCase());
  if (struct === undefined) return macroClaim(name, value);
  const [prefix, cType] = struct;
  const field = name.slice(prefix.length).toLowerCase();
  if (field !== 'bytes') return offset(name, value, cType, field);
  return { name, value: BigInt(value), expression: `sizeof(${cType})` };
}

function offset(name: string, value: number, cType: string, field: string): Claim {
  return { name, value: BigInt(value), expression: `offsetof(${cType}, ${field})` };
}

test('the headers of packets are laid out as those of the C library say', async (t) => {
  const unavailable = await oracleUnavailable(HEADERS);
  if (unavailable !== undefined) return t.skip(unavailable);
  const claims = Object.entries(packets).map(claimOf);
  const answers = await ask(HEADERS, claims);
  assert.deepEqual(contradictions(claims, answers), []);
  assert.deepEqual(unknownToHeaders(claims, answers), []);
  t.diagnostic(`${claims.length} compared`);
});
