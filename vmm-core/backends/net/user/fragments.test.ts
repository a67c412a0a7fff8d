import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ip4, UDP } from '../../../../test/support/rawPackets.ts';
import { GUEST, HOST, UserGuest } from '../../../../test/support/userGuest.ts';
import { Fragments, type FragmentVerdict, LIFETIME_MS, MAX_DATAGRAMS } from './fragments.ts';
import { IpPacket } from './packet/ipPacket.ts';

interface Piece {
  readonly id?: number;
  readonly offset: number;
  readonly bytes: number;
  readonly more?: boolean;
}

/** What of a packet matters here. */
function packetOf({ id = 1, offset, bytes, more = true }: Piece): IpPacket {
  const packet = new IpPacket();
  packet.head = Uint8Array.from([...GUEST, ...HOST]);
  packet.sourceAt = 0;
  packet.destinationAt = 4;
  packet.addressBytes = 4;
  packet.identification = id;
  packet.protocol = UDP;
  packet.fragmentOffset = offset;
  packet.payloadBytes = bytes;
  packet.hasMoreFragments = more;
  packet.isFragment = true;
  return packet;
}

function adder(): { add: (piece: Piece, nowMs?: number) => FragmentVerdict; fragments: Fragments } {
  const fragments = new Fragments();
  const add = (piece: Piece, nowMs = 0): FragmentVerdict => {
    const payload = Uint8Array.from({ length: piece.bytes }, (_, index) => piece.offset + index);
    return fragments.add(packetOf(piece), payload, nowMs);
  };
  return { add, fragments };
}

test('fragments make their datagram in any order', () => {
  const all: Piece[] = [
    { offset: 0, bytes: 16 },
    { offset: 16, bytes: 8 },
    { offset: 24, bytes: 24 },
    { offset: 48, bytes: 5, more: false },
  ];
  for (const order of permutations([0, 1, 2, 3])) {
    const { add, fragments } = adder();
    const verdicts = order.map((index) => add(all[index] as Piece));
    assert.deepEqual(verdicts, ['kept', 'kept', 'kept', 'whole'], order.join());
    assert.equal(fragments.lengthBytes, 53);
    assert.deepEqual(
      [...fragments.bytes.subarray(0, 53)],
      Array.from({ length: 53 }, (_, index) => index),
    );
    assert.equal(fragments.count, 0);
  }
});

test('fragments that overlap end their datagram (RFC 5722), as does one that comes twice', () => {
  for (const second of [
    { offset: 0, bytes: 16 },
    { offset: 8, bytes: 16 },
  ]) {
    const { add, fragments } = adder();
    add({ offset: 0, bytes: 16 });
    assert.equal(add(second), 'drop');
    assert.equal(fragments.count, 0);
  }
});

test('a second end, or bytes behind the end, end the datagram', () => {
  const { add } = adder();
  add({ offset: 16, bytes: 8, more: false });
  assert.equal(add({ offset: 32, bytes: 8, more: false }), 'drop');
  add({ id: 2, offset: 32, bytes: 8 });
  assert.equal(add({ id: 2, offset: 16, bytes: 8, more: false }), 'drop');
});

test('a datagram beyond 64 KiB is none', () => {
  assert.equal(adder().add({ offset: 65_528, bytes: 16, more: false }), 'drop');
});

test('datagrams that are not whole in time are forgotten', () => {
  const { add, fragments } = adder();
  add({ offset: 0, bytes: 8 });
  assert.equal(add({ offset: 8, bytes: 8, more: false }, LIFETIME_MS), 'kept');
  assert.equal(fragments.count, 1);
});

test('a flood of first fragments keeps a few datagrams, the latest', () => {
  const { add, fragments } = adder();
  for (let id = 0; id < 10_000; id++) assert.equal(add({ id, offset: 0, bytes: 8 }, id / 1000), 'kept');
  assert.equal(fragments.count, MAX_DATAGRAMS);
  assert.equal(add({ id: 9999, offset: 8, bytes: 8, more: false }, 10), 'whole');
});

test('a datagram with many holes is dropped', () => {
  const { add } = adder();
  const verdicts = Array.from({ length: 64 }, (_, index) => add({ offset: index * 16, bytes: 8 }));
  assert.ok(verdicts.includes('drop'));
});

test('a guest that floods with tiny fragments is bounded, over the wire', () => {
  const it = new UserGuest();
  for (let id = 0; id < 20_000; id++)
    it.sendIp(
      { from: GUEST, to: ip4('192.0.2.1'), protocol: UDP, id: id & 0xffff, offset: 8 * (id % 7), more: true },
      new Uint8Array(8),
    );
  const { datagramsIncomplete } = it.link.report().counters as { datagramsIncomplete: number };
  assert.ok(datagramsIncomplete <= MAX_DATAGRAMS);
  it.close();
});

function permutations(items: readonly number[]): number[][] {
  if (items.length < 2) return [[...items]];
  return items.flatMap((first) =>
    permutations(items.filter((it) => it !== first)).map((rest) => [first, ...rest]),
  );
}
