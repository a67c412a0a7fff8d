/** What `vmm show` says of a `user` network. */
import { ipText } from '../../../bus/socketAddress.ts';
import type { LinkReport, LinkValue } from '../netLink.ts';
import { macText } from './addresses.ts';
import { u32Bytes } from './dhcp.ts';
import type { GuestTables } from './guestTables.ts';
import type { Pings } from './pings.ts';
import type { TcpForwards } from './tcpForwards.ts';
import type { TcpPart } from './tcpPart.ts';
import type { UdpForwards } from './udpForwards.ts';
import { endpointText, type UdpNat } from './udpNat.ts';
import type { UdpServices } from './udpServices.ts';
import type { UserHost } from './userHost.ts';

export interface ReportParts {
  readonly host: UserHost;
  readonly tables: GuestTables;
  readonly udp: UdpNat;
  readonly udpForwards: UdpForwards;
  readonly tcp: TcpPart;
  readonly tcpForwards: TcpForwards;
  readonly services: UdpServices;
  readonly pings: Pings;
  readonly fragments: number;
  readonly badFragments: number;
}

const MAX_ROWS = 256;

export function userReport(parts: ReportParts): LinkReport {
  const { host, tables, udp, udpForwards, tcp, tcpForwards, services, pings } = parts;
  const { network, nameservers, errors } = host;
  const { ipv4, ipv6 } = network;
  const server = nameservers.current;
  return {
    network: `${ipText(ipv4.network)}/${ipv4.bits}`,
    network6: `${ipText(ipv6.network)}/64`,
    host: `${ipText(ipv4.host)}, ${ipText(ipv6.host)}`,
    nameServer: `${ipText(ipv4.dns)}, ${ipText(ipv6.dns)}`,
    asks: server.family === 'unix' ? server.path : endpointText(server.address, server.port),
    guest: ipText(tables.guestAddress),
    leases: leaseRows(tables, host.nowMs()),
    neighbours: tables.neighbours.all.map(({ address, mac }) => ({
      address: ipText(address),
      mac: macText(mac),
    })),
    tcp: tcp.report(),
    udp: { mappings: udp.count, table: udp.report().slice(0, MAX_ROWS) },
    forwards: [...tcpForwards.report(), ...udpForwards.report()],
    pings: pings.count,
    transfers: services.tftp?.report() ?? [],
    counters: {
      questions: nameservers.questions,
      mappingsEvicted: udp.evicted,
      datagramsRefused: udp.refused,
      icmpErrors: errors.sent,
      icmpErrorsWithheld: errors.withheld,
      datagramsIncomplete: parts.fragments,
      fragmentsDropped: parts.badFragments,
    },
  };
}

function leaseRows(tables: GuestTables, nowMs: number): LinkValue[] {
  const rows: LinkValue[] = [];
  tables.leases.forEachBound((address, mac, untilMs) => {
    const hex = mac.toString(16).padStart(12, '0');
    rows.push({
      address: ipText(u32Bytes(address)),
      mac: hex.replace(/(..)(?!$)/g, '$1:'),
      seconds: Math.max(0, Math.floor((untilMs - nowMs) / 1000)),
    });
  });
  return rows;
}
