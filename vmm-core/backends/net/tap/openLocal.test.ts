/** Over interfaces that the tests make. Needs CAP_NET_ADMIN. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { FakeGuestPort } from '../../../../test/support/fakeGuestPort.ts';
import { PlannedFaults } from '../../../../test/support/ioFaults.ts';
import { NO_OFFLOADS } from '../../../../test/support/netFrames.ts';
import {
  BOOTP_CHADDR,
  BOOTP_MAGIC,
  BOOTP_OPTIONS,
  BOOTP_YIADDR,
  BOOTREQUEST,
  DHCP_MAGIC,
  DHCPACK,
  DHCPDISCOVER,
  DHCPNAK,
  DHCPOFFER,
  DHCPREQUEST,
} from '../../../abi/dhcp.ts';
import { ipText } from '../../../bus/socketAddress.ts';
import { UserError } from '../../../errors.ts';
import { injectFaults } from '../../../kvm/io/faults.ts';
import { closeFd } from '../../../kvm/libc.ts';
import { openTap as openTapQueues } from '../../../kvm/net/tun.ts';
import type { LinkBackend, LinkHost } from '../linkKind.ts';
import { PacketHeaders } from '../user/packet/packetHeaders.ts';
import { LOCAL_PREFIX, localPair, otherOf } from './localAddresses.ts';
import { attach, type LocalOpened } from './localLink.ts';
import { open as openLocal } from './openLocal.ts';

const MAC = Uint8Array.of(0xfe, 0xe1, 0xbb, 0xd0, 0, 1);
const FREE = (): boolean => false;

function unavailable(): string | undefined {
  const tap = openTapQueues({ queues: 1 });
  if (typeof tap === 'number') return `no tap can be made here: errno ${-tap}`;
  tap.fds.forEach(closeFd);
  return undefined;
}

function linkHost(vmName: string): LinkHost {
  return {
    ...{ vmName, name: 'net0', index: 0, mac: MAC, mtu: 1500, pairs: 1 },
    send: () => undefined,
    trouble: (sentence) => assert.fail(sentence),
  };
}

function texts({ host, guest }: { host: Uint8Array; guest: Uint8Array }): string[] {
  return [ipText(host), ipText(guest)];
}

test("addresses follow vmd's arithmetic: 256 a VM, a pair an interface, the first pair left out", () => {
  assert.deepEqual(texts(localPair('10.1.0.0/24', 'any', 0, FREE)), ['10.1.0.2', '10.1.0.3']);
  assert.deepEqual(texts(localPair('10.1.0.0/24', 'any', 3, FREE)), ['10.1.0.8', '10.1.0.9']);
  const [host = ''] = texts(localPair(LOCAL_PREFIX, 'alpine', 1, FREE));
  assert.match(host, /^100\.(6[4-9]|[789]\d|1[01]\d|12[0-7])\.\d+\.4$/);
  const again = localPair(LOCAL_PREFIX, 'alpine', 1, FREE);
  assert.deepEqual(texts(again), [host, ipText(otherOf(again.host))]);
  assert.notEqual(host, texts(localPair(LOCAL_PREFIX, 'debian', 1, FREE))[0]);
});

test('what is taken already is left out, and when all is that is one sentence', () => {
  const [first = ''] = texts(localPair('10.0.0.0/16', 'alpine', 0, FREE));
  const next = localPair('10.0.0.0/16', 'alpine', 0, (it) => ipText(it) === first);
  assert.notEqual(ipText(next.host), first);
  assert.throws(
    () => localPair('10.0.0.0/16', 'alpine', 0, () => true),
    /no pair of addresses is left in 10/,
  );
  assert.throws(() => localPair('10.0.0.0/30', 'alpine', 1, FREE), /no pair of addresses is left/);
  for (const wrong of ['10.0.0.0', '10.0.0/8', 'fd00::/64', '10.0.0.0/32', '10.0.0.0/x'])
    assert.throws(() => localPair(wrong, 'alpine', 0, FREE), UserError);
});

/** From a client without an address, or from one of that address. */
function dhcp(type: number, options: readonly number[] = [], mac = MAC): Uint8Array {
  const message = new Uint8Array(300);
  message.set([BOOTREQUEST, 1, 6, 0, 1, 2, 3, 4]);
  message.set(mac, BOOTP_CHADDR);
  new DataView(message.buffer).setUint32(BOOTP_MAGIC, DHCP_MAGIC);
  message.set([53, 1, type, ...options, 255], BOOTP_OPTIONS);
  const headers = new PacketHeaders();
  headers.ethernet(Uint8Array.of(255, 255, 255, 255, 255, 255), MAC);
  headers.ip(new Uint8Array(4), Uint8Array.of(255, 255, 255, 255), 17, 8 + message.length);
  headers.udp(68, 67, message.length);
  return Uint8Array.of(...headers.bytes.subarray(0, headers.end), ...message);
}

