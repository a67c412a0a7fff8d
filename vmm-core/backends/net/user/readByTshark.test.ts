/** What the network sends, read by tshark: its dissectors know more of the protocols than our tests do. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Bytes } from '../../../../test/support/bytes.ts';
import { ethernet, ICMP, ICMPV6, ip4, ip6, mac } from '../../../../test/support/rawPackets.ts';
import {
  DNS6,
  GUEST,
  GUEST6,
  GUEST_MAC,
  HOST,
  HOST6,
  UserGuest,
} from '../../../../test/support/userGuest.ts';

const ALL_MAC = [255, 255, 255, 255, 255, 255];

function whyNoTshark(): string | undefined {
  return spawnSync('tshark', ['--version']).status === 0 ? undefined : 'tshark is not installed';
}

/** One of each kind of message. */
function conversation(): Uint8Array[] {
  const it = new UserGuest({
    mtu: 1500,
    opened: { hasTftp: true, search: ['example.org', 'lan.example.org'], bootfile: 'pxe.0' },
  });
  const arp = new Bytes(false)
    .u16(1, 0x0800)
    .u8(6, 4)
    .u16(1)
    .bytes(GUEST_MAC, GUEST, new Uint8Array(6), HOST);
  it.send(ethernet(ALL_MAC, GUEST_MAC, 0x0806, arp.done()));
  for (const type of [1, 3, 8]) {
    const dhcp = new Bytes(false)
      .u8(1, 1, 6, 0)
      .u32(0x1234)
      .u16(0, 0)
      .bytes(type === 8 ? GUEST : [0, 0, 0, 0], new Uint8Array(12), GUEST_MAC, new Uint8Array(202))
      .u32(0x63825363)
      .u8(53, 1, type, 50, 4)
      .bytes(type === 3 ? ip4('10.0.2.15') : ip4('10.0.2.77'))
      .u8(255);
    it.sendUdp([0, 0, 0, 0], 68, [255, 255, 255, 255], 67, dhcp.done());
  }
  const solicit = new Bytes(false).u8(133, 0).u16(0).u32(0).u8(1, 1).bytes(GUEST_MAC).done();
  const link = { from: ip6('fe80::5'), to: ip6('ff02::2'), protocol: ICMPV6, hopLimit: 255 };
  it.sendIcmp(link, solicit, mac('33:33:00:00:00:02'));
  const neighbour = new Bytes(false).u8(135, 0).u16(0).u32(0).bytes(HOST6).u8(1, 1).bytes(GUEST_MAC).done();
  it.sendIcmp({ ...link, from: GUEST6, to: HOST6 }, neighbour);
  it.sendUdp(
    ip6('fe80::5'),
    546,
    ip6('ff02::1:2'),
    547,
    new Bytes(false).u8(11, 1, 2, 3).u16(1, 10, 3, 1).bytes(GUEST_MAC).done(),
  );
  const echo = (type: number): Uint8Array =>
    new Bytes(false).u8(type, 0).u16(0, 7, 1).bytes(Buffer.alloc(1000, 65)).done();
  it.sendIcmp({ from: GUEST, to: HOST, protocol: ICMP }, echo(8));
  it.sendIcmp({ from: GUEST6, to: DNS6, protocol: ICMPV6 }, echo(128));
  it.sendUdp(GUEST, 5000, ip4('192.0.2.1'), 33434, Buffer.from('trace'), 1);
  it.sendUdp(GUEST6, 5000, ip6('2001:db8::1'), 33434, Buffer.from('trace'), 1);
  it.sendIp({ from: GUEST, to: HOST, protocol: 132 }, new Uint8Array(16));
  const request = new Bytes(false).u16(1).cstring('kernel', 'octet', 'blksize', '65464', 'tsize', '0').done();
  it.sendUdp(GUEST, 2000, HOST, 69, request);
  it.link.onMessage({ kind: 'tftpOpened', id: 0, sizeBytes: 5000 });
  it.sendUdp(GUEST, 2000, HOST, 49152, Uint8Array.of(0, 4, 0, 0));
  it.link.onMessage({ kind: 'tftpData', id: 0, bytes: Buffer.alloc(5000, 66) });
  const frames = it.take().map(({ frame }) => frame);
  it.close();
  return frames;
}

/** The old format: it needs nothing to be said of a frame but its length. */
function pcap(frames: readonly Uint8Array[]): Uint8Array {
  const bytes = new Bytes().u32(0xa1b2c3d4).u16(2, 4).u32(0, 0, 0x40000, 1);
  for (const frame of frames) bytes.u32(0, 0, frame.length, frame.length).bytes(frame);
  return bytes.done();
}

test('tshark reads all that the network says, without a complaint', (t) => {
  const reason = whyNoTshark();
  if (reason !== undefined) return t.skip(reason);
  const folder = mkdtempSync(join(tmpdir(), 'tshark-'));
  try {
    const path = join(folder, 'user.pcap');
    const frames = conversation();
    writeFileSync(path, pcap(frames));
    const checks = ['ip.check_checksum', 'udp.check_checksum'].flatMap((it) => ['-o', `${it}:TRUE`]);
    const ports = ['-d', 'udp.port==49152,tftp'];
    const tshark = (...options: string[]): string =>
      spawnSync('tshark', ['-r', path, ...checks, ...ports, ...options], { encoding: 'utf8' }).stdout.trim();
    const protocols = tshark('-T', 'fields', '-e', 'frame.protocols').split('\n');
    assert.equal(protocols.length, frames.length);
    for (const expected of ['arp', 'dhcp', 'dhcpv6', 'icmp', 'icmpv6', 'tftp'])
      assert.ok(
        protocols.some((it) => it.split(':').includes(expected)),
        `${expected} is not among ${protocols.join()}`,
      );
    assert.equal(tshark('-Y', '_ws.malformed or _ws.expert.severity >= "Warning"'), '');
    const bad = [
      'ip.checksum.status',
      'udp.checksum.status',
      'icmp.checksum.status',
      'icmpv6.checksum.status',
    ];
    assert.equal(tshark('-Y', bad.map((it) => `${it} == "Bad"`).join(' or ')), '');
  } finally {
    rmSync(folder, { recursive: true });
  }
});
