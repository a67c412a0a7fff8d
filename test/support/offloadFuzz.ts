/**
 * Seeded frames for SoftwareOffload: TCP segments that are cut for a guest, put together again and compared
 * with what went in, and frames of which nothing is right.
 */
import assert from 'node:assert/strict';
import {
  VIRTIO_NET_HDR_F_NEEDS_CSUM,
  VIRTIO_NET_HDR_GSO_ECN,
  VIRTIO_NET_HDR_GSO_TCPV4,
  VIRTIO_NET_HDR_GSO_TCPV6,
} from '../../vmm-core/abi/virtioNetHdr.ts';
import { type GuestOffloads, MAX_FRAME_BYTES, type Offload } from '../../vmm-core/backends/net/netLink.ts';
import { noOffload, OFFLOAD_HEADER_BYTES, readOffload } from '../../vmm-core/backends/net/offloadHeader.ts';
import { SoftwareOffload } from '../../vmm-core/backends/net/softwareOffload.ts';
import { seededRandom } from './bytes.ts';
import { Chances } from './chances.ts';
import { ALL_OFFLOADS, FakeGuestPort, type TakenFrame } from './fakeGuestPort.ts';

const ETHER_BYTES = 14;
const VLAN_TAG_BYTES = 4;
const TCP_BYTES = 20;
const TCP = 6;
const [FIN, PSH, CWR] = [0x01, 0x08, 0x80];
const CHECKSUM = 16;

export interface Segment {
  readonly bytes: Uint8Array;
  readonly offload: Offload;
  /** Behind a VLAN's tag, where there is one. */
  readonly ipAt: number;
  readonly tcpAt: number;
  readonly dataAt: number;
}

export function offloadRound(seed: number): void {
  const it = new Chances(seededRandom(seed));
  const port = new FakeGuestPort({ offloads: someOffloads(it) });
  try {
    const software = new SoftwareOffload();
    for (let i = 0; i < 8; i++) {
      const segment = someSegment(it);
      port.frames.length = 0;
      assert.equal(software.deliver(port, segment.bytes, segment.offload), 'taken');
      checkSegments(segment, port.frames, port.offloads);
    }
    for (let i = 0; i < 200; i++) deliverGarbage(it, software, port);
  } finally {
    port.close();
  }
}

/** With the pseudo-header's sum in place of a checksum, as senders leave it. */
export function someSegment(it: Chances, most = 30_000): Segment {
  const isIpv6 = it.chance(0.5);
  const ipBytes = isIpv6 ? 40 : 20 + 4 * it.below(11);
  const ipAt = ETHER_BYTES + (it.chance(0.3) ? VLAN_TAG_BYTES : 0);
  const tcpAt = ipAt + ipBytes;
  const dataAt = tcpAt + TCP_BYTES + 4 * it.below(11);
  const dataBytes = 1 + it.below(most);
  const bytes = new Uint8Array(dataAt + dataBytes);
  for (let i = 0; i < bytes.length; i++) bytes[i] = it.below(256);
  const view = new DataView(bytes.buffer);
  if (ipAt > ETHER_BYTES) view.setUint16(12, 0x8100);
  view.setUint16(ipAt - 2, isIpv6 ? 0x86dd : 0x0800);
  if (isIpv6) {
    view.setUint8(ipAt, 0x60);
    view.setUint16(ipAt + 4, bytes.length - tcpAt);
    view.setUint8(ipAt + 6, TCP);
  } else {
    view.setUint8(ipAt, 0x40 | (ipBytes / 4));
    view.setUint16(ipAt + 2, bytes.length - ipAt);
    view.setUint8(ipAt + 9, TCP);
  }
  view.setUint8(tcpAt + 12, ((dataAt - tcpAt) / 4) << 4);
  view.setUint16(tcpAt + CHECKSUM, sum(pseudoHeader(bytes, ipAt, tcpAt)));
  const gsoType =
    (isIpv6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4) |
    (it.chance(0.3) ? VIRTIO_NET_HDR_GSO_ECN : 0);
  const offload = {
    ...{ flags: VIRTIO_NET_HDR_F_NEEDS_CSUM, gsoType, gsoSize: 1 + it.below(it.chance(0.2) ? 65_535 : 3000) },
    ...{ hdrLen: dataAt, csumStart: tcpAt, csumOffset: CHECKSUM },
  };
  return { bytes, offload, ipAt, tcpAt, dataAt };
}