/** Options of a reply, by number. */
function optionsOf(frame: Uint8Array): Map<number, number[]> {
  const options = new Map<number, number[]>();
  for (let at = 14 + 20 + 8 + BOOTP_OPTIONS; frame[at] !== 255; at += 2 + (frame[at + 1] ?? 0))
    options.set(frame[at] ?? 0, [...frame.subarray(at + 2, at + 2 + (frame[at + 1] ?? 0))]);
  return options;
}

test(
  'the guest gets its address by DHCP, for ever, with the host as router and name server',
  { skip: unavailable() },
  () => {
    const backend = openLocal({ kind: 'local', prefix: '100.64.0.0/10' }, linkHost(`vm-${process.pid}`));
    const opened = backend.opened as LocalOpened;
    const host = [...opened.host];
    const guest = [...opened.guest];
    assert.equal(backend.wiredTo, `${opened.name}, ${ipText(opened.host)}`);
    const shown = spawnSync('ip', ['-br', 'addr', 'show', opened.name], { encoding: 'utf8' });
    if (shown.status === 0) assert.ok(shown.stdout.includes(`${ipText(opened.host)}/31`), shown.stdout);
    const port = new FakeGuestPort({ mac: MAC, offloads: NO_OFFLOADS });
    port.connect(attach(opened, port));
    const answers = (): Uint8Array[] =>
      port.frames.map(({ bytes }) => bytes).filter((it) => it[23] === 17 && it[35] === 67);

    port.send(dhcp(DHCPDISCOVER));
    const [offer = assert.fail()] = answers();
    const yiaddr = 14 + 20 + 8 + BOOTP_YIADDR;
    assert.deepEqual([...offer.subarray(yiaddr, yiaddr + 4)], guest);
    const options = optionsOf(offer);
    assert.deepEqual(options.get(53), [DHCPOFFER]);
    assert.deepEqual([options.get(1), options.get(3), options.get(6)], [[255, 255, 255, 254], host, host]);
    assert.deepEqual(options.get(51), [255, 255, 255, 255]);
    assert.deepEqual([...offer.subarray(6, 12)], [...opened.hostMac]);

    port.send(dhcp(DHCPREQUEST, [50, 4, ...guest, 54, 4, ...host]));
    assert.deepEqual(optionsOf(answers()[1] ?? assert.fail()).get(53), [DHCPACK]);
    port.send(dhcp(DHCPREQUEST, [50, 4, 10, 0, 0, 9]));
    assert.deepEqual(optionsOf(answers()[2] ?? assert.fail()).get(53), [DHCPNAK]);
    // A guest that has another MAC address now, as of another system that it boots.
    port.send(dhcp(DHCPDISCOVER, [], Uint8Array.of(0x52, 0x54, 0, 1, 2, 3)));
    assert.deepEqual(optionsOf(answers()[3] ?? assert.fail()).get(53), [DHCPOFFER]);
    port.close();
  },
);

