import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bytes } from '../../../../test/support/bytes.ts';
import { ethernet, ICMPV6, ip4, ip6, mac } from '../../../../test/support/rawPackets.ts';
import {
  DNS6,
  GATEWAY_MAC,
  GUEST,
  GUEST6,
  GUEST_MAC,
  HOST,
  HOST6,
  PREFIX6,
  UserGuest,
} from '../../../../test/support/userGuest.ts';

const ALL = [255, 255, 255, 255, 255, 255];
const LINK_LOCAL = ip6('fe80::2');
const ROUTERS_MAC = mac('33:33:00:00:00:02');
const hex = (bytes: ArrayLike<number>): string => Buffer.from(Array.from(bytes)).toString('hex');

/** RFC 826 */
function arp(
  operation: number,
  from: readonly number[],
  target: readonly number[],
  sender = GUEST_MAC,
): Uint8Array {
  const body = new Bytes(false)
    .u16(1, 0x0800)
    .u8(6, 4)
    .u16(operation)
    .bytes(sender, from, new Uint8Array(6), target);
  return ethernet(ALL, sender, 0x0806, body.done());
}

function neighbours(it: UserGuest): Record<string, string> {
  const rows = it.link.report().neighbours as { address: string; mac: string }[];
  return Object.fromEntries(rows.map(({ address, mac: at }) => [address, at]));
}

test('who asks for one of our addresses is answered, and known from then on', () => {
  const it = new UserGuest();
  for (const target of ['10.0.2.2', '10.0.2.3']) {
    it.send(arp(1, GUEST, ip4(target)));
    const { frame } = it.one();
    const body = new Bytes(false)
      .u16(1, 0x0800)
      .u8(6, 4)
      .u16(2)
      .bytes(GATEWAY_MAC, ip4(target), GUEST_MAC, GUEST);
    assert.equal(hex(frame), hex(ethernet(GUEST_MAC, GATEWAY_MAC, 0x0806, body.done())));
  }
  assert.deepEqual(neighbours(it), { '10.0.2.15': '52:54:00:12:34:56' });
  it.close();
});

test('nobody else’s address is answered for: neither the guest’s own nor one that nobody has', () => {
  const it = new UserGuest();
  for (const target of ['10.0.2.15', '10.0.2.99', '10.0.2.255', '192.0.2.1'])
    it.send(arp(1, [0, 0, 0, 0], ip4(target)));
  it.send(arp(1, GUEST, GUEST)); // a gratuitous one, RFC 5227
  assert.deepEqual(it.take(), []);
  it.close();
});

test('a guest forward’s address is ours: the guest finds it on its link, and gets it from nobody', () => {
  const target = { family: 'ipv4', address: Uint8Array.of(127, 0, 0, 1), port: 80 } as const;
  const inside6 = [...PREFIX6.slice(0, 15), 100];
  const addresses = [ip4('10.0.2.100'), ip4('10.0.2.15'), ip4('192.0.2.9'), inside6];
  const it = new UserGuest({
    opened: { guestForwards: addresses.map((at) => ({ address: Uint8Array.from(at), port: 80, target })) },
  });
  it.send(arp(1, GUEST, ip4('10.0.2.100')));
  assert.deepEqual([...it.one().frame.subarray(22, 32)], [...GATEWAY_MAC, ...ip4('10.0.2.100')]);
  it.send(arp(1, GUEST, ip4('192.0.2.9')));
  assert.deepEqual(it.take(), [], 'the router leads there');
  it.sendIcmp({ from: GUEST6, to: inside6, protocol: ICMPV6, hopLimit: 255 }, solicit(inside6));
  assert.deepEqual([...it.one().payload.subarray(8, 24)], inside6);
  it.send(arp(2, ip4('10.0.2.100'), HOST));
  assert.ok(!('10.0.2.100' in neighbours(it)), 'nor is it the guest’s to claim');
  it.sendUdp(GUEST, 1000, ip4('10.0.2.100'), 81, Uint8Array.of(1));
  assert.deepEqual([...it.one().payload.subarray(0, 2)], [3, 3], 'no other port is there');
  it.close();
});

test('ours, and addresses of other networks, are not the guest’s to claim', () => {
  const it = new UserGuest();
  for (const from of ['10.0.2.2', '10.0.2.3', '192.0.2.1', '10.0.2.255', '0.0.0.0'])
    it.send(arp(2, ip4(from), HOST));
  it.send(arp(2, GUEST, HOST, mac('01:00:5e:00:00:01')));
  assert.deepEqual(neighbours(it), {});
  it.close();
});

test('a guest that asks for a /8, or claims one, takes a table of 64', () => {
  const it = new UserGuest();
  for (let index = 0; index < 50_000; index++) {
    const address = [10, (index >> 16) & 0xff, (index >> 8) & 0xff, index & 0xff];
    it.send(arp(1, GUEST, address));
    it.send(arp(2, [10, 0, 2, index & 0xff], HOST));
  }
  assert.ok(Object.keys(neighbours(it)).length <= 64);
  it.close();
});

