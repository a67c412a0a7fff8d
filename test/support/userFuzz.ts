/**
 * Fuzzers of the `user` network: frames that a guest might send, right and wrong, while the host's sockets
 * fail; DHCP and TFTP by themselves; fragments in any order. Nothing leaves this process: no call of a socket
 * that would send is performed.
 */
import assert from 'node:assert/strict';
import { readlinkSync } from 'node:fs';
import { answerDhcp, type DhcpSettings } from '../../vmm-core/backends/net/user/dhcp.ts';
import { answerDhcp6 } from '../../vmm-core/backends/net/user/dhcp6.ts';
import { Fragments, MAX_DATAGRAMS } from '../../vmm-core/backends/net/user/fragments.ts';
import { Leases } from '../../vmm-core/backends/net/user/leases.ts';
import { IpPacket } from '../../vmm-core/backends/net/user/packet/ipPacket.ts';
import { MAX_TRANSFERS, READ_BYTES, TftpServer } from '../../vmm-core/backends/net/user/tftp.ts';
import { type IoFaults, injectFaults } from '../../vmm-core/kvm/io/faults.ts';
import { Bytes, mutate, seededRandom } from './bytes.ts';
import { ethernet, ICMP, ICMPV6, ip, ip4, ip6, udp, UDP, withChecksum } from './rawPackets.ts';
import {
  DNS,
  DNS6,
  GATEWAY_MAC,
  GUEST,
  GUEST6,
  GUEST_MAC,
  guestFrame,
  HOST,
  HOST6,
  UserGuest,
} from './userGuest.ts';

type Random = () => number;

const EAGAIN = 11;
const ERRNOS = [EAGAIN, 1, 13, 90, 101, 105, 111, 113, 24];

/** Of the host's: everything that would send fails, and sockets sometimes cannot be had. */
function failingHost(random: Random, opened: Map<number, string>): IoFaults {
  return {
    before: ({ call }) => {
      if (call === 'send' || call === 'sendTo') return { errno: pick(random, ERRNOS) };
      if (call === 'receive') return { errno: random() < 0.7 ? EAGAIN : pick(random, ERRNOS) };
      return call === 'socket' && random() < 0.1 ? { errno: pick(random, ERRNOS) } : undefined;
    },
    after: ({ call }, result) => {
      if (call === 'socket' && result >= 0) opened.set(result, socketOf(result));
    },
  };
}

/** `socket:[4711]`, or nothing. */
function socketOf(fd: number): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return '';
  }
}

const ADDRESSES4 = [
  ...[GUEST, HOST, DNS].map((it) => [...it]),
  ...['10.0.2.16', '10.0.2.255', '255.255.255.255', '0.0.0.0', '127.0.0.1', '224.0.0.1', '192.0.2.7'].map(
    ip4,
  ),
];
const ADDRESSES6 = [
  ...[GUEST6, HOST6, DNS6],
  ...[
    '::',
    '::1',
    'ff02::1',
    'ff02::2',
    'ff02::1:2',
    'fe80::2',
    'fe80::5',
    '2001:db8::7',
    '::ffff:7f00:1',
  ].map(ip6),
];
const PORTS = [53, 67, 68, 69, 80, 546, 547, 49152, 49153, 5000];

/** No exception, nothing wrong sent back, no table without a bound, no descriptor lost. */
export async function fuzzUserNet(seed: number): Promise<void> {
  const random = seededRandom(seed);
  const sockets = new Map<number, string>();
  injectFaults(failingHost(random, sockets));
  const it = new UserGuest({
    mtu: pick(random, [1280, 1500, 9000, 65520]),
    offloads: { csum: random() < 0.5, ufo: random() < 0.5 },
    opened: { hasTftp: random() < 0.5, isRestricted: random() < 0.2, search: ['example.org'] },
  });
  try {
    const frames = 1 + Math.floor(random() * 120);
    for (let count = 0; count < frames; count++) {
      it.isFull = random() < 0.05;
      sendAnything(it, random);
      if (random() < 0.05) it.link.onRoom();
      if (random() < 0.05) it.link.onReady(Math.floor(random() * 6) * 2 ** 28 + Math.floor(random() * 8), 1);
      if (random() < 0.05) it.link.onTimer();
      if (random() < 0.02) it.link.reset();
      answerTftp(it, random);
    }
    checkTables(it);
  } finally {
    it.close();
    injectFaults(undefined);
  }
  for (const [fd, socket] of sockets) assert.notEqual(socketOf(fd), socket, 'a socket is left open');
}

