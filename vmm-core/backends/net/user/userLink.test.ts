/** All of a `user` network together: a guest's TCP over the link, the host's sockets at the other end. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type GuestSocket, GuestTcp, type GuestTcpOptions } from '../../../../test/support/guestTcp.ts';
import { PlannedFaults } from '../../../../test/support/ioFaults.ts';
import { ICMP, ICMPV6, ip4, ip6 } from '../../../../test/support/rawPackets.ts';
import {
  DNS,
  GUEST,
  GUEST6,
  type GuestOptions,
  HOST,
  HOST6,
  UserGuest,
} from '../../../../test/support/userGuest.ts';
import type { NetworkConfig } from '../../../config/settings/networkOptions.ts';
import { EHOSTUNREACH } from '../../../kvm/errno.ts';
import { injectFaults } from '../../../kvm/io/faults.ts';
import type { LinkHost } from '../linkKind.ts';
import type { GuestPort } from '../netLink.ts';
import { attach, tcpOf } from './attachUser.ts';
import { open } from './openUser.ts';
import type { UserOpened } from './userMessages.ts';

const root = mkdtempSync(join(tmpdir(), 'link-'));
process.env.XDG_RUNTIME_DIR = root;
const closing: (() => void)[] = [() => rmSync(root, { recursive: true })];
after(() => {
  for (const it of closing.reverse()) it();
});

/** A guest with TCP, whose frames go to the link and come from it while somebody waits. */
class TcpGuest {
  readonly it: UserGuest;
  readonly tcp: GuestTcp;
  #port = 40_000;

  constructor(options: GuestOptions = {}, tcp: GuestTcpOptions = {}) {
    this.it = new UserGuest({ ...options, makeTcp: tcpOf });
    this.tcp = new GuestTcp(() => performance.now(), tcp);
    closing.push(() => this.it.close());
  }