test('a storm of broadcasts and multicasts goes nowhere, and leaves nothing', () => {
  const it = new UserGuest();
  for (let index = 0; index < 20_000; index++) {
    const port = 1024 + (index % 50_000);
    it.sendUdp(GUEST, port, [10, 0, 2, 255], port, Uint8Array.of(index));
    it.sendUdp(GUEST, port, ip4('239.255.255.250'), 1900, Uint8Array.of(index));
  }
  assert.deepEqual(it.take(), []);
  assert.equal((it.link.report().udp as { mappings: number }).mappings, 0);
  it.close();
});

test('a frame that ends before its ARP message does is dropped', () => {
  const it = new UserGuest();
  it.send(arp(1, GUEST, HOST).subarray(0, 40));
  assert.equal(it.drops.malformed, 1);
  it.close();
});

function solicit(target: readonly number[], options: readonly number[] = [1, 1, ...GUEST_MAC]): Uint8Array {
  return new Bytes(false).u8(135, 0).u16(0).u32(0).bytes(target, options).done();
}

test('a neighbour solicitation of ours is answered, with the router’s flag (RFC 4861 §4.4)', () => {
  const it = new UserGuest();
  for (const target of [HOST6, DNS6, LINK_LOCAL]) {
    it.sendIcmp({ from: GUEST6, to: target, protocol: ICMPV6, hopLimit: 255 }, solicit(target));
    const { from, to, payload, hopLimit } = it.one();
    assert.equal(from, hex(target));
    assert.equal(to, hex(GUEST6));
    assert.equal(hopLimit, 255);
    assert.deepEqual([payload[0], payload[4]], [136, 0x80 | 0x40 | 0x20]);
    assert.equal(hex(payload.subarray(8)), hex([...target, 2, 1, ...GATEWAY_MAC]));
  }
  it.close();
});

test('a guest that tests its own address hears nothing; for one of ours all hear it is taken (RFC 4862 §5.4)', () => {
  const it = new UserGuest();
  const none = ip6('::');
  it.sendIcmp({ from: none, to: GUEST6, protocol: ICMPV6, hopLimit: 255 }, solicit(GUEST6, []), ROUTERS_MAC);
  assert.deepEqual(it.take(), []);
  it.sendIcmp({ from: none, to: HOST6, protocol: ICMPV6, hopLimit: 255 }, solicit(HOST6, []), ROUTERS_MAC);
  const { to, payload } = it.one();
  assert.equal(to, hex(ip6('ff02::1')));
  assert.equal((payload[4] as number) & 0x40, 0);
  it.close();
});

test('a message with another hop limit than 255, or an option without a length, is none (§7.1.1)', () => {
  const it = new UserGuest();
  it.sendIcmp({ from: GUEST6, to: HOST6, protocol: ICMPV6, hopLimit: 64 }, solicit(HOST6));
  it.sendIcmp(
    { from: GUEST6, to: HOST6, protocol: ICMPV6, hopLimit: 255 },
    solicit(HOST6, [1, 0, 0, 0, 0, 0, 0, 0]),
  );
  assert.deepEqual(it.take(), []);
  it.close();
});

test('who has no address yet has none to tell where it is: that is no solicitation (§6.1.1, §7.1.1)', () => {
  const it = new UserGuest();
  const none = { from: ip6('::'), protocol: ICMPV6, hopLimit: 255 };
  it.sendIcmp({ ...none, to: HOST6 }, solicit(HOST6), ROUTERS_MAC);
  const routers = new Bytes(false).u8(133, 0).u16(0).u32(0).u8(1, 1).bytes(GUEST_MAC).done();
  it.sendIcmp({ ...none, to: ip6('ff02::2') }, routers, ROUTERS_MAC);
  assert.deepEqual(it.take(), []);
  it.close();
});

test('a router solicitation is answered with prefix, MTU and name server (§4.2, RFC 8106)', () => {
  const it = new UserGuest({ mtu: 9000, opened: { search: ['example.org'] } });
  const message = new Bytes(false).u8(133, 0).u16(0).u32(0).u8(1, 1).bytes(GUEST_MAC).done();
  const from = ip6('fe80::5054:ff');
  it.sendIcmp({ from, to: ip6('ff02::2'), protocol: ICMPV6, hopLimit: 255 }, message, ROUTERS_MAC);
  const advert = it.one();
  assert.equal(advert.from, hex(LINK_LOCAL));
  assert.equal(advert.to, hex(ip6('ff02::1')));
  assert.equal(hex(advert.frame.subarray(0, 6)), '333300000001');
  const expected = new Bytes(false)
    .bytes([134, 0, ...advert.payload.subarray(2, 4), 64, 0x40])
    .u16(65535)
    .u32(0, 0)
    .u8(1, 1)
    .bytes(GATEWAY_MAC)
    .u8(5, 1)
    .u16(0)
    .u32(9000)
    .u8(3, 4, 64, 0xc0)
    .u32(0xffff_ffff, 0xffff_ffff, 0)
    .bytes(PREFIX6)
    .u8(25, 3)
    .u16(0)
    .u32(0xffff_ffff)
    .bytes(DNS6)
    .u8(31, 3)
    .u16(0)
    .u32(0xffff_ffff)
    .bytes(Buffer.from('\x07example\x03org\0'), [0, 0, 0]);
  assert.equal(hex(advert.payload), hex(expected.done()));
  assert.deepEqual(neighbours(it), { 'fe80::5054:ff': '52:54:00:12:34:56' });
  it.close();
});