function checkTables(it: UserGuest): void {
  const { neighbours, counters } = it.link.report() as {
    neighbours: unknown[];
    counters: { datagramsIncomplete: number };
  };
  assert.ok(neighbours.length <= 64);
  assert.ok(counters.datagramsIncomplete <= MAX_DATAGRAMS);
}

function sendAnything(it: UserGuest, random: Random): void {
  let frame = anyFrame(random);
  if (random() < 0.3) frame = mutate(frame, random);
  const isOffloaded = random() < 0.1 && frame.length > 60;
  it.link.send(
    guestFrame(frame, {
      flags: isOffloaded ? 1 : 0,
      gsoType: isOffloaded ? pick(random, [0, 3, 5]) : 0,
      hdrLen: 0,
      gsoSize: isOffloaded ? 1 + Math.floor(random() * 1500) : 0,
      csumStart: pick(random, [34, 54, 34, 14]),
      csumOffset: pick(random, [6, 2, 16]),
    }),
  );
  it.link.onSent();
}

function anyFrame(random: Random): Uint8Array {
  const to =
    random() < 0.7
      ? GATEWAY_MAC
      : pick(random, [[255, 255, 255, 255, 255, 255], [0x33, 0x33, 0, 0, 0, 1], GUEST_MAC]);
  if (random() < 0.1)
    return ethernet(to, GUEST_MAC, pick(random, [0x0806, 0x0806, 0x88cc, 0x8100]), anyArp(random));
  const isIpv6 = random() < 0.5;
  const addresses = isIpv6 ? ADDRESSES6 : ADDRESSES4;
  const protocol = pick(random, [UDP, UDP, UDP, isIpv6 ? ICMPV6 : ICMP, isIpv6 ? ICMPV6 : ICMP, 6, 132]);
  const header = {
    from: random() < 0.7 ? [...(isIpv6 ? GUEST6 : GUEST)] : pick(random, addresses),
    to: pick(random, addresses),
    protocol,
    hopLimit: pick(random, [64, 64, 255, 1, 0]),
    id: Math.floor(random() * 4),
    offset: random() < 0.15 ? 8 * Math.floor(random() * 16) : 0,
    more: random() < 0.15,
  };
  const payload = anyPayload(random, protocol);
  const checkAt = protocol === UDP ? 6 : 2;
  const isSummed = payload.length >= 8 && random() < 0.9;
  const whole = isSummed ? withChecksum(header, payload, checkAt) : payload;
  return ethernet(to, GUEST_MAC, isIpv6 ? 0x86dd : 0x0800, ip(header, whole));
}

function anyArp(random: Random): Uint8Array {
  return new Bytes(false)
    .u16(1, 0x0800)
    .u8(6, 4)
    .u16(1 + Math.floor(random() * 2))
    .bytes(GUEST_MAC, pick(random, ADDRESSES4), new Uint8Array(6), pick(random, ADDRESSES4))
    .done();
}

function anyPayload(random: Random, protocol: number): Uint8Array {
  if (protocol === UDP) {
    const port = pick(random, PORTS);
    return udp(pick(random, PORTS), port, anyRequest(random, port));
  }
  if (protocol !== ICMP && protocol !== ICMPV6) return noise(random, 64);
  const type = pick(random, [8, 0, 3, 11, 128, 129, 133, 134, 135, 136, 1]);
  const rest = new Bytes(false).u16(0, 5, 6).bytes(pick(random, ADDRESSES6), [1, 1], GUEST_MAC).done();
  return new Bytes(false)
    .u8(type, random() < 0.9 ? 0 : 1)
    .bytes(random() < 0.7 ? rest : noise(random, 200))
    .done();
}

