import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bytes } from '../../../../test/support/bytes.ts';
import { ip4, ip6, mac } from '../../../../test/support/rawPackets.ts';
import { GUEST, GUEST_MAC, HOST, HOST6, UserGuest } from '../../../../test/support/userGuest.ts';
import { answerDhcp, type DhcpReply, type DhcpSettings, hostnameOf } from './dhcp.ts';
import { answerDhcp6 } from './dhcp6.ts';
import { Leases } from './leases.ts';

const SETTINGS: DhcpSettings = {
  server: Uint8Array.from(HOST),
  mask: Uint8Array.of(255, 255, 255, 0),
  broadcast: Uint8Array.of(10, 0, 2, 255),
  router: Uint8Array.from(HOST),
  dns: Uint8Array.of(10, 0, 2, 3),
  hostname: 'alpine',
  search: ['example.org', 'lan'],
  mtu: 9000,
  leaseSeconds: 86_400,
  bootfile: 'boot/pxe.0',
};
const FIRST = 0x0a00020f;
const [DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM] = [1, 2, 3, 4, 5, 6, 7, 8];

interface Asked {
  readonly type?: number | undefined;
  readonly from?: readonly number[];
  readonly address?: string;
  readonly wanted?: string;
  readonly server?: string;
  readonly flags?: number;
  readonly relay?: string;
}

/** RFC 2131 §2, figure 1. */
function request({ type, from = GUEST_MAC, address, wanted, server, flags = 0, relay }: Asked): Uint8Array {
  const bytes = new Bytes(false)
    .u8(1, 1, 6, 0)
    .u32(0x39031234)
    .u16(3, flags)
    .bytes(ip4(address ?? '0.0.0.0'), ip4('0.0.0.0'), ip4('0.0.0.0'), ip4(relay ?? '0.0.0.0'))
    .bytes(from, new Uint8Array(10 + 64 + 128))
    .u32(0x63825363);
  if (type !== undefined) bytes.u8(53, 1, type);
  if (wanted !== undefined) bytes.u8(50, 4).bytes(ip4(wanted));
  if (server !== undefined) bytes.u8(54, 4).bytes(ip4(server));
  return bytes.u8(0, 255).done();
}

function options({ message }: DhcpReply): Map<number, Uint8Array> {
  const found = new Map<number, Uint8Array>();
  for (let at = 240; message[at] !== 255;) {
    const lengthBytes = message[at + 1] as number;
    found.set(message[at] as number, message.subarray(at + 2, at + 2 + lengthBytes));
    at += 2 + lengthBytes;
  }
  return found;
}

function server(): { ask: (asked: Asked, nowMs?: number) => DhcpReply | undefined; leases: Leases } {
  const leases = new Leases(FIRST, 16, SETTINGS.leaseSeconds);
  return { leases, ask: (asked, nowMs = 0) => answerDhcp(request(asked), SETTINGS, leases, nowMs) };
}

function offered(reply: DhcpReply | undefined): string {
  return reply === undefined ? 'nothing' : reply.message.subarray(16, 20).join('.');
}

function typeOf(reply: DhcpReply | undefined): number | undefined {
  return reply === undefined ? undefined : options(reply).get(53)?.[0];
}

test('a guest discovers, is offered an address, requests it and has it', () => {
  const { ask, leases } = server();
  const offer = ask({ type: DISCOVER });
  assert.equal(typeOf(offer), OFFER);
  assert.equal(offered(offer), '10.0.2.15');
  const ack = ask({ type: REQUEST, wanted: '10.0.2.15', server: '10.0.2.2' });
  assert.equal(typeOf(ack), ACK);
  assert.equal(offered(ack), '10.0.2.15');
  assert.equal(leases.addressOf(0x525400123456), FIRST);
});

test('a reply has what the request is told by, and all that the network is', () => {
  const reply = server().ask({ type: DISCOVER }) as DhcpReply;
  const { message } = reply;
  assert.deepEqual([...message.subarray(0, 4)], [2, 1, 6, 0]);
  assert.deepEqual([...message.subarray(4, 8)], [0x39, 0x03, 0x12, 0x34]);
  assert.deepEqual([...message.subarray(28, 34)], GUEST_MAC);
  assert.deepEqual([...message.subarray(20, 24)], HOST, 'next server');
  assert.equal(Buffer.from(message.subarray(108, 118)).toString(), 'boot/pxe.0');
  const found = options(reply);
  const text = (code: number): string => Buffer.from(found.get(code) ?? []).toString();
  assert.deepEqual([...(found.get(1) ?? [])], [255, 255, 255, 0]);
  assert.deepEqual([...(found.get(3) ?? [])], HOST);
  assert.deepEqual([...(found.get(6) ?? [])], [10, 0, 2, 3]);
  assert.deepEqual([...(found.get(26) ?? [])], [9000 >> 8, 9000 & 0xff]);
  assert.deepEqual([...(found.get(51) ?? [])], [0, 1, 0x51, 0x80]);
  assert.deepEqual([...(found.get(54) ?? [])], HOST);
  assert.equal(text(12), 'alpine');
  assert.equal(text(15), 'example.org');
  assert.equal(text(66), '10.0.2.2');
  assert.equal(text(67), 'boot/pxe.0');
  assert.equal(text(119), '\x07example\x03org\0\x03lan\0');
  assert.ok(message.length <= 548, 'all that a client must take (RFC 2131 §2)');
});

