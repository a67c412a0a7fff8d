import assert from 'node:assert/strict';
import { networkInterfaces } from 'node:os';
import { test } from 'node:test';
import { Bytes } from '../../../../test/support/bytes.ts';
import { ICMP, ICMPV6, ip4, ip6, TCP, withChecksum } from '../../../../test/support/rawPackets.ts';
import { DNS, GUEST, GUEST6, HOST, HOST6, UserGuest } from '../../../../test/support/userGuest.ts';
import { PlannedFaults } from '../../../../test/support/ioFaults.ts';
import { errnoText } from '../../../errors.ts';
import { EAGAIN, EHOSTUNREACH, EMFILE, EMSGSIZE, ENOMEM } from '../../../kvm/errno.ts';
import { injectFaults } from '../../../kvm/io/faults.ts';
import { closeFd } from '../../../kvm/libc.ts';
import { openSocket } from '../../../kvm/net/sockets.ts';
import { MAX_PINGS } from './pings.ts';

/** Why no socket for echoes can be had; undefined: one can. */
function whyNoPings(): string | undefined {
  const [dgram, raw] = [openSocket(2, 2, 1), openSocket(2, 3, 1)];
  for (const fd of [dgram, raw]) if (fd >= 0) closeFd(fd);
  return dgram < 0 && raw < 0 ? `no socket for echoes: ${errnoText(-raw)}` : undefined;
}

/** One that is reached as the outside is, and needs no network. */
function firstOwnAddress(): string | undefined {
  const all = Object.values(networkInterfaces()).flatMap((it) => it ?? []);
  return all.find((it) => it.family === 'IPv4' && !it.internal)?.address;
}

function echo(type: number, id: number, sequence: number, data: Uint8Array): Uint8Array {
  return new Bytes(false).u8(type, 0).u16(0, id, sequence).bytes(data).done();
}

test('an echo to one of our addresses is answered by us, whatever its size', () => {
  const it = new UserGuest();
  const data = Uint8Array.from({ length: 1400 }, (_, index) => index);
  for (const to of [HOST, DNS]) {
    it.sendIcmp({ from: GUEST, to, protocol: ICMP }, echo(8, 77, 1, data));
    const { from, payload } = it.one();
    assert.equal(from, to.join('.'));
    assert.equal(payload[0], 0);
    assert.deepEqual(Buffer.from(payload.subarray(4)), Buffer.from(echo(8, 77, 1, data).subarray(4)));
  }
  it.sendIcmp({ from: GUEST6, to: HOST6, protocol: ICMPV6 }, echo(128, 77, 1, data));
  assert.equal(it.one().payload[0], 129);
  it.close();
});

test('an echo with a wrong checksum is dropped', () => {
  const it = new UserGuest();
  it.sendIp({ from: GUEST, to: HOST, protocol: ICMP }, echo(8, 77, 1, new Uint8Array(8)));
  assert.equal(it.drops.malformed, 1);
  assert.deepEqual(it.take(), []);
  it.close();
});

test('an echo in fragments is answered in fragments', () => {
  const it = new UserGuest();
  const header = { from: GUEST, to: HOST, protocol: ICMP };
  const message = withChecksum(header, echo(8, 77, 1, new Uint8Array(4000).fill(7)), 2);
  for (const offset of [2960, 0, 1480])
    // in any order
    it.sendIp({ ...header, id: 9, offset, more: offset !== 2960 }, message.subarray(offset, offset + 1480));
  const parts = it.take();
  assert.deepEqual(
    parts.map(({ offset, hasMore }) => [offset, hasMore]),
    [
      [0, true],
      [1480, true],
      [2960, false],
    ],
  );
  assert.equal(Buffer.concat(parts.map((part) => part.payload)).length, message.length);
  it.close();
});