function anyRequest(random: Random, port: number): Uint8Array {
  const good =
    port === 67
      ? dhcpRequest(random)
      : port === 547
        ? DHCP6_REQUEST
        : port === 69
          ? tftpRequest(random)
          : noise(random, 600);
  return random() < 0.5 ? good : mutate(good, random);
}

function tftpRequest(random: Random): Uint8Array {
  return new Bytes(false)
    .u16(pick(random, [1, 1, 1, 2, 4, 5]))
    .cstring(
      'kernel',
      pick(random, ['octet', 'netascii', 'mail']),
      'blksize',
      pick(random, ['8', '512', '65464', '0']),
    )
    .done();
}

function answerTftp(it: UserGuest, random: Random): void {
  for (const told of it.told.splice(0) as { kind: string; id: number }[]) {
    if (told.kind === 'tftpOpen')
      it.link.onMessage(
        random() < 0.8
          ? { kind: 'tftpOpened', id: told.id, sizeBytes: 3000 }
          : { kind: 'tftpFailed', id: told.id, code: 1, text: 'no' },
      );
    if (told.kind === 'tftpRead')
      it.link.onMessage({ kind: 'tftpData', id: told.id, bytes: noise(random, random() < 0.5 ? 1 : 3000) });
  }
}

const SETTINGS: DhcpSettings = {
  server: Uint8Array.from(HOST),
  mask: Uint8Array.of(255, 255, 255, 0),
  broadcast: Uint8Array.of(10, 0, 2, 255),
  router: Uint8Array.from(HOST),
  dns: Uint8Array.from(DNS),
  hostname: 'alpine',
  search: ['example.org', 'a.very.long.name.that.takes.much.room.example'],
  mtu: 1500,
  leaseSeconds: 86_400,
  bootfile: 'x'.repeat(127),
};
const FIRST = 0x0a00020f;
const POOL = 16;
const DHCP6_REQUEST = new Bytes(false).u8(11, 1, 2, 3).u16(1, 10, 3, 1).bytes(GUEST_MAC).u16(6, 2, 23).done();

/** Whatever is asked, a reply is one that a client can read, of an address that nobody else has. */
export function fuzzUserDhcp(seed: number): void {
  const random = seededRandom(seed);
  const leases = new Leases(FIRST, POOL, 3600);
  for (let nowMs = 0; nowMs < 1e7; nowMs += Math.floor(random() * 2e5)) {
    const request = dhcpRequest(random);
    const reply = answerDhcp(random() < 0.6 ? request : mutate(request, random), SETTINGS, leases, nowMs);
    if (reply !== undefined) checkReply(reply.message);
    const seen = new Set<number>();
    leases.forEachBound((_, mac) => {
      assert.ok(!seen.has(mac), 'one client has two addresses');
      seen.add(mac);
    });
    const reply6 = answerDhcp6(mutate(DHCP6_REQUEST, random), {
      mac: Uint8Array.from(GUEST_MAC),
      dns: Uint8Array.from(DNS6),
      search: ['lan'],
    });
    assert.ok(reply6 === undefined || reply6[0] === 7);
  }
}

function checkReply(message: Uint8Array): void {
  assert.ok(message.length >= 300 && message.length <= 548);
  assert.equal(message[0], 2);
  const address = new DataView(message.buffer, message.byteOffset).getUint32(16);
  assert.ok(
    address === 0 || (address >= FIRST && address < FIRST + POOL),
    'an address that is not of the pool',
  );
  let at = 240;
  while (message[at] !== 255) {
    at += 2 + (message[at + 1] ?? 0);
    assert.ok(at < message.length, 'the options have no end');
  }
}

function dhcpRequest(random: Random): Uint8Array {
  const address = (): number[] =>
    random() < 0.7 ? [10, 0, 2, 10 + Math.floor(random() * 26)] : [0, 0, 0, 0];
  const bytes = new Bytes(false)
    .u8(1, 1, 6, 0)
    .u32(Math.floor(random() * 2 ** 32))
    .u16(0, random() < 0.5 ? 0x8000 : 0)
    .bytes(random() < 0.3 ? address() : [0, 0, 0, 0], new Uint8Array(12))
    .bytes([2, 0, 0, 0, 0, Math.floor(random() * 24)], new Uint8Array(202))
    .u32(0x63825363);
  if (random() < 0.95) bytes.u8(53, 1, 1 + Math.floor(random() * 8));
  if (random() < 0.6) bytes.u8(50, 4).bytes(address());
  if (random() < 0.4) bytes.u8(54, 4).bytes(random() < 0.8 ? HOST : [10, 0, 2, 9]);
  return bytes.u8(255).done();
}