test('a pair that an interface has which is down is not given again', { skip: unavailable() }, (t) => {
  const [one, other] = [`trapl${process.pid % 1e5}`, `trapm${process.pid % 1e5}`];
  if (![one, other].every((it) => spawnSync('ip', ['tuntap', 'add', it, 'mode', 'tap']).status === 0))
    return t.skip('no tap that stays can be made here');
  t.after(() => [one, other].forEach((it) => spawnSync('ip', ['link', 'delete', it])));
  const host = linkHost(`vm-${process.pid}`);
  const first = openLocal({ kind: 'local', tap: one }, host);
  first.close(false);
  spawnSync('ip', ['link', 'set', one, 'down']);
  const second = openLocal({ kind: 'local', tap: other }, host);
  second.close(false);
  const again = openLocal({ kind: 'local', tap: one }, host);
  again.close(false);
  const hosts = [first, second, again].map(({ opened }) => ipText((opened as LocalOpened).host));
  assert.notEqual(hosts[0], hosts[1]);
  assert.equal(hosts[0], hosts[2], 'an interface keeps what it has');
});

test('an address of another kind that an interface has stays', { skip: unavailable() }, (t) => {
  const name = `trapo${process.pid % 1e5}`;
  const longest = name.padEnd(15, 'x');
  const ip = (...args: readonly string[]) => spawnSync('ip', args, { encoding: 'utf8' });
  if (ip('tuntap', 'add', name, 'mode', 'tap').status !== 0)
    return t.skip('no tap that stays can be made here');
  t.after(() => ip('link', 'delete', name));
  ip('addr', 'add', '10.253.77.1/24', 'dev', name);
  for (let i = 0; i < 2; i++) {
    const local = openLocal({ kind: 'local', tap: name }, linkHost(`vm-${process.pid}`));
    local.close(false);
    const { host } = local.opened as LocalOpened;
    const { stdout } = ip('-o', '-4', 'addr', 'show', name);
    assert.deepEqual(
      [...stdout.matchAll(/inet (\S+)/g)].map(([, it]) => it),
      ['10.253.77.1/24', `${ipText(host)}/31`],
    );
  }
  // A name that is as long as can be has no room for another address's.
  ip('addr', 'flush', 'dev', name);
  ip('link', 'set', name, 'down', 'name', longest);
  t.after(() => ip('link', 'delete', longest));
  ip('addr', 'add', '10.253.77.1/24', 'dev', longest);
  assert.throws(
    () => openLocal({ kind: 'local', tap: longest }, linkHost(`vm-${process.pid}`)),
    (error) =>
      error instanceof UserError && /"sudo ip addr add .*\/31 dev trapo\d+x+" does it/.test(error.message),
  );
});

test('of two VMs that start at once each has a pair of its own', { skip: unavailable() }, (t) => {
  t.after(() => injectFaults(undefined));
  const prefix = '10.252.0.0/22';
  const [one, other] = namesOfOneSlot(prefix);
  let meanwhile: LinkBackend | undefined;
  // When it has looked which are free, and asks for a socket to take one by.
  const plan = (): undefined => {
    if (new Error().stack?.includes('setInterfaceAddress') !== true) return;
    injectFaults(undefined);
    meanwhile = openLocal({ kind: 'local', prefix }, linkHost(other));
  };
  Error.stackTraceLimit = 50;
  injectFaults(new PlannedFaults(plan));
  const first = openLocal({ kind: 'local', prefix }, linkHost(one));
  const hosts = [first, meanwhile].map((it) => ipText((it?.opened as LocalOpened).host));
  first.close(false);
  meanwhile?.close(false);
  assert.equal(new Set(hosts).size, 2, hosts.join(' '));
});

/** Of VMs that would have the same addresses, each by itself. */
function namesOfOneSlot(prefix: string): readonly [string, string] {
  const slot = (name: string): string => ipText(localPair(prefix, name, 0, FREE).host);
  const other = ['b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'].find((it) => slot(it) === slot('a'));
  return ['a', other ?? assert.fail()];
}
