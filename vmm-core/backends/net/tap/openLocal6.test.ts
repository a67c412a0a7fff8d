/** Over interfaces that the tests make. Needs CAP_NET_ADMIN, and a host with IPv6. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { describe, it, type TestContext } from 'node:test';
import { Bytes } from '../../../../test/support/bytes.ts';
import { FakeGuestPort } from '../../../../test/support/fakeGuestPort.ts';
import { NO_OFFLOADS } from '../../../../test/support/netFrames.ts';
import {
  ethernet,
  ICMPV6,
  ip,
  ip6,
  isSumRight,
  seen,
  withChecksum,
} from '../../../../test/support/rawPackets.ts';
import { ipText, parseIp } from '../../../bus/socketAddress.ts';
import type { NetworkConfig } from '../../../config/settings/networkOptions.ts';
import { UserError } from '../../../errors.ts';
import { closeFd } from '../../../kvm/libc.ts';
import { addInterfaceAddress6, openTap as openTapQueues } from '../../../kvm/net/tun.ts';
import type { LinkHost } from '../linkKind.ts';
import { guestOf, localNetwork6 } from './localAddresses6.ts';
import { attach, type LocalOpened } from './localLink.ts';
import { open as openLocal } from './openLocal.ts';

const MAC = [0xfe, 0xe1, 0xbb, 0xd0, 0, 1];
const GUEST4 = Uint8Array.of(100, 64, 1, 3);
const FREE = (): boolean => false;
const FOUR_HOURS_MS = 4 * 3600_000;

function unavailable(): string | undefined {
  const tap = openTapQueues({ queues: 1 });
  if (typeof tap === 'number') return `no tap can be made here: errno ${-tap}`;
  const result = addInterfaceAddress6(tap.name, Uint8Array.from(ip6('fd00::1')), 128);
  tap.fds.forEach(closeFd);
  return result === 0 ? undefined : `no IPv6 address can be given here: errno ${-result}`;
}

/** `fd..:1/64`. */
function shown(prefix: string, vmName = 'alpine', index = 0, isTaken: (it: Uint8Array) => boolean = FREE) {
  const { host, bits } = localNetwork6(prefix, vmName, index, GUEST4, isTaken);
  return `${ipText(host)}/${bits}`;
}

describe('IPv6 addresses of a private link', () => {
  it("end in vmd's 64 bits: the guest's IPv4 address, and 1 for the host", () => {
    assert.match(shown('fd00::/8'), /^fd[0-9a-f:]+:6440:103:0:1\/64$/);
    assert.equal(shown('fd42:10:20:1::/64'), 'fd42:10:20:1:6440:103:0:1/64');
    assert.match(shown('fd42:10:20::/48'), /^fd42:10:20:[0-9a-f]+:6440:103:0:1\/64$/);
    const { host } = localNetwork6('fd42:10:20:1::/64', 'alpine', 0, GUEST4, FREE);
    assert.equal(ipText(guestOf(host)), 'fd42:10:20:1:6440:103:0:2');
  });

  it('are the same at each start, and in another network for another VM and another interface', () => {
    assert.equal(shown('fd00::/8'), shown('fd00::/8'));
    const all = [shown('fd00::/8'), shown('fd00::/8', 'debian'), shown('fd00::/8', 'alpine', 1)];
    assert.equal(new Set(all).size, 3);
  });

  it("leave out a network that is taken, and are vmd's /96 where none is left", () => {
    const first = shown('fd00::/8');
    const next = shown('fd00::/8', 'alpine', 0, (it) => `${ipText(it)}/64` === first);
    assert.notEqual(next, first);
    assert.match(next, /\/64$/);
    assert.equal(
      shown('fd42:10:20:1::/64', 'alpine', 0, () => true),
      'fd42:10:20:1:6440:103:0:1/96',
    );
  });

  it('are of no prefix that is a group, a link or too short', () => {
    for (const wrong of [
      '::/0',
      'ff00::/8',
      'fe80::/64',
      'fc00::/6',
      'fd00::',
      'fd00::/65',
      '10.0.0.0/8',
      'fd00::/x',
    ])
      assert.throws(() => shown(wrong), UserError, wrong);
  });
});