/** A client that loses datagrams both ways has the file in the end; others' noise changes nothing. */
export function fuzzUserTftp(seed: number): void {
  const random = seededRandom(seed);
  const content = noise(random, 40_000);
  const blockBytes = pick(random, [8, 100, 512, 1400]);
  const window = pick(random, [1, 2, 7, 64]);
  const lossRate = random() * 0.3;
  const sent: { port: number; bytes: Uint8Array }[] = [];
  const asked: { call: 'open' | 'read'; id: number }[] = [];
  const offsets = new Map<number, number>();
  let nowMs = 0;
  const server = new TftpServer(
    {
      open: (id) => asked.push({ call: 'open', id }),
      read: (id) => asked.push({ call: 'read', id }),
      close: (id) => offsets.delete(id),
    },
    (peer, port, bytes) => {
      assert.ok(bytes.length <= 1500 - 28, 'a datagram is larger than the MTU');
      if (peer.port === CLIENT.port) sent.push({ port, bytes: bytes.slice() });
    },
    1500,
  );
  const perform = ({ call, id }: (typeof asked)[0]): void => {
    const at = call === 'open' ? 0 : (offsets.get(id) ?? 0);
    const end = Math.min(content.length, at + 1 + Math.floor(random() * READ_BYTES));
    offsets.set(id, call === 'open' ? 0 : end);
    if (call === 'open') server.opened(id, content.length, nowMs);
    else server.data(id, content.subarray(at, end), nowMs);
  };
  const request = new Bytes(false)
    .u16(1)
    .cstring('kernel', 'octet', 'blksize', String(blockBytes), 'windowsize', String(window))
    .done();
  const client = new TftpClient(blockBytes, random, lossRate);
  server.onRequest(CLIENT, request, nowMs);
  for (let round = 0; !client.isDone && round < 100_000; round++) {
    const next = asked.shift();
    if (next !== undefined) perform(next);
    else if (sent.length > 0) client.hear(sent.splice(0), server, nowMs);
    else {
      assert.ok(server.count > 0, 'the server has given up');
      nowMs = Math.max(nowMs, server.onTimer(nowMs));
      if (random() < 0.5) client.acknowledge(server, nowMs);
    }
    if (random() < 0.2) makeNoise(server, random, nowMs);
    assert.ok(server.count <= MAX_TRANSFERS);
  }
  assert.ok(client.isDone, 'the file has not come');
  assert.deepEqual(Buffer.concat(client.parts), Buffer.from(content));
}

const CLIENT = { address: Uint8Array.from(GUEST), port: 2000 };

function makeNoise(server: TftpServer, random: Random, nowMs: number): void {
  const peer = { address: Uint8Array.from(GUEST), port: 2001 + Math.floor(random() * 3) };
  if (random() < 0.3) server.onRequest(peer, mutate(tftpRequest(random), random), nowMs);
  else server.onDatagram(peer, 49152 + Math.floor(random() * 4), noise(random, 8), nowMs);
}

/** RFC 7440 §4, with a wire that loses. */
class TftpClient {
  readonly parts: Uint8Array[] = [];
  isDone = false;
  readonly #blockBytes: number;
  readonly #random: Random;
  readonly #lossRate: number;
  #port = 0;
  /** Of blocks, modulo 65536: the last that has come in order. */
  #block = 0;
  #acknowledged = -1;
  #losses = 0;

  constructor(blockBytes: number, random: Random, lossRate: number) {
    this.#blockBytes = blockBytes;
    this.#random = random;
    this.#lossRate = lossRate;
  }

