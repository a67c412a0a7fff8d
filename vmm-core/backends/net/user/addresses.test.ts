import assert from 'node:assert/strict';
import { networkInterfaces } from 'node:os';
import { test } from 'node:test';
import { ipText } from '../../../bus/socketAddress.ts';
import { isInPrefix, parsePrefix, parsePrefix6, userNetwork } from './addresses.ts';
import { choosePrefix, choosePrefix6, type HostNetwork, hostNetwork, parseRoutes } from './prefixClash.ts';

const NOTHING: HostNetwork = { addresses: [], routes: [], nameservers: [] };
const MAC = Uint8Array.of(2, 0, 0, 0, 0, 1);

test('the host is .2, the name server .3, the guest from .15 on', () => {
  const { ipv4, ipv6, mac } = userNetwork(
    parsePrefix('192.168.7.0/26'),
    parsePrefix6('fd00:1::/64'),
    1500,
    MAC,
  );
  assert.deepEqual([ipv4.host, ipv4.dns, ipv4.firstGuest, ipv4.broadcast, ipv4.mask].map(ipText), [
    '192.168.7.2',
    '192.168.7.3',
    '192.168.7.15',
    '192.168.7.63',
    '255.255.255.192',
  ]);
  assert.deepEqual([ipv6.host, ipv6.dns, ipv6.linkLocal].map(ipText), ['fd00:1::2', 'fd00:1::3', 'fe80::2']);
  assert.notDeepEqual(
    userNetwork(parsePrefix('10.0.2.0/24'), parsePrefix6('fd00:1::/64'), 1500, mac).mac,
    mac,
  );
});

for (const [text, message] of [
  ['10.0.2.0', '"10.0.2.0" is not an IPv4 prefix: write it as 10.0.2.0/24'],
  ['10.0.2.0/33', '"10.0.2.0/33" is not an IPv4 prefix: write it as 10.0.2.0/24'],
  ['fd00::/64', '"fd00::/64" is not an IPv4 prefix: write it as 10.0.2.0/24'],
  ['10.0.2.0/28', '10.0.2.0/28 does not fit the user network, which needs a prefix of 8 to 27 bits'],
  ['10.0.2.9/24', '10.0.2.9/24 names an address, not a network: write 10.0.2.0/24'],
  [
    '127.0.0.0/8',
    '127.0.0.0/8 cannot be the network of a guest: take one of 10.0.0.0/8 or 192.168.0.0/16, as 10.0.2.0/24',
  ],
])
  test(`as a prefix, ${text} is an error that says what to do`, () => {
    assert.throws(() => parsePrefix(text as string), { name: 'UserError', message: message as string });
  });

for (const [text, message] of [
  ['fd00::1', '"fd00::1" is not an IPv6 prefix: write it as fd74:7261:7066::/64'],
  ['fd00::/48', 'fd00::/48 must be a /64: guests make their own addresses of such a prefix only'],
  ['fd00::1/64', 'fd00::1/64 names an address, not a network: write fd00::/64'],
  [
    'fe80::/64',
    'fe80::/64 cannot be the network of a guest: take a unique local one, as fd74:7261:7066::/64',
  ],
  [
    '64:ff9b::/64',
    '64:ff9b::/64 cannot be the network of a guest: take a unique local one, as fd74:7261:7066::/64',
  ],
])
  test(`as an IPv6 prefix, ${text} is an error that says what to do`, () => {
    assert.throws(() => parsePrefix6(text as string), { name: 'UserError', message: message as string });
  });

test('a prefix of the user that is the host’s, too, is an error that names the interface', () => {
  const host = { ...NOTHING, addresses: [{ address: Uint8Array.of(10, 0, 2, 15), interface: 'eth0' }] };
  assert.throws(() => choosePrefix('10.0.2.0/24', host), {
    message:
      'the prefix 10.0.2.0/24 is in use on this host (eth0 has 10.0.2.15): take another, as 10.0.12.0/24',
  });
  const nameserver = { ...NOTHING, nameservers: [Uint8Array.of(10, 1, 0, 53)] };
  assert.throws(() => choosePrefix('10.0.0.0/8', nameserver), /its name server is 10\.1\.0\.53/);
  const route = { ...NOTHING, routes: parseRoutes('Iface\tDestination\nwg0\t0002000A\t0\n') };
  assert.throws(() => choosePrefix('10.0.2.0/24', route), /wg0 leads to 10\.0\.2\.0/);
  const ipv6 = { ...NOTHING, addresses: [{ address: parsePrefix6('fd00::/64'), interface: 'eth0' }] };
  assert.throws(() => choosePrefix6('fd00::/64', ipv6), /eth0 has fd00::/);
});

test('where the default is the host’s, as in a guest of such a network, the next is taken', () => {
  const host = { ...NOTHING, addresses: [{ address: Uint8Array.of(10, 0, 2, 15), interface: 'eth0' }] };
  assert.equal(ipText(choosePrefix(undefined, host).network), '10.0.12.0');
  assert.equal(ipText(choosePrefix(undefined, NOTHING).network), '10.0.2.0');
  const own = parsePrefix6('fd74:7261:7066::/64').fill(9, 8);
  const host6 = { ...NOTHING, addresses: [{ address: own, interface: 'eth0' }] };
  assert.equal(ipText(choosePrefix6(undefined, host6)), 'fd74:7261:7066:1::');
  assert.equal(ipText(choosePrefix6(undefined, NOTHING)), 'fd74:7261:7066::');
});

test('a wider route of the host, as to all of 10.0.0.0/8, is no clash', () => {
  const host = {
    ...NOTHING,
    routes: parseRoutes('Iface\tDestination\neth0\t00000000\t0\nwg0\t0000000A\t0\n'),
  };
  assert.equal(host.routes.length, 1);
  assert.equal(ipText(choosePrefix('10.0.2.0/24', host).network), '10.0.2.0');
});

test('the host’s own addresses are found', (t) => {
  const own = Object.values(networkInterfaces())
    .flatMap((it) => it ?? [])
    .find((it) => !it.internal && it.family === 'IPv4');
  if (own === undefined) return t.skip('this host has no address but loopback');
  const texts = hostNetwork([]).addresses.map(({ address }) => ipText(address));
  assert.ok(texts.includes(own.address));
});

test('an address is in a prefix by its bits', () => {
  const network = Uint8Array.of(10, 0, 2, 64);
  assert.ok(isInPrefix(Uint8Array.of(10, 0, 2, 127), network, 26));
  assert.ok(!isInPrefix(Uint8Array.of(10, 0, 2, 128), network, 26));
  assert.ok(!isInPrefix(new Uint8Array(16), network, 26));
});