describe('a private link with IPv6', { skip: unavailable() }, () => {
  function start(t: TestContext, network: Omit<NetworkConfig, 'kind'>, name = 'one', pairs = 1) {
    const port = new FakeGuestPort({ mac: Uint8Array.from(MAC), offloads: NO_OFFLOADS, mtu: 1400 });
    const host: LinkHost = {
      ...{ vmName: `${name}-${process.pid}`, name: 'net0', index: 0, mac: port.mac, mtu: 1400, pairs },
      send: () => undefined,
      trouble: (sentence) => port.trouble(sentence),
    };
    const backend = openLocal({ kind: 'local', ...network }, host);
    const opened = backend.opened as LocalOpened;
    port.connect(attach(opened, port));
    t.after(() => port.close());
    return { port, opened, wiredTo: backend.wiredTo, ipv6: opened.ipv6 };
  }

  function cidrs(name: string): string[] {
    return (networkInterfaces()[name] ?? []).map(({ cidr }) => cidr ?? '');
  }

  /** With the source's Ethernet address, as Linux sends it. */
  function solicit(hopLimit = 255): Uint8Array {
    const header = { from: ip6('fe80::5054:ff'), to: ip6('ff02::2'), protocol: ICMPV6, hopLimit };
    const message = new Bytes(false).u8(133, 0).u16(0).u32(0).u8(1, 1).bytes(MAC).done();
    const packet = ip(header, withChecksum(header, message, 2));
    return ethernet([0x33, 0x33, 0, 0, 0, 2], MAC, 0x86dd, packet);
  }

  function adverts(port: FakeGuestPort) {
    const all = port.frames.filter(({ bytes }) => bytes[12] === 0x86 && bytes[20] === ICMPV6);
    return all.map(({ bytes }) => seen(bytes)).filter(({ payload }) => payload[0] === 134);
  }

  it('has an address at the host, and says so', (t) => {
    const { opened, ipv6, wiredTo } = start(t, { prefix6: 'fd00::/8' });
    assert.ok(ipv6 !== undefined);
    assert.ok(cidrs(opened.name).includes(`${ipText(ipv6.address)}/64`), String(cidrs(opened.name)));
    assert.equal(wiredTo, `${opened.name}, ${ipText(opened.host)}, ${ipText(ipv6.address)}`);
    // A guest may not make itself the host's router.
    assert.equal(readFileSync(`/proc/sys/net/ipv6/conf/${opened.name}/accept_ra`, 'latin1').trim(), '0');
  });

  it('has none without a prefix, and then no router', (t) => {
    const { port, ipv6 } = start(t, {});
    assert.equal(ipv6, undefined);
    port.send(solicit());
    assert.deepEqual(adverts(port), []);
  });

  it("tells a guest that asks of its network, from the host's own address of the link (RFC 4861 §4.2)", (t) => {
    const { port, opened, ipv6 } = start(t, { prefix6: 'fd00::/8' });
    assert.ok(ipv6 !== undefined);
    port.send(solicit());
    const [advert = assert.fail('no advertisement')] = adverts(port);
    assert.ok(isSumRight(advert));
    assert.equal(advert.hopLimit, 255);
    assert.deepEqual(parseIp(ipText(ipv6.linkLocal)), new Uint8Array(Buffer.from(advert.from, 'hex')));
    assert.deepEqual([...advert.frame.subarray(6, 12)], [...opened.hostMac]);
    const expected = new Bytes(false)
      .bytes([134, 0, ...advert.payload.subarray(2, 4), 64, 0])
      .u16(65535)
      .u32(0, 0)
      .u8(1, 1)
      .bytes(opened.hostMac)
      .u8(5, 1)
      .u16(0)
      .u32(1400)
      .u8(3, 4, 64, 0xc0)
      .u32(0xffff_ffff, 0xffff_ffff, 0)
      .bytes(ipv6.address.subarray(0, 8), new Uint8Array(8));
    assert.deepEqual(Buffer.from(advert.payload), Buffer.from(expected.done()));
    // Long before the guest forgets its router; what comes earlier does not have it told again.
    assert.ok(port.dueMs - performance.now() > FOUR_HOURS_MS - 60_000);
    port.dueMs = 0;
    port.turn();
    assert.equal(adverts(port).length, 1);
    assert.ok(port.dueMs > performance.now());
  });

  it('answers no solicitation from elsewhere than the link, and none with a wrong checksum (§6.1.1)', (t) => {
    const { port } = start(t, { prefix6: 'fd00::/8' });
    port.send(solicit(64));
    const wrong = solicit();
    wrong[60] = 1;
    port.send(wrong);
    assert.deepEqual(adverts(port), []);
  });

  it("shares a /64 that another link has as vmd's links do, and tells what that means", (t) => {
    const prefix6 = `fd74:${(process.pid & 0xffff).toString(16)}:1:1::/64`;
    const first = start(t, { prefix6 });
    const second = start(t, { prefix6 }, 'two');
    assert.equal(first.ipv6?.bits, 64);
    assert.equal(second.ipv6?.bits, 96);
    assert.deepEqual(first.port.troubles, []);
    assert.match(
      second.port.troubles[0] ?? '',
      /has the network of fd74:.*: a guest at tap\d+ makes itself no IPv6 address, but can be given fd74:.*:0:2\/96; /,
    );
    // The guest is told that it is on the link, but not to make an address of it.
    second.port.send(solicit());
    const [advert = assert.fail('no advertisement')] = adverts(second.port);
    assert.deepEqual([...advert.payload.subarray(32, 36)], [3, 4, 96, 0x80]);
  });

  it('keeps an address that its owner has given the interface', (t) => {
    const held = openTapQueues({ queues: 2 }); // a tap that others may have open, too
    assert.ok(typeof held !== 'number');
    t.after(() => held.fds.forEach(closeFd));
    const given = Uint8Array.from(ip6(`fd74:${(process.pid & 0xffff).toString(16)}:2:1:0:0:0:7`));
    assert.equal(addInterfaceAddress6(held.name, given, 64), 0);
    const { ipv6 } = start(t, { tap: held.name, prefix6: 'fd00::/8' }, 'three', 2);
    assert.deepEqual([ipv6?.address, ipv6?.bits], [given, 64]);
    assert.equal(cidrs(held.name).filter((it) => it.startsWith('fd')).length, 1);
  });
});