test('an address that is withheld is nobody’s, however long it takes', () => {
  const { ask, leases } = server();
  leases.withhold(FIRST);
  leases.withhold(FIRST + 100); // not of the pool
  const nowMs = 10 * 365 * 86_400_000;
  assert.equal(offered(ask({ type: DISCOVER, wanted: '10.0.2.15' }, nowMs)), '10.0.2.16');
  assert.equal(typeOf(ask({ type: REQUEST, wanted: '10.0.2.15' }, nowMs)), NAK);
});

test('each interface has an address of its own, and the same again', () => {
  const { ask } = server();
  const other = mac('02:00:00:00:00:01');
  assert.equal(offered(ask({ type: DISCOVER })), '10.0.2.15');
  assert.equal(offered(ask({ type: DISCOVER, from: other })), '10.0.2.16');
  assert.equal(offered(ask({ type: DISCOVER })), '10.0.2.15');
  assert.equal(
    offered(ask({ type: DISCOVER, wanted: '10.0.2.20', from: mac('02:00:00:00:00:02') })),
    '10.0.2.20',
  );
});

test('an address of another network, or of somebody else, is refused to all who hear (§4.3.2)', () => {
  const { ask } = server();
  ask({ type: REQUEST, wanted: '10.0.2.15', server: '10.0.2.2' });
  for (const wanted of ['192.168.1.7', '10.0.2.200', '10.0.2.2', '10.0.2.15']) {
    const nak = ask({ type: REQUEST, wanted, from: mac('02:00:00:00:00:01') });
    assert.equal(typeOf(nak), NAK, wanted);
    assert.equal(nak?.to, undefined);
    assert.equal(offered(nak), '0.0.0.0');
  }
});

test('a client that has chosen another server is left alone, and its offer is free again', () => {
  const { ask } = server();
  ask({ type: DISCOVER });
  assert.equal(ask({ type: REQUEST, wanted: '10.0.2.15', server: '10.0.2.9' }), undefined);
  assert.equal(offered(ask({ type: DISCOVER, from: mac('02:00:00:00:00:01') })), '10.0.2.15');
});

test('a client that renews is answered where it is; others by Ethernet address, or to all if they ask so (§4.1)', () => {
  const { ask } = server();
  assert.deepEqual(ask({ type: DISCOVER })?.to, Uint8Array.of(10, 0, 2, 15));
  assert.equal(ask({ type: DISCOVER, flags: 0x8000 })?.to, undefined);
  assert.deepEqual(ask({ type: REQUEST, address: '10.0.2.15' })?.to, Uint8Array.of(10, 0, 2, 15));
});

test('an address that is released is free; one that is declined is not, for a while', () => {
  const { ask } = server();
  ask({ type: REQUEST, wanted: '10.0.2.15' });
  assert.equal(ask({ type: RELEASE, address: '10.0.2.15' }), undefined);
  const other = mac('02:00:00:00:00:01');
  assert.equal(offered(ask({ type: DISCOVER, from: other })), '10.0.2.15');
  assert.equal(ask({ type: DECLINE, wanted: '10.0.2.15', from: other }), undefined);
  assert.equal(offered(ask({ type: DISCOVER, from: other })), '10.0.2.16');
  assert.equal(
    offered(ask({ type: DISCOVER, from: mac('02:00:00:00:00:02'), wanted: '10.0.2.15' }, 600_000)),
    '10.0.2.15',
  );
});

test('who has an address already is told the rest, without a lease (§4.3.5)', () => {
  const reply = server().ask({ type: INFORM, address: '10.0.2.77' }) as DhcpReply;
  assert.equal(typeOf(reply), ACK);
  assert.equal(offered(reply), '0.0.0.0');
  assert.equal(options(reply).has(51), false);
  assert.deepEqual(reply.to, Uint8Array.of(10, 0, 2, 77));
});

test('a BOOTP client has its address without a lease time (RFC 951)', () => {
  const reply = server().ask({}) as DhcpReply;
  assert.equal(offered(reply), '10.0.2.15');
  assert.equal(options(reply).has(53), false);
  assert.equal(options(reply).has(51), false);
  assert.ok(reply.message.length >= 300);
});

