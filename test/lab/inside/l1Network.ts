/** What guests in L1 find in the network: services of L1 itself, and its name server. */
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server } from 'node:net';
import type { TestContext } from 'node:test';
import { l1 } from './l1Storage.ts';

const DNS_PORT = 53;
/** Header and question of a DNS message, then one address (RFC 1035 §4). */
const DNS_HEADER_BYTES = 12;
const TYPE_A = 1;
const LOCAL_TABLE = 255; // RT_TABLE_LOCAL

/** Answers each question for an address with the same one, and makes L1's resolver itself. */
export async function serveNames(t: TestContext, address: readonly number[]): Promise<void> {
  const socket = createSocket('udp4');
  t.after(() => socket.close());
  socket.on('message', (question, peer) => {
    const end = question.indexOf(0, DNS_HEADER_BYTES) + 5; // the root's label, type and class
    const isAddress = question.readUInt16BE(end - 4) === TYPE_A;
    const header = Buffer.from(question.subarray(0, DNS_HEADER_BYTES));
    header.writeUInt16BE(0x8180, 2); // a response, recursion desired and available
    header.writeUInt16BE(isAddress ? 1 : 0, 6);
    header.writeUInt32BE(0, 8);
    const answer = [0xc0, DNS_HEADER_BYTES, 0, TYPE_A, 0, 1, 0, 0, 0, 60, 0, 4, ...address];
    const parts = [header, question.subarray(DNS_HEADER_BYTES, end), Buffer.from(isAddress ? answer : [])];
    socket.send(Buffer.concat(parts), peer.port, peer.address);
  });
  await bound(socket, DNS_PORT);
  await writeFile('/etc/resolv.conf', 'nameserver 127.0.0.1\n');
}

/** TCP and UDP, IPv4 and IPv6, on one port. */
export async function serveEcho(t: TestContext): Promise<number> {
  const server = createServer((socket) => socket.on('error', () => undefined).pipe(socket));
  const port = await listening(t, server);
  for (const family of ['udp4', 'udp6'] as const) {
    const socket = createSocket({ type: family, ipv6Only: family === 'udp6' });
    t.after(() => socket.close());
    socket.on('message', (bytes, peer) => socket.send(bytes, peer.port, peer.address));
    await bound(socket, port);
  }
  return port;
}

/** The same bytes, whatever is asked for. */
export async function serveFile(
  t: TestContext,
  sizeBytes: number,
): Promise<{ port: number; sha256: string }> {
  const file = randomBytes(sizeBytes);
  const server = createHttpServer((_, response) => response.end(file));
  return { port: await listening(t, server), sha256: createHash('sha256').update(file).digest('hex') };
}

/** Debian's, for the test's length. */
export async function serveIperf3(t: TestContext, port: number): Promise<void> {
  const server = spawn('iperf3', ['-s', '-p', String(port), '--forceflush'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => server.kill());
  await once(server.stdout, 'data'); // it listens
  server.stdout.resume();
}

async function listening(t: TestContext, server: Server): Promise<number> {
  t.after(() => server.close());
  server.listen(0, '::');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port; // of a TCP socket
}

async function bound(socket: Socket, port: number): Promise<void> {
  socket.bind(port);
  await once(socket, 'listening');
}

/** Addresses of L1 itself that a way of `mtuBytes` leads to. Once in an L1. */
export async function narrowWay(mtuBytes: number): Promise<readonly string[]> {
  const way = ['dev', 'lo', 'table', String(LOCAL_TABLE)];
  const mtu = ['mtu', String(mtuBytes)];
  await l1('ip', 'route', 'add', 'local', '10.9.9.9', ...way, ...mtu);
  // Of IPv6 it must be an interface's, or answers have another source. That makes a way of its own.
  await l1('ip', '-6', 'addr', 'add', 'fd09::9/128', 'dev', 'lo');
  await l1('ip', '-6', 'route', 'del', 'local', 'fd09::9', ...way);
  await l1('ip', '-6', 'route', 'add', 'local', 'fd09::9', ...way, ...mtu);
  return ['10.9.9.9', 'fd09::9'];
}

/** Addresses that L1 has no way to: one of a host, one of a network. Once in an L1. */
export async function deadEnds(): Promise<readonly [host: string, network: string]> {
  await l1('ip', 'route', 'add', 'unreachable', '10.9.1.1');
  await l1('ip', 'route', 'add', 'throw', '10.9.2.0/24'); // as if there were no default
  return ['10.9.1.1', '10.9.2.1'];
}

/** A way to the outside, which passt looks for when it starts: it ends nowhere. Once in an L1. */
export async function passtOutside(): Promise<void> {
  await l1('ip', 'addr', 'add', '10.8.0.2/24', 'dev', 'dummy0');
  await l1('ip', 'link', 'set', 'dummy0', 'up');
  await l1('ip', 'route', 'add', 'default', 'via', '10.8.0.1');
}