  hear(
    datagrams: readonly { readonly port: number; readonly bytes: Uint8Array }[],
    server: TftpServer,
    nowMs: number,
  ): void {
    for (const { port, bytes } of datagrams) {
      if (this.#isLost()) continue;
      this.#port = port;
      const opcode = bytes[1];
      assert.ok(opcode === 3 || opcode === 6, `opcode ${opcode} has come`);
      if (opcode === 6) continue;
      const number = ((bytes[2] ?? 0) << 8) | (bytes[3] ?? 0);
      if (number !== ((this.#block + 1) & 0xffff)) continue;
      this.#block = number;
      this.parts.push(bytes.subarray(4));
      if (bytes.length - 4 < this.#blockBytes) this.isDone = true;
    }
    if (this.#port !== 0) this.acknowledge(server, nowMs);
  }

  acknowledge(server: TftpServer, nowMs: number): void {
    if (this.#port === 0 || this.#isLost()) return;
    if (this.#acknowledged !== this.#block) this.#losses = 0;
    this.#acknowledged = this.#block;
    server.onDatagram(CLIENT, this.#port, new Bytes(false).u16(4, this.#block).done(), nowMs);
  }

  /** Never as often, until the server hears of another block, as it tries. */
  #isLost(): boolean {
    if (this.#losses === 3 || this.#random() >= this.#lossRate) return false;
    this.#losses++;
    return true;
  }
}

/** Datagrams in fragments, mixed and in any order: what becomes whole is what was sent. */
export function fuzzUserFragments(seed: number): void {
  const random = seededRandom(seed);
  const fragments = new Fragments();
  const datagrams = Array.from({ length: 1 + Math.floor(random() * 6) }, () => noise(random, 3000));
  const pieces = datagrams.flatMap((bytes, id) => cut(random, bytes).map((piece) => ({ ...piece, id })));
  shuffle(random, pieces);
  const isHostile = random() < 0.5;
  const whole = new Set<number>();
  for (const piece of pieces) {
    const verdict = fragments.add(packetOf(piece), piece.bytes, 0);
    if (isHostile && random() < 0.3) {
      const evil = {
        id: piece.id,
        offset: 8 * Math.floor(random() * 300),
        bytes: noise(random, 64),
        more: random() < 0.7,
      };
      fragments.add(packetOf(evil), evil.bytes, 0);
    }
    if (verdict === 'whole' && !isHostile) {
      whole.add(piece.id);
      const expected = datagrams[piece.id] as Uint8Array;
      assert.deepEqual(
        Buffer.from(fragments.bytes.subarray(0, fragments.lengthBytes)),
        Buffer.from(expected),
      );
    }
    assert.ok(fragments.count <= MAX_DATAGRAMS);
  }
  if (!isHostile) assert.equal(whole.size, datagrams.length);
}

interface Piece {
  readonly id: number;
  readonly offset: number;
  readonly bytes: Uint8Array;
  readonly more: boolean;
}

/** Fewer pieces than there may be holes. */
function cut(random: Random, bytes: Uint8Array): Omit<Piece, 'id'>[] {
  const pieces: Omit<Piece, 'id'>[] = [];
  for (let offset = 0; offset < bytes.length;) {
    const lengthBytes = 8 * (Math.ceil(bytes.length / 8 / 40) + Math.floor(random() * 60));
    const part = bytes.subarray(offset, offset + lengthBytes);
    pieces.push({ offset, bytes: part, more: offset + part.length < bytes.length });
    offset += lengthBytes;
  }
  return pieces;
}

function packetOf({ id, offset, bytes, more }: Piece): IpPacket {
  const packet = new IpPacket();
  packet.head = Uint8Array.from([...GUEST, ...HOST]);
  packet.destinationAt = 4;
  packet.identification = id;
  packet.protocol = UDP;
  packet.fragmentOffset = offset;
  packet.payloadBytes = bytes.length;
  packet.hasMoreFragments = more;
  return packet;
}

function shuffle<T>(random: Random, items: T[]): void {
  for (let last = items.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [items[last], items[other]] = [items[other] as T, items[last] as T];
  }
}

/** At least one byte. */
function noise(random: Random, maxBytes: number): Uint8Array {
  return Uint8Array.from({ length: 1 + Math.floor(random() * maxBytes) }, () => Math.floor(random() * 256));
}

function pick<T>(random: Random, items: readonly T[]): T {
  return items[Math.floor(random() * items.length)] as T;
}
