/** Without a kernel: what it would be asked. With one the lab shows it (test/lab/vhost.lab.ts). */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { allocateGuestMemory } from '../../memory/guestMemory.ts';
import * as abi from '../../abi/vhost.ts';
import { VIRTIO_F_VERSION_1 } from '../../abi/virtioConfig.ts';
import { VIRTIO_NET_F_MRG_RXBUF } from '../../abi/virtioNet.ts';
import { VIRTIO_RING_F_EVENT_IDX } from '../../abi/virtioRing.ts';
import { EFAULT, EINVAL } from '../errno.ts';
import { addressOf, closeFd, createEventFd, signalEventFd } from '../libc.ts';
import { VhostPair, type VhostRing } from './vhostNet.ts';

const REQUESTS = new Map<number, string>(
  Object.entries(abi).flatMap(([name, value]) => (typeof value === 'number' ? [[value, name] as const] : [])),
);
const TAP = 77;
const memory = allocateGuestMemory([
  { base: 0, sizeBytes: 0x2_0000 },
  { base: 0x1_0000_0000, sizeBytes: 0x1_0000 },
]);
const [low, high] = memory.slots.map(({ bytes }) => addressOf(bytes));

function ring(changes: Partial<VhostRing> = {}): VhostRing {
  const rings = { desc: 0x1000, driver: 0x2002, device: 0x1_0000_3004 };
  return { size: 256, ...rings, nextAvail: 65535, kickFd: 40, ...changes };
}

describe('a pair of queues that the kernel serves', () => {
  let asked: { readonly name: string; readonly bytes: Uint8Array }[];
  let fails: string | undefined;
  let pair: VhostPair;
  beforeEach(() => {
    asked = [];
    fails = undefined;
    pair = new VhostPair(createEventFd(), (_, request, argument) => {
      const name = REQUESTS.get(request) ?? assert.fail(`request 0x${request.toString(16)}`);
      const bytes = new Uint8Array(argument.buffer, argument.byteOffset, argument.byteLength);
      asked.push({ name, bytes: bytes.slice() });
      if (name === 'VHOST_GET_VRING_BASE') bytes.set([3 + (bytes[0] ?? 0), 1], 4);
      return name === fails ? -EINVAL : 0;
    });
  });
  afterEach(() => pair.close());

  const of = (name: string): Uint8Array[] => asked.filter((it) => it.name === name).map(({ bytes }) => bytes);
  const words = (name: string): number[][] => of(name).map((it) => [...new Int32Array(it.slice().buffer)]);
  const start = (...rings: [VhostRing, VhostRing]): number =>
    pair.start(memory.slots, rings, TAP, (bit) =>
      [VIRTIO_F_VERSION_1, VIRTIO_NET_F_MRG_RXBUF, 5].includes(bit),
    );

  test('is told of the features of the rings, and of no others', () => {
    assert.equal(start(ring(), ring()), 0);
    const [features = assert.fail()] = of('VHOST_SET_FEATURES');
    const word = new DataView(features.buffer).getBigUint64(0, true);
    assert.equal(word, (1n << 32n) | (1n << BigInt(VIRTIO_NET_F_MRG_RXBUF)));
    assert.equal(word & (1n << BigInt(VIRTIO_RING_F_EVENT_IDX)), 0n);
  });

  test('gets all of RAM, and rings by addresses of this process', () => {
    start(ring(), ring({ desc: 0x1_0000_8000 }));
    const [table = assert.fail()] = of('VHOST_SET_MEM_TABLE');
    assert.deepEqual(
      [...new BigUint64Array(table.slice().buffer)],
      [2n, 0n, 0x2_0000n, low, 0n, 0x1_0000_0000n, 0x1_0000n, high, 0n],
    );
    const addresses = of('VHOST_SET_VRING_ADDR').map((it) =>
      abi.VhostVringAddr.read(new DataView(it.buffer)),
    );
    assert.equal(addresses[0]?.desc_user_addr, (low ?? 0n) + 0x1000n);
    assert.equal(addresses[0]?.avail_user_addr, (low ?? 0n) + 0x2002n);
    assert.equal(addresses[0]?.used_user_addr, (high ?? 0n) + 0x3004n);
    assert.deepEqual([addresses[1]?.index, addresses[1]?.desc_user_addr], [1, (high ?? 0n) + 0x8000n]);
  });

  test('begins where the rings are, with their doorbells, and the backend comes last', () => {
    start(ring(), ring({ size: 128, nextAvail: 9, kickFd: 41 }));
    assert.deepEqual(words('VHOST_SET_VRING_NUM'), [
      [0, 256],
      [1, 128],
    ]);
    assert.deepEqual(words('VHOST_SET_VRING_BASE'), [
      [0, 65535],
      [1, 9],
    ]);
    assert.deepEqual(words('VHOST_SET_VRING_KICK'), [
      [0, 40],
      [1, 41],
    ]);
    assert.deepEqual(words('VHOST_SET_VRING_CALL'), [
      [0, pair.callFds[0]],
      [1, pair.callFds[1]],
    ]);
    assert.deepEqual(words('VHOST_SET_VRING_ERR')[1], [1, pair.errFd]);
    assert.deepEqual(
      asked.slice(-2).map(({ name }) => name),
      ['VHOST_NET_SET_BACKEND', 'VHOST_NET_SET_BACKEND'],
    );
    assert.deepEqual(words('VHOST_NET_SET_BACKEND')[1], [1, TAP]);
  });

  test('is stopped before it says how far it has come', () => {
    start(ring(), ring());
    asked.length = 0;
    assert.deepEqual(pair.stop(), [0x103, 0x104]);
    assert.deepEqual(words('VHOST_NET_SET_BACKEND'), [
      [0, -1],
      [1, -1],
    ]);
    assert.equal(asked[0]?.name, 'VHOST_NET_SET_BACKEND');
    assert.equal(asked.at(-1)?.name, 'VHOST_GET_VRING_BASE');
  });

  test('serves nothing when a step fails, or a ring is not in RAM', () => {
    fails = 'VHOST_SET_VRING_CALL';
    assert.equal(start(ring(), ring()), -EINVAL);
    assert.deepEqual(words('VHOST_NET_SET_BACKEND'), [
      [0, -1],
      [1, -1],
    ]);
    fails = undefined;
    asked.length = 0;
    for (const changes of [{ desc: 0x2_0000 }, { driver: 0xffff_fff0 }, { device: 2 ** 53 }])
      assert.equal(start(ring(), ring(changes)), -EFAULT);
    assert.ok(words('VHOST_NET_SET_BACKEND').every(([, fd]) => fd === -1));
  });

  test('has signalled until that is taken', () => {
    assert.ok(!pair.takeCalls(0));
    signalEventFd(pair.callFds[0] ?? -1);
    signalEventFd(pair.callFds[0] ?? -1);
    assert.deepEqual([pair.takeCalls(1), pair.takeCalls(0), pair.takeCalls(0)], [false, true, false]);
  });
});

test('descriptors end with the pair', () => {
  const fd = createEventFd();
  const pair = new VhostPair(fd);
  pair.close();
  const again = [createEventFd(), createEventFd(), createEventFd(), createEventFd()];
  assert.ok(again.includes(fd));
  again.forEach(closeFd);
});
