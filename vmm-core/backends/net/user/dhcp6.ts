/**
 * A stateless DHCPv6 server (RFC 8415 §18.3.6): guests make addresses of the router's advertisements and ask
 * here for name servers. Pure, as dhcp.ts.
 */
import {
  D6O_CLIENTID,
  D6O_DNS_SERVERS,
  D6O_DOMAIN_SEARCH,
  D6O_IA_NA,
  D6O_IA_PD,
  D6O_IA_TA,
  D6O_SERVERID,
  DHCPV6_INFORMATION_REQUEST,
  DHCPV6_REPLY,
  DUID_LL,
  HTYPE_ETHERNET,
} from '../../../abi/dhcp.ts';
import { domainNames } from './domainNames.ts';

export interface Dhcp6Settings {
  /** Of the server: its DUID is made of it. */
  readonly mac: Uint8Array;
  readonly dns: Uint8Array;
  readonly search: readonly string[];
}

const HEADER_BYTES = 4;
/** §11.1 */
const MAX_DUID_BYTES = 130;

/** `request` is the UDP payload. Undefined: it wants no answer of a stateless server. */
export function answerDhcp6(request: Uint8Array, settings: Dhcp6Settings): Uint8Array | undefined {
  if (request.length < HEADER_BYTES || request[0] !== DHCPV6_INFORMATION_REQUEST) return undefined;
  const serverId = Uint8Array.of(0, DUID_LL, 0, HTYPE_ETHERNET, ...settings.mac);
  let clientId: Uint8Array | undefined;
  for (let at = HEADER_BYTES; at < request.length;) {
    if (at + 4 > request.length) return undefined;
    const code = u16(request, at);
    const end = at + 4 + u16(request, at + 2);
    if (end > request.length) return undefined;
    const value = request.subarray(at + 4, end);
    if (code === D6O_CLIENTID) clientId = value;
    // §16.12: it asks for no addresses, nor another server.
    if (code === D6O_IA_NA || code === D6O_IA_TA || code === D6O_IA_PD) return undefined;
    if (code === D6O_SERVERID && Buffer.compare(value, serverId) !== 0) return undefined;
    at = end;
  }
  if (clientId !== undefined && clientId.length > MAX_DUID_BYTES) return undefined;
  return Buffer.concat([
    Uint8Array.of(DHCPV6_REPLY),
    request.subarray(1, HEADER_BYTES), // the transaction
    option(D6O_SERVERID, serverId),
    ...(clientId === undefined ? [] : [option(D6O_CLIENTID, clientId)]),
    option(D6O_DNS_SERVERS, settings.dns),
    ...(settings.search.length === 0 ? [] : [option(D6O_DOMAIN_SEARCH, domainNames(settings.search))]),
  ]);
}

function option(code: number, value: Uint8Array): Uint8Array {
  return Uint8Array.of(code >> 8, code & 0xff, value.length >> 8, value.length & 0xff, ...value);
}

function u16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}
