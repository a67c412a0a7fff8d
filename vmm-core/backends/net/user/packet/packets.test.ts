/** Headers that PacketHeaders writes are what the readers read; and what they must not take. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  ETHER_HDR_LEN,
  IPHDR_CHECK,
  TCPHDR_CHECK,
  TH_ACK,
  TH_SYN,
  UDPHDR_CHECK,
} from '../../../../abi/packets.ts';
import { VIRTIO_NET_HDR_F_NEEDS_CSUM } from '../../../../abi/virtioNetHdr.ts';
import { frameOf, NO_OFFLOAD } from '../../../../../test/support/netFrames.ts';
import { checksumOf, fold, sumOf } from './checksum.ts';
import { IpPacket } from './ipPacket.ts';
import { PacketHeaders } from './packetHeaders.ts';
import { TcpSegment } from './tcpSegment.ts';
import { TransportChecksum } from './transportChecksum.ts';
import { UdpDatagram } from './udpDatagram.ts';

const TCP = 6;
const UDP = 17;
const GUEST_MAC = Uint8Array.of(2, 0, 0, 0, 0, 1);
const HOST_MAC = Uint8Array.of(2, 0, 0, 0, 0, 2);
const A4 = Uint8Array.of(10, 0, 2, 15);
const B4 = Uint8Array.of(192, 0, 2, 7);
const A6 = Uint8Array.from({ length: 16 }, (_, i) => 0x20 + i);
const B6 = Uint8Array.from({ length: 16 }, (_, i) => 0x60 + i);

function bytesOf(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'));
}

function tcpFrame(
  from: Uint8Array,
  to: Uint8Array,
  data: Uint8Array,
  options: Uint8Array = new Uint8Array(0),
): Uint8Array {
  const headers = new PacketHeaders();
  headers.ethernet(HOST_MAC, GUEST_MAC);
  headers.ip(from, to, TCP, 20 + options.length + data.length);
  headers.tcp(40000, 80, -2, 0x1234_5678, TH_SYN | TH_ACK, 0xfedc, options.length);
  headers.bytes.set(options, headers.end - options.length);
  const dataSum = sumOf(new DataView(data.buffer, data.byteOffset, data.length), 0, data.length);
  const length = 20 + options.length + data.length;
  headers.setChecksum(
    TCPHDR_CHECK,
    checksumOf(fold(headers.pseudoSum(length) + headers.transportSum() + dataSum)),
  );
  return Uint8Array.of(...headers.bytes.subarray(0, headers.end), ...data);
}

/** An IPv6 packet with these extension headers, the first of this type, and a payload. */
function ipv6Frame(first: number, extensions: string, payload: string): Uint8Array {
  const body = bytesOf(extensions + payload);
  const headers = new PacketHeaders();
  headers.ethernet(HOST_MAC, GUEST_MAC);
  headers.ip(A6, B6, first, body.length);
  return Uint8Array.of(...headers.bytes.subarray(0, headers.end), ...body);
}