test('what is no request of an Ethernet client in this network is not answered', () => {
  const { leases } = server();
  const good = request({ type: DISCOVER });
  const ask = (bytes: Uint8Array): unknown => answerDhcp(bytes, SETTINGS, leases, 0);
  assert.equal(ask(good.subarray(0, 200)), undefined);
  assert.equal(ask(Uint8Array.from(good, (byte, at) => (at === 0 ? 2 : byte))), undefined, 'a reply');
  assert.equal(ask(Uint8Array.from(good, (byte, at) => (at === 2 ? 16 : byte))), undefined, 'no Ethernet');
  assert.equal(ask(request({ type: DISCOVER, relay: '10.0.2.5' })), undefined, 'a relay');
  assert.equal(
    ask(Uint8Array.from(good, (byte, at) => (at === 241 ? 200 : byte))),
    undefined,
    'an option that is cut',
  );
});

test('a flood of clients takes the pool and nothing more, and offers are free again after a minute', () => {
  const { ask, leases } = server();
  for (let index = 0; index < 100_000; index++)
    ask({ type: DISCOVER, from: [2, 0, 0, (index >> 16) & 0xff, (index >> 8) & 0xff, index & 0xff] });
  assert.equal(ask({ type: DISCOVER }), undefined);
  assert.equal(offered(ask({ type: DISCOVER }, 60_000)), '10.0.2.15');
  let bound = 0;
  leases.forEachBound(() => bound++);
  assert.equal(bound, 0);
});

test('a VM’s name becomes one that DNS takes', () => {
  assert.equal(hostnameOf('alpine 3.20 (test)'), 'alpine-3-20-test');
  assert.equal(hostnameOf('_'), '');
  assert.equal(hostnameOf('x'.repeat(80)).length, 63);
});

test('over the wire: a guest without an address is answered by broadcast where it asks for that', () => {
  const it = new UserGuest();
  const bytes = request({ type: DISCOVER, flags: 0x8000 });
  it.sendUdp([0, 0, 0, 0], 68, [255, 255, 255, 255], 67, bytes);
  const offer = it.one();
  assert.deepEqual([...offer.frame.subarray(0, 6)], [255, 255, 255, 255, 255, 255]);
  assert.equal(offer.from, '10.0.2.2');
  assert.equal(offer.to, '255.255.255.255');
  assert.deepEqual([offer.sourcePort, offer.destinationPort], [67, 68]);
  it.sendUdp(GUEST, 68, HOST, 67, request({ type: REQUEST, address: '10.0.2.15' }));
  assert.equal(it.one().to, '10.0.2.15');
  assert.deepEqual((it.link.report().leases as unknown[]).length, 1);
  it.close();
});

test('over the wire: who knows its file by itself, as U-Boot does, is told where the TFTP folder is', () => {
  for (const hasTftp of [true, false]) {
    const it = new UserGuest({ opened: { hasTftp } });
    it.sendUdp([0, 0, 0, 0], 68, [255, 255, 255, 255], 67, request({ type: DISCOVER }));
    const message = it.one().payload.subarray(8);
    assert.deepEqual([...message.subarray(20, 24)], hasTftp ? HOST : [0, 0, 0, 0], 'next server');
    const names = options({ message, to: undefined });
    assert.deepEqual([names.has(66), names.has(67)], [hasTftp, false]);
    it.close();
  }
});

test('a stateless DHCPv6 client is told of name servers (RFC 8415 §18.3.6)', () => {
  const dns = new Uint8Array(16).fill(3);
  const settings = { mac: Uint8Array.from(GUEST_MAC), dns, search: ['lan'] };
  const clientId = [0, 1, 0, 4, 0, 3, 0, 1];
  const ask = new Bytes(false).u8(11, 1, 2, 3).bytes(clientId).u16(6, 2, 23).done();
  const reply = answerDhcp6(ask, settings) as Uint8Array;
  const expected = new Bytes(false)
    .u8(7, 1, 2, 3)
    .u16(2, 10, 3, 1)
    .bytes(GUEST_MAC, clientId)
    .u16(23, 16)
    .bytes(dns)
    .u16(24, 5)
    .bytes(Buffer.from('\x03lan\0'))
    .done();
  assert.deepEqual(Buffer.from(reply), Buffer.from(expected));
  assert.equal(answerDhcp6(Uint8Array.of(1, 1, 2, 3), settings), undefined, 'a solicitation of addresses');
  assert.equal(
    answerDhcp6(Uint8Array.of(11, 1, 2, 3, 0, 1, 0, 9, 1), settings),
    undefined,
    'an option that is cut',
  );
  for (const association of [3, 4, 25])
    assert.equal(answerDhcp6(Uint8Array.of(11, 1, 2, 3, 0, association, 0, 0), settings), undefined);
});

test('DHCPv6 is asked by multicast: by unicast it is nobody’s (RFC 8415 §16)', () => {
  const it = new UserGuest();
  it.sendUdp(ip6('fe80::1'), 546, ip6('ff02::1:2'), 547, Uint8Array.of(11, 1, 2, 3));
  assert.equal(it.one().data[0], 7);
  it.sendUdp(ip6('fe80::1'), 546, HOST6, 547, Uint8Array.of(11, 1, 2, 3));
  assert.deepEqual(
    it.take().filter((frame) => frame.sourcePort === 547),
    [],
  );
  it.close();
});
