import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Bytes } from '../../../../test/support/bytes.ts';
import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP } from '../../../abi/inet.ts';
import { FlowTable } from './flowTable.ts';

interface End {
  readonly address: readonly number[];
  readonly port: number;
}

const GUEST: End = { address: [10, 0, 2, 15], port: 40000 };
const SERVER: End = { address: [192, 0, 2, 7], port: 443 };
const GUEST6: End = { ...GUEST, address: [0xfd, ...Array.from({ length: 15 }, (_, i) => i)] };
const SERVER6: End = { ...SERVER, address: [0x20, 1, ...Array.from({ length: 14 }, (_, i) => 3 * i)] };
const DONT_FRAGMENT = 0x4000;
const MORE_FRAGMENTS = 0x2000;

function header(from: End, to: End, protocol: number, fragment = DONT_FRAGMENT): Uint8Array {
  const ethernet = new Bytes().u8(...Array.from({ length: 12 }, () => 2));
  if (from.address.length === 4)
    ethernet.u8(8, 0, 0x45, 0, 5, 220, 0, 0, fragment >> 8, fragment & 0xff, 64, protocol, 0, 0);
  else ethernet.u8(0x86, 0xdd, 0x60, 0, 0, 0, 5, 200, protocol, 64);
  const ports = [from.port, to.port].flatMap((it) => [it >> 8, it & 0xff]);
  return ethernet.u8(...from.address, ...to.address, ...ports, 1, 2, 3, 4).done();
}

function tagged(frame: Uint8Array): Uint8Array {
  return Uint8Array.from([...frame.slice(0, 12), 0x81, 0, 0, 42, ...frame.slice(12)]);
}

describe('automatic receive steering (§5.1.6.5.6)', () => {
  for (const [what, from, to, protocol] of [
    ['TCP', GUEST, SERVER, IPPROTO_TCP],
    ['UDP', GUEST, SERVER, IPPROTO_UDP],
    ['ICMP', GUEST, SERVER, IPPROTO_ICMP],
    ['TCP over IPv6', GUEST6, SERVER6, IPPROTO_TCP],
  ] as const)
    it(`has what comes of a flow on the pair that the guest has sent it on last: ${what}`, () => {
      const flows = new FlowTable();
      for (const pair of [3, 0, 2]) {
        flows.learn(header(from, to, protocol), pair);
        assert.equal(flows.pairOf(header(to, from, protocol), 4), pair);
        assert.equal(flows.pairOf(tagged(header(to, from, protocol)), 4), pair);
      }
    });

  it('tells flows between the same hosts apart by their ports, and those of IPv6 by all of the address', () => {
    const flows = new FlowTable();
    for (let i = 0; i < 4; i++) flows.learn(header({ ...GUEST, port: 40000 + i }, SERVER, IPPROTO_TCP), i);
    for (let i = 0; i < 4; i++)
      assert.equal(flows.pairOf(header(SERVER, { ...GUEST, port: 40000 + i }, IPPROTO_TCP), 4), i);
    for (let i = 0; i < 16; i++) {
      const from = { ...GUEST6, address: GUEST6.address.map((it, at) => (at === i ? it ^ 1 : it)) };
      flows.learn(header(from, SERVER6, IPPROTO_TCP), i % 4);
      flows.learn(header(GUEST6, SERVER6, IPPROTO_TCP), (i + 1) % 4);
      assert.equal(flows.pairOf(header(SERVER6, from, IPPROTO_TCP), 4), i % 4, `byte ${i}`);
    }
  });

  it('takes all fragments of a datagram for one flow: only the first has ports', () => {
    const flows = new FlowTable();
    const rest = { ...GUEST, port: 0x1234 }; // data, where ports would be
    flows.learn(header(rest, SERVER, IPPROTO_UDP, 100), 3);
    assert.equal(flows.pairOf(header(SERVER, GUEST, IPPROTO_UDP, MORE_FRAGMENTS), 4), 3);
  });

  it('has flows that the guest has not sent of on any pair, and each always on the same', () => {
    const flows = new FlowTable();
    const frames = Array.from({ length: 64 }, (_, i) =>
      header(SERVER, { ...GUEST, port: 1024 + i }, IPPROTO_TCP),
    );
    const pairs = frames.map((it) => flows.pairOf(it, 3));
    assert.deepEqual(new Set(pairs), new Set([0, 1, 2]));
    assert.deepEqual(
      frames.map((it) => flows.pairOf(it, 3)),
      pairs,
    );
  });

  it('has what is not IP, and what is cut off, on the first or any', () => {
    const flows = new FlowTable();
    const arp = new Bytes().u8(...Array.from({ length: 12 }, () => 2), 8, 6, 0, 1).done();
    flows.learn(arp, 3);
    assert.equal(flows.pairOf(arp, 4), 0);
    const whole = header(SERVER, GUEST, IPPROTO_TCP);
    for (let length = 0; length < whole.length; length++) {
      const pair = flows.pairOf(whole.subarray(0, length), 4);
      assert.ok(pair >= 0 && pair < 4);
    }
  });
});