describe('the reader of IP packets', () => {
  it('reads a packet that a Linux host has sent', () => {
    // ping -c1 127.0.0.1, with an Ethernet header.
    const frame = frameOf(
      bytesOf(
        '02 00 00 00 00 02 02 00 00 00 00 01 08 00' +
          '45 00 00 1c 1c 46 40 00 40 01 20 99 7f 00 00 01 7f 00 00 01' +
          '08 00 f7 fd 00 01 00 01',
      ),
    );
    const packet = new IpPacket();
    assert.equal(packet.read(frame), 'ip');
    assert.equal(packet.protocol, 1);
    assert.equal(packet.hopLimit, 64);
    assert.equal(packet.payloadAt, 34);
    assert.equal(packet.payloadBytes, 8);
    assert.ok(packet.isFrom(Uint8Array.of(127, 0, 0, 1)) && packet.isTo(Uint8Array.of(127, 0, 0, 1)));
    assert.ok(!packet.isFragment);
  });

  it('takes neither a wrong checksum nor lengths that are not there', () => {
    const good = tcpFrame(A4, B4, Uint8Array.of(1, 2, 3));
    const packet = new IpPacket();
    const verdict = (change: (bytes: Uint8Array) => Uint8Array | undefined): string => {
      const bytes = good.slice();
      return packet.read(frameOf(change(bytes) ?? bytes));
    };
    const fix = (bytes: Uint8Array): undefined => {
      const view = new DataView(bytes.buffer);
      view.setUint16(ETHER_HDR_LEN + IPHDR_CHECK, 0);
      const words = ((bytes[ETHER_HDR_LEN] ?? 0) & 0xf) * 4;
      const sum = sumOf(view, ETHER_HDR_LEN, Math.min(bytes.length, ETHER_HDR_LEN + words));
      view.setUint16(ETHER_HDR_LEN + IPHDR_CHECK, checksumOf(sum));
    };
    const set = (at: number, value: number) => (bytes: Uint8Array) => {
      bytes[ETHER_HDR_LEN + at] = value;
      return fix(bytes);
    };
    assert.equal(
      verdict(() => undefined),
      'ip',
    );
    assert.equal(
      verdict((it) => void (it[ETHER_HDR_LEN + 10] = 0)),
      'malformed',
      'checksum',
    );
    assert.equal(verdict(set(0, 0x44)), 'malformed', 'a header of 16 bytes');
    assert.equal(verdict(set(0, 0x4f)), 'malformed', 'a header of 60 bytes in a packet of 43');
    assert.equal(verdict(set(0, 0x65)), 'malformed', 'version 6');
    assert.equal(verdict(set(3, 44)), 'malformed', 'longer than the frame');
    assert.equal(verdict(set(3, 19)), 'malformed', 'shorter than its header');
    assert.equal(verdict(set(6, 0x20)), 'malformed', 'a first fragment of 23 bytes');
    for (const length of [0, 13, 14, 33])
      assert.equal(
        verdict((it) => it.slice(0, length)),
        'malformed',
      );
    assert.equal(
      verdict((it) => Uint8Array.of(...it, 0, 0, 0)),
      'ip',
      'padded',
    );
    assert.equal(packet.payloadBytes, 23);
  });

  it('walks extension headers of IPv6, and says where a fragment belongs (RFC 8200 §4)', () => {
    const packet = new IpPacket();
    const hop = '3c 00 01 04 00 00 00 00'; // hop by hop, then destination options
    const destination = '2c 00 01 04 00 00 00 00'; // then a fragment
    assert.equal(
      packet.read(frameOf(ipv6Frame(0, `${hop}${destination}11 00 00 11 de ad be ef`, '00'.repeat(16)))),
      'ip',
    );
    assert.equal(packet.protocol, UDP);
    assert.equal(packet.payloadAt, ETHER_HDR_LEN + 40 + 24);
    assert.equal(packet.payloadBytes, 16);
    assert.ok(packet.isFragment && packet.hasMoreFragments);
    assert.equal(packet.fragmentOffset, 16);
    assert.equal(packet.identification, 0xdeadbeef);
    assert.equal(packet.fragmentHeaderAt, ETHER_HDR_LEN + 40 + 16);
    assert.ok(!packet.dontFragment);
    assert.equal(packet.read(frameOf(ipv6Frame(UDP, '', '00'.repeat(8)))), 'ip', 'nothing is left of it');
    assert.ok(!packet.isFragment && packet.fragmentHeaderAt === 0);
    assert.ok(packet.dontFragment);
  });

  it('gives up on extension headers without an end', () => {
    const packet = new IpPacket();
    const verdict = (first: number, extensions: string): string =>
      packet.read(frameOf(ipv6Frame(first, extensions, '')));
    assert.equal(verdict(0, '00 00 01 04 00 00 00 00'.repeat(9)), 'malformed', 'too many');
    assert.equal(verdict(0, '11 ff 01 04 00 00 00 00'), 'malformed', 'longer than the packet');
    assert.equal(verdict(0, '11 00 01 04'), 'malformed', 'cut off');
    assert.equal(
      verdict(44, '2c 00 00 00 00 00 00 01 11 00 00 00 00 00 00 01'),
      'malformed',
      'two fragments',
    );
    assert.equal(verdict(0, '06 1f 01 04 00 00 00 00'.padEnd(2 * 8 * 3 * 32, '0')), 'ip', 'behind the head');
    assert.ok(!new TcpSegment().read(packet), 'where nobody reads it');
  });
});