/** That what the guest got is what was sent: whole, or in segments that any receiver takes. */
export function checkSegments(
  { bytes, offload, ipAt, tcpAt, dataAt }: Segment,
  frames: readonly TakenFrame[],
  { csum, tso4, tso6, ecn }: GuestOffloads,
): void {
  const isIpv6 = bytes[ipAt - 2] === 0x86;
  const isEcn = (offload.gsoType & VIRTIO_NET_HDR_GSO_ECN) !== 0;
  if (csum && (isIpv6 ? tso6 : tso4) && (ecn || !isEcn)) {
    assert.deepEqual(frames, [{ bytes, offload }]);
    return;
  }
  const sent = new DataView(bytes.buffer);
  const data: Uint8Array[] = [];
  let taken = 0;
  frames.forEach((frame, i) => {
    const got = frame.bytes;
    const view = new DataView(got.buffer);
    const isLast = i === frames.length - 1;
    assert.deepEqual(frame.offload, noOffload());
    assert.ok(
      isLast || got.length - dataAt === offload.gsoSize,
      'all but the last are as long as was asked for',
    );
    assert.equal(view.getUint32(tcpAt + 4), (sent.getUint32(tcpAt + 4) + taken) >>> 0);
    const kept = (i === 0 ? CWR : 0) | (isLast ? FIN | PSH : 0);
    assert.equal(got[tcpAt + 13], (bytes[tcpAt + 13] ?? 0) & (~(FIN | PSH | CWR) | kept));
    assert.equal(
      sum([...pseudoHeader(got, ipAt, tcpAt), ...got.subarray(tcpAt)]),
      0xffff,
      'the checksum is right',
    );
    if (isIpv6) assert.equal(view.getUint16(ipAt + 4), got.length - tcpAt);
    else {
      assert.equal(view.getUint16(ipAt + 2), got.length - ipAt);
      assert.equal(view.getUint16(ipAt + 4), (sent.getUint16(ipAt + 4) + i) & 0xffff);
      assert.equal(sum(got.subarray(ipAt, tcpAt)), 0xffff);
    }
    const headers = { ipAt, tcpAt, dataAt };
    assert.deepEqual(withoutWork(got, headers), withoutWork(bytes, headers));
    data.push(got.subarray(dataAt));
    taken += got.length - dataAt;
  });
  assert.deepEqual(Buffer.concat(data), Buffer.from(bytes.subarray(dataAt)));
}

/** The headers, without what differs from segment to segment. */
function withoutWork(
  bytes: Uint8Array,
  { ipAt, tcpAt, dataAt }: Pick<Segment, 'ipAt' | 'tcpAt' | 'dataAt'>,
): number[] {
  const isIpv6 = bytes[ipAt - 2] === 0x86;
  const zeroed = (isIpv6 ? [4, 5] : [2, 3, 4, 5, 10, 11]).map((at) => ipAt + at);
  const tcp = [4, 5, 6, 7, 13, 16, 17].map((at) => tcpAt + at);
  return [...bytes.subarray(0, dataAt)].map((byte, at) =>
    zeroed.includes(at) || tcp.includes(at) ? 0 : byte,
  );
}

function deliverGarbage(it: Chances, software: SoftwareOffload, port: FakeGuestPort): void {
  const { bytes, offload } = it.chance(0.5)
    ? someSegment(it, 3000)
    : { bytes: new Uint8Array(ETHER_BYTES + it.below(200)), offload: noOffload() };
  for (let i = it.below(6); i > 0; i--) bytes[it.below(Math.min(80, bytes.length))] = it.below(256);
  const cut = bytes.subarray(
    0,
    Math.max(ETHER_BYTES, bytes.length - (it.chance(0.3) ? it.below(bytes.length) : 0)),
  );
  const header = new DataView(new ArrayBuffer(OFFLOAD_HEADER_BYTES));
  for (let i = 0; i < OFFLOAD_HEADER_BYTES; i++)
    header.setUint8(i, it.of([0, 0, 1, 3, 4, 5, 14, 34, 128, it.below(256)]));
  const given = it.chance(0.5) ? { ...offload } : noOffload();
  if (!readOffload(header, cut.length, given) && it.chance(0.9)) return;
  port.frames.length = 0;
  port.room = it.chance(0.2) ? it.below(3) : Infinity;
  const delivery = software.deliver(port, cut, given);
  assert.ok(['taken', 'noRoom', 'malformed'].includes(delivery));
  if (delivery !== 'taken') assert.equal(port.frames.length, 0, 'what is not taken is not there');
  for (const frame of port.frames) assert.ok(frame.bytes.length <= MAX_FRAME_BYTES);
  port.room = Infinity;
}

function someOffloads(it: Chances): GuestOffloads {
  const csum = it.chance(0.6);
  return {
    ...ALL_OFFLOADS,
    csum,
    tso4: csum && it.chance(0.5),
    tso6: csum && it.chance(0.5),
    ecn: csum && it.chance(0.5),
    ufo: false,
  };
}

function pseudoHeader(bytes: Uint8Array, ipAt: number, tcpAt: number): number[] {
  const isIpv6 = bytes[ipAt - 2] === 0x86;
  const addresses = isIpv6 ? bytes.subarray(ipAt + 8, ipAt + 40) : bytes.subarray(ipAt + 12, ipAt + 20);
  const tcpBytes = bytes.length - tcpAt;
  return [...addresses, 0, TCP, tcpBytes >> 8, tcpBytes & 0xff];
}

/** As RFC 1071 says it. */
function sum(bytes: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < bytes.length; i += 2) total += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
  while (total > 0xffff) total = (total & 0xffff) + (total >> 16);
  return total;
}
