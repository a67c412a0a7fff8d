/** Who has a port of this host: a courtesy for messages about busy ones. Main thread. */
import { readdirSync, readlinkSync } from 'node:fs';
import { readRegularFile } from '../../../client/regularFile.ts';

const MAX_BYTES = 16 << 20;
/** States in /proc/net: a listening TCP socket, a bound UDP socket. */
const STATES = { tcp: '0A', udp: '07' } as const;

/** `nginx (1234)`; undefined: /proc does not tell. */
export function portHolder(protocol: 'tcp' | 'udp', isIpv6: boolean, port: number): string | undefined {
  const files = isIpv6 ? [`${protocol}6`, protocol] : [protocol, `${protocol}6`];
  for (const file of files) {
    const inode = inodeOf(textOf(`/proc/net/${file}`), port, STATES[protocol]);
    const holder = inode === undefined ? undefined : processWith(`socket:[${inode}]`);
    if (holder !== undefined) return holder;
  }
  return undefined;
}

/** Of the first socket on the port, in a table of /proc/net. */
export function inodeOf(table: string, port: number, state: string): string | undefined {
  const end = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  for (const line of table.split('\n').slice(1)) {
    const fields = line.trim().split(/\s+/);
    if (fields[1]?.endsWith(end) === true && fields[3] === state) return fields[9];
  }
  return undefined;
}

function processWith(socket: string): string | undefined {
  for (const pid of listOf('/proc').filter((it) => /^\d+$/.test(it))) {
    if (!listOf(`/proc/${pid}/fd`).some((fd) => linkOf(`/proc/${pid}/fd/${fd}`) === socket)) continue;
    const name = textOf(`/proc/${pid}/comm`).trim();
    return name === '' ? `process ${pid}` : `${name} (${pid})`;
  }
  return undefined;
}

/** Processes come and go, and others' are not ours to look into. */
function listOf(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

function textOf(path: string): string {
  try {
    return readRegularFile(path, { maxBytes: MAX_BYTES }).toString('latin1');
  } catch {
    return '';
  }
}