describe('the reader of TCP segments', () => {
  for (const [family, from, to] of [
    ['IPv4', A4, B4],
    ['IPv6', A6, B6],
  ] as const)
    it(`reads over ${family} what was written, and finds its checksum right`, () => {
      const packet = new IpPacket();
      const segment = new TcpSegment();
      const data = Uint8Array.from({ length: 301 }, (_, i) => i);
      const options = bytesOf('01 02 04 05 b4 03 03 07 04 02 05 0a ff ff ff fe 00 00 00 02 01 01 01 00');
      const frame = frameOf(tcpFrame(from, to, data, options));
      assert.equal(packet.read(frame), 'ip');
      assert.equal(packet.isIpv6, family === 'IPv6');
      assert.ok(packet.isFrom(from) && packet.isTo(to));
      assert.deepEqual(packet.source(), from);
      assert.ok(segment.read(packet));
      assert.equal(segment.sourcePort, 40000);
      assert.equal(segment.destinationPort, 80);
      assert.equal(segment.sequence, -2);
      assert.equal(segment.acknowledgement, 0x1234_5678);
      assert.equal(segment.flags, TH_SYN | TH_ACK);
      assert.equal(segment.window, 0xfedc);
      assert.equal(segment.maxSegmentBytes, 1460);
      assert.equal(segment.windowShift, 7);
      assert.ok(segment.isSackPermitted);
      assert.equal(segment.sackBlocks, 1);
      assert.deepEqual([...segment.sackEdges.subarray(0, 2)], [-2, 2]);
      assert.equal(segment.dataBytes, data.length);
      const read = new Uint8Array(data.length);
      frame.copyTo(read, segment.dataAt);
      assert.deepEqual(read, data);
      const checksum = new TransportChecksum();
      assert.ok(checksum.holds(frame, packet, TCPHDR_CHECK));
      frame.buffer.bytes[segment.dataAt + 250] = 0;
      assert.ok(!checksum.holds(frame, packet, TCPHDR_CHECK), 'a byte is wrong');
    });

  it('stops at an option that is cut off, and keeps those before', () => {
    const packet = new IpPacket();
    const segment = new TcpSegment();
    const read = (options: string): TcpSegment => {
      packet.read(frameOf(tcpFrame(A4, B4, new Uint8Array(0), bytesOf(options))));
      assert.ok(segment.read(packet));
      return segment;
    };
    assert.equal(read('03 03 0f 01').windowShift, 14, 'at most 14 (RFC 7323 §2.3)');
    assert.equal(read('02 04 02 00 03 00 07 01').windowShift, -1, 'of length 0');
    assert.equal(segment.maxSegmentBytes, 512);
    assert.equal(read('01 01 01 03').windowShift, -1, 'without a length');
    assert.equal(read('01 01 03 03').windowShift, -1, 'without a value');
    assert.equal(read('00 03 03 07').windowShift, -1, 'behind the end');
    assert.equal(read('fe 04 00 00 03 03 07 01').windowShift, 7, 'behind an unknown one');
  });

  it('takes no header that is not all there', () => {
    const packet = new IpPacket();
    const bytes = tcpFrame(A4, B4, new Uint8Array(0));
    for (const words of [0, 4, 6, 15]) {
      bytes[ETHER_HDR_LEN + 20 + 12] = words << 4;
      assert.equal(packet.read(frameOf(bytes)), 'ip');
      assert.ok(!new TcpSegment().read(packet), `${words} words`);
    }
  });

  it('believes a checksum that is left to the device only in its place (virtio §5.1.6.2)', () => {
    const bytes = tcpFrame(A4, B4, Uint8Array.of(1));
    const offload = { ...NO_OFFLOAD, flags: VIRTIO_NET_HDR_F_NEEDS_CSUM, csumStart: 34, csumOffset: 16 };
    const packet = new IpPacket();
    const checksum = new TransportChecksum();
    bytes[ETHER_HDR_LEN + 20 + TCPHDR_CHECK] = 0;
    const holds = (it = offload): boolean => {
      const frame = frameOf(bytes, it);
      packet.read(frame);
      return checksum.holds(frame, packet, TCPHDR_CHECK);
    };
    assert.ok(holds());
    assert.ok(!holds({ ...offload, csumStart: 35 }));
    assert.ok(!holds({ ...offload, csumOffset: 6 }));
    assert.ok(!holds(NO_OFFLOAD));
  });
});

describe('the reader of UDP datagrams', () => {
  it('takes the length of the header, which may be less than the packet has', () => {
    const headers = new PacketHeaders();
    headers.ethernet(HOST_MAC, GUEST_MAC);
    headers.ip(A4, B4, UDP, 12);
    headers.udp(53, 54, 3);
    headers.setChecksum(
      UDPHDR_CHECK,
      checksumOf(fold(headers.pseudoSum(11) + headers.transportSum() + 0x0102 + 0x0300)),
    );
    const bytes = Uint8Array.of(...headers.bytes.subarray(0, headers.end), 1, 2, 3, 99);
    const packet = new IpPacket();
    const datagram = new UdpDatagram();
    const frame = frameOf(bytes);
    assert.equal(packet.read(frame), 'ip');
    assert.ok(datagram.read(packet));
    assert.deepEqual([datagram.sourcePort, datagram.destinationPort, datagram.dataBytes], [53, 54, 3]);
    assert.ok(new TransportChecksum().holds(frame, packet, UDPHDR_CHECK, 11));
    for (const length of [0, 7, 13]) {
      bytes[ETHER_HDR_LEN + 20 + 5] = length;
      packet.read(frameOf(bytes));
      assert.ok(!datagram.read(packet), `${length} bytes`);
    }
  });
});