  connect(to: readonly number[], port: number): GuestSocket {
    const from = to.length === 4 ? GUEST : GUEST6;
    return this.tcp.connect(
      { address: Uint8Array.from(from), port: this.#port++ },
      { address: Uint8Array.from(to), port },
    );
  }

  async until(condition: () => boolean, what: string): Promise<void> {
    await this.it.until(() => {
      for (const { bytes, offload } of this.tcp.outgoing.splice(0)) this.it.send(bytes, offload);
      for (const { frame, offload } of this.it.take()) this.tcp.onFrame({ bytes: frame, offload });
      this.tcp.tick();
      return condition();
    }, what);
  }
}

async function listening(onClient: (client: Socket) => void, host = '127.0.0.1'): Promise<number> {
  const server: Server = createServer(onClient).listen(0, host);
  await once(server, 'listening');
  closing.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

const echo = (client: Socket): unknown => client.on('error', () => undefined).pipe(client); // guests break off

for (const [to, host] of [
  [HOST, '127.0.0.1'],
  [HOST6, '::1'],
] as const)
  test(`a connection to the virtual host reaches ${host}, and data comes back as it went`, async () => {
    const port = await listening(echo, host);
    const guest = new TcpGuest({ offloads: { csum: true } });
    const socket = guest.connect(to, port);
    const bytes = Uint8Array.from({ length: 300_000 }, (_, index) => (index * 7) ^ (index >> 9));
    socket.write(bytes);
    socket.end();
    await guest.until(() => socket.isEnded, 'all of it to come back');
    assert.deepEqual(Buffer.from(socket.bytes()), Buffer.from(bytes));
  });

test('a connection to a port where nobody listens is refused', async () => {
  const port = await listening(() => undefined);
  closing.pop()?.();
  const guest = new TcpGuest();
  const socket = guest.connect(HOST, port);
  await guest.until(() => socket.isReset, 'the refusal');
});

test('a host that cannot be reached is told of by ICMP, which quotes the SYN', (t) => {
  injectFaults(new PlannedFaults(({ call }) => (call === 'connect' ? { errno: EHOSTUNREACH } : undefined)));
  t.after(() => injectFaults(undefined));
  const guest = new TcpGuest();
  for (const [to, from, code, headerBytes] of [
    [ip4('198.51.100.7'), GUEST, [3, 1], 20],
    [ip6('2001:db8::7'), GUEST6, [1, 3], 40],
  ] as const) {
    guest.connect(to, 80);
    const [syn] = guest.tcp.outgoing.splice(0);
    assert.ok(syn);
    guest.it.send(syn.bytes, syn.offload);
    const { payload, protocol } = guest.it.one();
    assert.equal(protocol, to.length === 4 ? ICMP : ICMPV6);
    assert.deepEqual([...payload.subarray(0, 2)], code);
    const quoted = payload.subarray(8 + headerBytes - from.length - to.length);
    assert.deepEqual([...quoted.subarray(0, from.length + to.length)], [...from, ...to]);
    assert.deepEqual(
      [...payload.subarray(8 + headerBytes, 8 + headerBytes + 8)],
      [...syn.bytes.subarray(14 + headerBytes, 14 + headerBytes + 8)],
      'ports and sequence number',
    );
  }
});

test('a SYN whose hops end here goes no further, as with traceroute; our own addresses are no hop away', () => {
  const it = new UserGuest({
    opened: {
      guestForwards: [
        {
          address: Uint8Array.from(ip4('10.0.2.100')),
          port: 7,
          target: { family: 'unix', path: '/run/echo' },
        },
      ],
    },
  });
  for (const [from, to, code] of [
    [GUEST, ip4('198.51.100.7'), [11, 0]],
    [GUEST6, ip6('2001:db8::7'), [3, 0]],
  ] as const) {
    it.sendIp({ from, to, protocol: 6, hopLimit: 1 }, new Uint8Array(20));
    assert.deepEqual([...it.one().payload.subarray(0, 2)], code);
  }
  assert.equal(it.segments.length, 0);
  for (const to of [HOST, DNS, ip4('10.0.2.100')])
    it.sendIp({ from: GUEST, to, protocol: 6, hopLimit: 1 }, new Uint8Array(20));
  it.sendIp({ from: GUEST, to: ip4('198.51.100.7'), protocol: 6, hopLimit: 2 }, new Uint8Array(20));
  assert.equal(it.segments.length, 4);
  it.close();
});

test('a restricted guest has its connections refused, but for guest forwards', async () => {
  const port = await listening(echo);
  const target = { family: 'ipv4' as const, address: Uint8Array.of(127, 0, 0, 1), port };
  const guest = new TcpGuest({
    opened: {
      isRestricted: true,
      guestForwards: [{ address: Uint8Array.from(ip4('10.0.2.100')), port: 7, target }],
    },
  });
  const [outside, host, forward] = [
    guest.connect(ip4('192.0.2.1'), 80),
    guest.connect(HOST, port),
    guest.connect(ip4('10.0.2.100'), 7),
  ];
  forward.write(Buffer.from('hello'));
  await guest.until(
    () => outside.isReset && host.isReset && forward.receivedBytes === 5,
    'refusals and an answer',
  );
});

test('questions by TCP go to the host’s name server', async () => {
  const port = await listening(echo);
  const nameservers = [{ family: 'ipv4' as const, address: Uint8Array.of(127, 0, 0, 1), port }];
  const guest = new TcpGuest({ opened: { nameservers } });
  const socket = guest.connect(DNS, 53);
  socket.write(Buffer.from('question'));
  await guest.until(() => socket.receivedBytes === 8, 'the answer');
});

/** What main opens, in a prefix that is certainly not the host's. */
function openedUser(config: Partial<NetworkConfig>): { opened: UserOpened; close: () => void } {
  const host: LinkHost = {
    vmName: 'alpine',
    name: 'net0',
    index: 0,
    mac: Uint8Array.of(0x52, 0x54, 0, 0x12, 0x34, 0x56),
    mtu: 1500,
    pairs: 1,
    send: () => undefined,
    trouble: (sentence) => assert.fail(sentence),
  };
  const backend = open({ kind: 'user', prefix: '10.77.2.0/24', ...config }, host);
  return { opened: structuredClone(backend.opened as UserOpened), close: () => backend.close(true) };
}

test('a client of a forwarded port talks to the guest’s server', async () => {
  const path = join(root, 'ssh');
  const { opened, close } = openedUser({ forwards: [{ protocol: 'tcp', hostPath: path, guestPort: 22 }] });
  const guest = new TcpGuest({ opened: { tcpForwards: opened.tcpForwards } });
  guest.tcp.listens.add(22);
  const client = connect(path);
  client.write('who are you');
  await guest.until(() => guest.tcp.sockets[0]?.receivedBytes === 11, 'the client’s bytes');
  guest.tcp.sockets[0]?.write(Buffer.from('a guest'));
  let heard = '';
  client.on('data', (bytes) => (heard += String(bytes)));
  await guest.until(() => heard === 'a guest', 'the guest’s answer');
  client.destroy();
  close();
});

test('the guest fetches a file of the HTTP folder', async () => {
  writeFileSync(join(root, 'kernel'), Buffer.alloc(100_000, 5));
  const { opened, close } = openedUser({ http: root });
  const [{ target } = { target: undefined }] = opened.guestForwards;
  assert.ok(target !== undefined);
  const guest = new TcpGuest({
    opened: { guestForwards: [{ address: Uint8Array.from(HOST), port: 80, target }] },
  });
  const socket = guest.connect(HOST, 80);
  socket.write(Buffer.from('GET /kernel HTTP/1.1\r\nHost: host\r\nConnection: close\r\n\r\n'));
  await guest.until(() => socket.isEnded, 'the file');
  const text = Buffer.from(socket.bytes()).toString('latin1');
  assert.match(text, /^HTTP\/1\.1 200 OK\r\n/);
  assert.equal(text.length - text.indexOf('\r\n\r\n') - 4, 100_000);
  close();
});

test('what is attached is a link that reports of itself, and ends', () => {
  const guest = new UserGuest();
  const port = { ...guestPortOf(guest) };
  const link = attach(guest.opened, port);
  assert.deepEqual(Object.keys(link.report()), [
    ...['network', 'network6', 'host', 'nameServer', 'asks', 'guest', 'leases', 'neighbours'],
    ...['tcp', 'udp', 'forwards', 'pings', 'transfers', 'counters'],
  ]);
  link.close();
  guest.close();
});

/** Enough of one for a link that has nothing to do. */
function guestPortOf({ poller }: UserGuest): GuestPort {
  return { mac: new Uint8Array(6), mtu: 1500, poller, arm: () => undefined } as unknown as GuestPort;
}