test('the outside is pinged by the host, and answers the guest with its own identifier', async (t) => {
  const reason = whyNoPings();
  if (reason !== undefined) return t.skip(reason);
  const it = new UserGuest();
  const outside = firstOwnAddress();
  if (outside === undefined) return t.skip('this host has no address but loopback');
  it.sendIcmp({ from: GUEST, to: ip4(outside), protocol: ICMP }, echo(8, 4711, 3, Buffer.from('abcdefgh')));
  const { from, payload } = await it.next();
  assert.equal(from, outside);
  assert.deepEqual([payload[0], payload[1]], [0, 0]);
  assert.equal(
    Buffer.from(payload.subarray(4)).toString('hex'),
    Buffer.from(echo(0, 4711, 3, Buffer.from('abcdefgh')).subarray(4)).toString('hex'),
  );
  it.close();
});

test('a guest that pings from ever other identifiers has a bounded number of sockets', (t) => {
  const reason = whyNoPings();
  if (reason !== undefined) return t.skip(reason);
  const outside = firstOwnAddress();
  if (outside === undefined) return t.skip('this host has no address but loopback');
  const it = new UserGuest();
  it.doNotLook();
  for (let id = 0; id < 300; id++)
    it.sendIcmp({ from: GUEST, to: ip4(outside), protocol: ICMP }, echo(8, id, 1, new Uint8Array(8)));
  assert.ok((it.link.report().pings as number) <= MAX_PINGS);
  it.close();
});

test('a host that is short of descriptors loses an echo, and is not one that lets nobody ping', (t) => {
  const outside = firstOwnAddress();
  if (outside === undefined) return t.skip('this host has no address but loopback');
  const it = new UserGuest();
  const ping = (id: number): void =>
    it.sendIcmp({ from: GUEST, to: ip4(outside), protocol: ICMP }, echo(8, id, 1, new Uint8Array(8)));
  injectFaults(new PlannedFaults(({ call }) => (call === 'socket' ? { errno: EMFILE } : undefined)));
  t.after(() => injectFaults(undefined));
  ping(1);
  injectFaults(undefined);
  t.mock.method(it.poller, 'add', () => -ENOMEM);
  ping(2);
  assert.deepEqual(it.take(), []);
  assert.deepEqual(it.troubles, []);
  assert.equal(it.drops.hostBusy, whyNoPings() === undefined ? 2 : 1);
  assert.equal(it.link.report().pings, 0);
  it.close();
});

test('an echo that routers may not cut, and is too large for its way, is told of at once or later', async (t) => {
  const reason = whyNoPings();
  if (reason !== undefined) return t.skip(reason);
  const outside = firstOwnAddress();
  if (outside === undefined) return t.skip('this host has no address but loopback');
  const it = new UserGuest();
  const header = { from: GUEST, to: ip4(outside), protocol: ICMP, dontFragment: true };
  const message = echo(8, 4711, 1, new Uint8Array(1000));
  let failures: { errno: number; isLocal: boolean; mtu: number }[] = [];
  let sent = new Uint8Array(64);
  const added = t.mock.method(it.message, 'addBuffer').mock;
  const buffer = (): Uint8Array => added.calls.at(-1)?.arguments[0].bytes ?? assert.fail('no buffer');
  t.mock.method(it.message, 'receiveFailure', () => {
    buffer().set(sent);
    return failures.length > 0 ? sent.length : -EAGAIN;
  });
  t.mock.getter(it.message, 'failure', () => failures.shift());
  const peer = { family: 'ipv4', address: Uint8Array.from(ip4(outside)), port: 0 };
  t.mock.getter(it.message, 'peer', () => peer);
  t.mock.method(it.message, 'sendTo', () => {
    sent = buffer().slice(0, 64);
    return failures.length > 0 ? -(failures[0]?.errno ?? 0) : message.length;
  });
  failures = [{ errno: EMSGSIZE, isLocal: true, mtu: 600 }];
  it.sendIcmp(header, message);
  const told = it.one();
  assert.deepEqual(
    [...told.payload.subarray(0, 2), ...told.payload.subarray(6, 8)],
    [3, 4, 600 >> 8, 600 & 0xff],
  );
  failures = [{ errno: EHOSTUNREACH, isLocal: false, mtu: 0 }];
  it.sendIcmp(header, message);
  const { payload } = it.one();
  assert.deepEqual([...payload.subarray(0, 2)], [3, 1]);
  assert.deepEqual([...payload.subarray(8 + 12, 8 + 20)], [...GUEST, ...ip4(outside)]);
  assert.deepEqual([...payload.subarray(28 + 4, 28 + 6)], [4711 >> 8, 4711 & 0xff]);
  it.close();
});

