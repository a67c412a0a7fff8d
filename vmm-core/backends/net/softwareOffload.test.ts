import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { seededRandom } from '../../../test/support/bytes.ts';
import { Chances } from '../../../test/support/chances.ts';
import { ALL_OFFLOADS, FakeGuestPort } from '../../../test/support/fakeGuestPort.ts';
import { NO_OFFLOADS } from '../../../test/support/netFrames.ts';
import { checkSegments, type Segment, someSegment } from '../../../test/support/offloadFuzz.ts';
import {
  VIRTIO_NET_HDR_F_DATA_VALID,
  VIRTIO_NET_HDR_F_NEEDS_CSUM,
  VIRTIO_NET_HDR_GSO_TCPV4,
  VIRTIO_NET_HDR_GSO_UDP_L4,
} from '../../abi/virtioNetHdr.ts';
import { noOffload } from './offloadHeader.ts';
import { SoftwareOffload } from './softwareOffload.ts';

describe('work that a frame leaves to the guest', () => {
  let port: FakeGuestPort;
  const software = new SoftwareOffload();
  beforeEach(() => (port = new FakeGuestPort({ offloads: NO_OFFLOADS })));
  afterEach(() => port.close());

  /** With as many bytes of data and in each segment. */
  function segment(dataBytes: number, gsoSize: number): Segment {
    const it = new Chances(seededRandom(dataBytes));
    for (;;) {
      const { bytes, offload, ...rest } = someSegment(it, 1);
      if (offload.gsoType !== VIRTIO_NET_HDR_GSO_TCPV4) continue;
      const longer = new Uint8Array(rest.dataAt + dataBytes);
      longer.set(bytes.subarray(0, rest.dataAt));
      return { bytes: longer, offload: { ...offload, gsoSize }, ...rest };
    }
  }

  it('is left to one that does it', () => {
    port.offloads = ALL_OFFLOADS;
    const it = segment(5000, 1460);
    assert.equal(software.deliver(port, it.bytes, it.offload), 'taken');
    assert.deepEqual(port.frames, [{ bytes: it.bytes, offload: it.offload }]);
  });

  it('that was done already is told to one that knows of checksums only (§5.1.6.4.1)', () => {
    const checked = { ...noOffload(), flags: VIRTIO_NET_HDR_F_DATA_VALID };
    assert.equal(software.deliver(port, new Uint8Array(60), checked), 'taken');
    port.offloads = ALL_OFFLOADS;
    assert.equal(software.deliver(port, new Uint8Array(60), checked), 'taken');
    assert.deepEqual(
      port.frames.map(({ offload }) => offload),
      [noOffload(), checked],
    );
  });

  it('is done for others: segments of the size, with FIN and PSH in the last and CWR in the first', () => {
    for (const [dataBytes, gsoSize] of [
      [5000, 1460],
      [1460, 1460],
      [1461, 1460],
      [1, 1],
      [3001, 999],
    ] as const) {
      const it = segment(dataBytes, gsoSize);
      it.bytes[it.tcpAt + 13] = 0xff;
      port.frames.length = 0;
      assert.equal(software.deliver(port, it.bytes, it.offload), 'taken');
      assert.equal(port.frames.length, Math.ceil(dataBytes / gsoSize));
      checkSegments(it, port.frames, port.offloads);
    }
  });

  it('is done for segments of a VLAN, too', () => {
    for (let seed = 0; seed < 40; seed++) {
      const it = someSegment(new Chances(seededRandom(seed)));
      port.frames.length = 0;
      assert.equal(software.deliver(port, it.bytes, it.offload), 'taken', `${it.ipAt}`);
      checkSegments(it, port.frames, port.offloads);
    }
  });

  it('comes, done or not, on the pair of queues that the flow is awaited on (§5.1.6.5.6)', () => {
    for (let length = 3000; length < 3008; length++) {
      const it = segment(length, 1460); // of another flow each
      for (const offloads of [ALL_OFFLOADS, NO_OFFLOADS]) {
        port.offloads = offloads;
        assert.equal(software.deliver(port, it.bytes, it.offload), 'taken');
      }
    }
    assert.ok(port.steered.every(({ came, awaited }) => came === awaited));
    assert.ok(new Set(port.steered.map(({ came }) => came)).size > 1);
  });

  it('stops where the guest has no room any more; without any room the frame waits', () => {
    const it = segment(5000, 1000);
    port.room = 0;
    assert.equal(software.deliver(port, it.bytes, it.offload), 'noRoom');
    port.room = 3;
    assert.equal(software.deliver(port, it.bytes, it.offload), 'taken');
    assert.equal(port.frames.length, 3);
  });

  it('a checksum that would be 0 is 0xffff, as UDP has it', () => {
    const bytes = new Uint8Array(14 + 20 + 8 + 2);
    bytes.set([0xff, 0xff], 42); // all there is to sum: the checksum of that is 0
    const offload = { ...noOffload(), flags: VIRTIO_NET_HDR_F_NEEDS_CSUM, csumStart: 34, csumOffset: 6 };
    assert.equal(software.deliver(port, bytes, offload), 'taken');
    assert.deepEqual([...(port.frames[0]?.bytes.subarray(40, 42) ?? [])], [0xff, 0xff]);
  });

  it('cannot be done for what is no TCP, or lies about its headers', () => {
    const good = segment(3000, 1000);
    const wrong = (change: (bytes: Uint8Array) => void, offload = good.offload): string => {
      const bytes = good.bytes.slice();
      change(bytes);
      return software.deliver(port, bytes, offload);
    };
    assert.equal(
      wrong((it) => it.fill(0, good.ipAt - 2, good.ipAt)),
      'malformed',
    );
    assert.equal(
      wrong((it) => (it[good.ipAt] = 0x41)),
      'malformed',
    );
    assert.equal(
      wrong((it) => (it[good.ipAt + 9] = 17)),
      'malformed',
    );
    assert.equal(
      wrong((it) => (it[good.tcpAt + 12] = 0x40)),
      'malformed',
    );
    assert.equal(
      wrong(() => undefined, { ...good.offload, gsoSize: 0 }),
      'malformed',
    );
    assert.equal(
      wrong(() => undefined, { ...good.offload, gsoType: VIRTIO_NET_HDR_GSO_UDP_L4 }),
      'malformed',
    );
    const checksum = {
      ...noOffload(),
      flags: VIRTIO_NET_HDR_F_NEEDS_CSUM,
      csumStart: 0xffff,
      csumOffset: 0xffff,
    };
    assert.equal(
      wrong(() => undefined, checksum),
      'malformed',
    );
    assert.equal(software.deliver(port, good.bytes.subarray(0, 40), good.offload), 'malformed');
    assert.deepEqual(port.frames, []);
  });
});
