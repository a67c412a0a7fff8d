/** What the inspector shows of TCP: plain data. */
import { addressText, type SocketAddress } from '../../../../bus/socketAddress.ts';
import type { LinkReport } from '../../netLink.ts';
import type { ConnectionTable } from './connectionTable.ts';
import type { TcpConnection } from './tcpConnection.ts';
import type { Endpoint } from './tcpHost.ts';

/** More than anybody reads. */
const MAX_SHOWN = 256;

/** The youngest connections. */
export function connectionReports(table: ConnectionTable, nowMs: number): LinkReport[] {
  const all: TcpConnection[] = [];
  table.forEach((it) => all.push(it));
  all.sort((a, b) => b.openedMs - a.openedMs);
  return all.slice(0, MAX_SHOWN).map((it) => connectionReport(it, nowMs));
}

function connectionReport(connection: TcpConnection, nowMs: number): LinkReport {
  const { fromGuestBytes, fromHostBytes, guest, peer } = connection;
  const [fromGuestBytesPerSecond = 0, fromHostBytesPerSecond = 0] = connection.rates.of(nowMs, [
    fromGuestBytes,
    fromHostBytes,
  ]);
  return {
    guest: endpointText(guest),
    peer: endpointText(peer),
    state: stateName(connection),
    fromGuestBytes,
    fromHostBytes,
    fromGuestBytesPerSecond,
    fromHostBytesPerSecond,
    inFlightBytes: connection.inFlight,
    guestWindowBytes: connection.sndWnd,
    waitingForHostBytes: connection.toHost.bytes,
    resentSegments: connection.resent,
    maxSegmentBytes: connection.mss,
    ageSeconds: Math.round((nowMs - connection.openedMs) / 1000),
  };
}

/** Ours, as RFC 9293 §3.3.2 calls it; CONNECTING is not TCP's. */
function stateName({ state, hasGuestFin, isFinSent, isFinAcked }: TcpConnection): string {
  if (state === 'connecting') return 'CONNECTING';
  if (state === 'synReceived') return 'SYN-RECEIVED';
  if (state === 'synSent') return 'SYN-SENT';
  if (state === 'timeWait') return 'TIME-WAIT';
  if (state === 'broken' || state === 'closed') return 'CLOSED';
  if (!isFinSent) return hasGuestFin ? 'CLOSE-WAIT' : 'ESTABLISHED';
  if (!hasGuestFin) return isFinAcked ? 'FIN-WAIT-2' : 'FIN-WAIT-1';
  return isFinAcked ? 'CLOSED' : 'LAST-ACK';
}

function endpointText({ address, port }: Endpoint): string {
  const family: SocketAddress['family'] = address.length === 4 ? 'ipv4' : 'ipv6';
  return addressText({ family, address, port });
}