test('a protocol that we do not know is unreachable (RFC 1122 §3.2.2.1), in IPv6 a parameter problem', () => {
  const it = new UserGuest();
  it.sendIp({ from: GUEST, to: HOST, protocol: 132 }, new Uint8Array(12));
  assert.deepEqual([...it.one().payload.subarray(0, 2)], [3, 2]);
  it.sendIp({ from: GUEST6, to: HOST6, protocol: 132 }, new Uint8Array(12));
  const { payload } = it.one();
  assert.deepEqual([...payload.subarray(0, 2)], [4, 1]);
  assert.deepEqual([...payload.subarray(4, 8)], [0, 0, 0, 6], 'where it is named (RFC 4443 §3.4)');
  const options = [132, 0, 1, 4, 0, 0, 0, 0]; // for the destination
  it.sendIp({ from: GUEST6, to: HOST6, protocol: 60 }, Uint8Array.of(...options, ...new Uint8Array(12)));
  assert.deepEqual([...it.one().payload.subarray(4, 8)], [0, 0, 0, 40]);
  it.sendIp({ from: GUEST6, to: HOST6, protocol: 59 }, new Uint8Array(12));
  assert.deepEqual(it.take(), [], 'no next header is no unknown one (RFC 8200 §4.7)');
  it.close();
});

test('no error is sent about an error, nor to or about a group (RFC 1122 §3.2.2)', () => {
  const it = new UserGuest();
  it.sendIp({ from: GUEST, to: ip4('224.0.0.1'), protocol: 132 }, new Uint8Array(12));
  it.sendIp({ from: ip4('224.0.0.1'), to: HOST, protocol: 132 }, new Uint8Array(12));
  it.sendIp({ from: GUEST6, to: ip6('ff02::1'), protocol: 132 }, new Uint8Array(12));
  it.sendIcmp({ from: GUEST, to: ip4('192.0.2.1'), protocol: ICMP }, echo(3, 0, 0, new Uint8Array(28)));
  assert.deepEqual(it.take(), []);
  it.close();
});

test('errors are limited to 50 at once and a thousand a second (RFC 4443 §2.4 f)', (t) => {
  let nowMs = 5000;
  t.mock.method(performance, 'now', () => nowMs);
  const it = new UserGuest();
  const provoke = (count: number): number => {
    for (let i = 0; i < count; i++) it.sendIp({ from: GUEST6, to: HOST6, protocol: 132 }, new Uint8Array(12));
    return it.take().length;
  };
  assert.equal(provoke(200), 50);
  nowMs += 7;
  assert.equal(provoke(200), 7);
  nowMs += 3_600_000;
  assert.equal(provoke(200), 50);
  const counters = it.link.report().counters as Record<string, number>;
  assert.deepEqual([counters.icmpErrors, counters.icmpErrorsWithheld], [107, 493]);
  it.close();
});

test('frames for another Ethernet address, and TCP to a group, are nobody’s', () => {
  const it = new UserGuest();
  it.sendIp({ from: GUEST, to: HOST, protocol: 132 }, new Uint8Array(12), [2, 0, 0, 0, 0, 9]);
  it.sendIp({ from: GUEST, to: HOST, protocol: TCP }, new Uint8Array(20), [255, 255, 255, 255, 255, 255]);
  assert.deepEqual(it.take(), []);
  assert.deepEqual(it.segments, []);
  it.sendIp({ from: GUEST, to: HOST, protocol: TCP }, new Uint8Array(20));
  assert.deepEqual(it.segments, [20]);
  it.close();
});
