/**
 * All of a `user` network under a guest that sends as much as it can of what costs most: memory, tables and
 * descriptors end at a bound, and the network answers afterwards. FLOOD_FRAMES makes it long (test/soak).
 */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import { Bytes } from '../../../../test/support/bytes.ts';
import { ethernet, ICMP, ip4, TCP, UDP, withChecksum } from '../../../../test/support/rawPackets.ts';
import { DNS, GUEST, GUEST_MAC, HOST, UserGuest } from '../../../../test/support/userGuest.ts';
import { TH_SYN } from '../../../abi/packets.ts';
import { AF_INET, SOCK_STREAM } from '../../../abi/socket.ts';
import { closeFd } from '../../../kvm/libc.ts';
import { bindSocket, localAddress, openSocket } from '../../../kvm/net/sockets.ts';
import { tcpOf } from './attachUser.ts';
import { MAX_DATAGRAMS } from './fragments.ts';
import { MAX_CONNECTIONS } from './tcp/tcpHost.ts';
import { MAX_MAPPINGS } from './udpNat.ts';

const FRAMES = Number(process.env['FLOOD_FRAMES'] ?? '20000');
const FRAMES_A_TURN = 256;
/** Of the guest. */
const FIRST_PORT = 1024;
const PORTS = 60_000;
/** Of the whole process, garbage of the test's own frames included. */
const MOST_GROWN_BYTES = 128 << 20;
const ALL = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
const MAX_NEIGHBOURS = 64;

/** Floods, and looks at the tables and at the process. Nothing leaves this machine. */
async function flood(t: TestContext, send: (it: UserGuest, index: number) => void, port = 53): Promise<void> {
  const nameservers = [{ family: 'ipv4' as const, address: Uint8Array.of(127, 0, 0, 1), port }];
  const it = new UserGuest({ makeTcp: tcpOf, opened: { nameservers } });
  it.doNotLook();
  const fdsBefore = openFds();
  const { rss: rssBefore } = process.memoryUsage();
  for (let index = 0; index < FRAMES; index++) {
    send(it, index);
    if (index % FRAMES_A_TURN === 0) await it.turn();
  }
  const grown = process.memoryUsage().rss - rssBefore;
  const most = openFds() - fdsBefore;
  const report = it.link.report() as {
    neighbours: unknown[];
    udp: { mappings: number };
    counters: { datagramsIncomplete: number };
  };
  t.diagnostic(`${FRAMES} frames: ${Math.round(grown / 2 ** 20)} MiB more, ${most} descriptors more`);
  assert.ok(grown < MOST_GROWN_BYTES, `the process has grown by ${grown >> 20} MiB`);
  assert.ok(most <= MAX_CONNECTIONS + MAX_MAPPINGS, `${most} descriptors are open`);
  assert.ok(report.udp.mappings <= MAX_MAPPINGS);
  assert.ok(report.counters.datagramsIncomplete <= MAX_DATAGRAMS);
  assert.ok(Object.keys(report.neighbours).length <= MAX_NEIGHBOURS);
  const { length } = it.troubles;
  assert.ok(length <= 2, `the user is told ${length} times`);
  await it.turn();
  it.link.reset();
  it.close();
  assert.ok(openFds() <= fdsBefore, 'a descriptor is left open');
}

function openFds(): number {
  return readdirSync('/proc/self/fd').length;
}

function deafPort(t: TestContext): number {
  const fd = openSocket(AF_INET, SOCK_STREAM);
  t.after(() => closeFd(fd));
  assert.equal(bindSocket(fd, { family: 'ipv4', address: Uint8Array.of(127, 0, 0, 1), port: 0 }), 0);
  const address = localAddress(fd);
  assert.ok(typeof address !== 'number' && address.family === 'ipv4');
  return address.port;
}

function syn(it: UserGuest, index: number, toPort: number): void {
  const header = { from: GUEST, to: HOST, protocol: TCP };
  const segment = new Bytes(false)
    .u16(FIRST_PORT + (index % PORTS), toPort)
    .bytes([0, 0, index >> 8, index & 0xff], [0, 0, 0, 0])
    .u8(0x50, TH_SYN)
    .u16(65_535, 0, 0);
  it.sendIp(header, withChecksum(header, segment.done(), 16));
}

describe('a guest that floods leaves memory, tables and descriptors within their bounds', () => {
  it('by SYNs, each of another connection, which are refused', async (t) => {
    // As many of the host's ports as that takes. They are bound and nobody listens: none may stay.
    const ports = Array.from({ length: Math.ceil(FRAMES / PORTS) }, () => deafPort(t));
    await flood(t, (it, index) => syn(it, index, ports[Math.floor(index / PORTS)] ?? 0));
  });

  it('by questions to the name server, each from another port, which does not answer', async (t) => {
    const silent = createSocket('udp4').bind(0, '127.0.0.1');
    await once(silent, 'listening');
    t.after(() => silent.close());
    const question = new Bytes(false).u16(1, 0x100, 1, 0, 0, 0).u8(1, 97, 0).u16(1, 1).done();
    await flood(
      t,
      (it, index) => it.sendUdp(GUEST, FIRST_PORT + (index % PORTS), DNS, 53, question),
      silent.address().port,
    );
  });

  it('by tiny fragments of all datagrams', (t) =>
    flood(t, (it, index) => {
      const part = { id: index & 0xffff, offset: 8 * (index % 7), more: true };
      it.sendIp({ from: GUEST, to: ip4('192.0.2.1'), protocol: UDP, ...part }, new Uint8Array(8));
    }));

  it('by ARP as any address for any', (t) =>
    flood(t, (it, index) => {
      const [high, low] = [(index >> 8) & 0xff, index & 0xff];
      const addresses = new Bytes(false).bytes(GUEST_MAC, [10, 0, 2, low], new Uint8Array(6), [
        10,
        0,
        high,
        low,
      ]);
      const body = new Bytes(false)
        .u16(1, 0x0800)
        .u8(6, 4)
        .u16(1 + (index & 1))
        .bytes(addresses.done());
      it.send(ethernet(ALL, GUEST_MAC, 0x0806, body.done()));
    }));

  it('by broadcasts and pings to all of its network', (t) =>
    flood(t, (it, index) => {
      const to = index % 2 === 0 ? ip4('255.255.255.255') : ip4(`10.0.2.${index & 0xff}`);
      const echo = new Bytes(false)
        .u8(8, 0)
        .u16(0, index & 0xffff, 1)
        .done();
      it.sendIcmp({ from: GUEST, to, protocol: ICMP }, echo);
      it.sendUdp(GUEST, FIRST_PORT + (index % PORTS), ip4('255.255.255.255'), 137, Uint8Array.of(index));
    }));
});
