/** Values as OpenBSD's C library reads them. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  isGroupName,
  isInterfaceName,
  isVmName,
  networkProblem,
  parseLladdr,
  plainPrefix,
  prefixProblem,
  scanScaled,
} from './values.ts';

describe('scan_scaled(3)', () => {
  const M = 2n ** 20n;
  const sizes: readonly (readonly [string, bigint | undefined])[] = [
    ['512M', 512n * M],
    ['512m', 512n * M],
    ['1.5G', 1536n * M],
    ['.5g', 512n * M],
    ['1.G', 1024n * M],
    ['4096', 4096n],
    ['1.9', 1n],
    ['0.0009765625G', M],
    ['1b', 1n],
    ['7E', 7n * 2n ** 60n],
    ['-1M', -M],
    ['512M/x', 512n * M],
    ['M', 0n],
    ['512MB', undefined],
    ['512M0', undefined],
    ['1..5G', undefined],
    ['1x', undefined],
    ['8E', undefined],
    ['9'.repeat(21), undefined],
    [`0.${'9'.repeat(19)}G`, undefined],
    [`0.${'1'.repeat(30)}G`, 119304647n],
  ];
  for (const [text, bytes] of sizes) {
    it(`reads "${text}" as ${bytes ?? 'nothing'}`, () => assert.equal(scanScaled(text), bytes));
  }
});

it('ether_aton(3) takes six bytes with colons, and ignores what follows a blank', () => {
  assert.deepEqual(parseLladdr('fe:e1:bb:d1:0:1'), [0xfe, 0xe1, 0xbb, 0xd1, 0, 1]);
  assert.deepEqual(parseLladdr(' 0x2:3:4:5:6:7 tail'), [2, 3, 4, 5, 6, 7]);
  for (const text of [
    '',
    '1:2:3:4:5',
    '1:2:3:4:5:100',
    '1:2:3:4:5:g',
    '1-2-3-4-5-6',
    '1:2:3:4:5:6x',
    '-1:2:3:4:5:6',
  ]) {
    assert.equal(parseLladdr(text), undefined, text);
  }
});

describe('networks', () => {
  const good = [
    ...['10.0.0.0/8', '100.64.0.0/10', '10.1.0.0', '128.0.0.0/1'],
    ...['10/8', '10.0.0/8', '010.0.0.0/8', '0x0a/8', '0X0A00/8', '10/32/8'],
  ];
  const bad = [
    '10.0.0.0/17',
    '10.0.0.0/0',
    '10.1.0.0/8',
    '10.1/8',
    '10.0.0.0.0/8',
    '0xa/8',
    '10/33/8',
    '/8',
    '256.0.0.0/8',
    '10.0.0.0/',
    '10.0.0.0/8x',
    'x',
  ];
  it('are IPv4 with a length of 1 to 16', () => {
    assert.deepEqual(
      good.filter((it) => prefixProblem(it, 'inet') !== undefined),
      [],
    );
    assert.deepEqual(
      bad.filter((it) => prefixProblem(it, 'inet') === undefined),
      [],
    );
  });
  const good6 = [
    'fd00::/8',
    '::/0',
    'fd00::%7/8',
    'fe80::%em0/10',
    'fd42:10:20:1::/64',
    'fd42:10:20:1::',
    '1:2:3:4:0:0:0:0/64',
  ];
  const bad6 = [
    'fd00::/65',
    'fd00::%em0/8',
    'fd42::1/64',
    'fd00::1::/64',
    '1:2:3/64',
    'g::/64',
    '1:2:3:4:5:6:7:8:9/64',
    '1:2:3:4::5:6:7:8/64',
    '/64x',
  ];
  it('are IPv6 with a length of 0 to 64', () => {
    assert.deepEqual(
      good6.filter((it) => prefixProblem(it, 'inet6') !== undefined),
      [],
    );
    assert.deepEqual(
      bad6.filter((it) => prefixProblem(it, 'inet6') === undefined),
      [],
    );
  });
});

it('names of groups, interfaces and VMs follow their rules', () => {
  assert.deepEqual(['vmgrp', 'g1x', ''].map(isGroupName), [true, true, true]);
  assert.deepEqual(['g1', 'abcdefghijklmnop', 'ä'.repeat(8)].map(isGroupName), [false, false, false]);
  assert.deepEqual(
    ['veb0', 'bridge12', 'bridge', 'veb0x', 'tap0', '0'].map((it) => isInterfaceName(it, ['bridge', 'veb'])),
    [true, true, false, false, false, false],
  );
  assert.deepEqual(['a', '0a.b-c_d', '-a', '.a', '_a', 'a b', ''].map(isVmName), [
    true,
    true,
    false,
    false,
    false,
    false,
    false,
  ]);
});

it('a network of ours is written in full, and nothing is behind its length', () => {
  const problems = (texts: readonly string[], family: 'inet' | 'inet6'): string[] =>
    texts.map((it) => networkProblem(it, family) ?? '');
  assert.deepEqual(problems(['10.0.2.0/24', '0.0.0.0/1', '10.0.2.32/27'], 'inet'), ['', '', '']);
  assert.deepEqual(problems(['fd00::/64', 'fd00:1:2:3::/64', '::/0'], 'inet6'), ['', '', '']);
  assert.deepEqual(problems(['10/8', '10.0.2.0', '10.0.2.0/28', '10.0.2.1/24', 'fd00::/64'], 'inet'), [
    '"10/8" is not written as 10.0.2.0/24',
    '"10.0.2.0" is not written as 10.0.2.0/24',
    'the prefix length must be 1 to 27',
    'the bits of "10.0.2.1/24" after the first 24 must be zero',
    '"fd00::/64" is not written as 10.0.2.0/24',
  ]);
});

it('a network of ours is one that a machine can have an address of', () => {
  const reserved = ['0.0.0.0/8', '127.0.0.0/16', '224.0.0.0/3', '240.1.0.0/16'];
  for (const it of reserved) assert.match(networkProblem(it, 'inet') ?? '', /^no machine has an address of /);
  const reserved6 = ['::/64', 'fe80::/64', 'ff02::/16'];
  for (const it of reserved6)
    assert.match(networkProblem(it, 'inet6') ?? '', /^no machine has an address of /);
  for (const it of ['1.0.0.0/8', '126.0.0.0/8', '128.0.0.0/1', '223.255.255.0/24'])
    assert.equal(networkProblem(it, 'inet'), undefined);
  for (const it of ['100::/64', 'fec0::/64', 'fc00::/7'])
    assert.equal(networkProblem(it, 'inet6'), undefined);
});

it("vmd's prefix is written in full for us", () => {
  const plain = ['10/8', '100.64', '0x0a/8', '10.1.0.0/24'].map((it) => plainPrefix(it, 'inet'));
  assert.deepEqual(plain, ['10.0.0.0/8', '100.64.0.0/16', '10.0.0.0/8', undefined]);
  const plain6 = ['fd00::/48', 'fd00::', 'fe80::%em0/64', undefined].map((it) => plainPrefix(it, 'inet6'));
  assert.deepEqual(plain6, ['fd00::/48', 'fd00::/64', 'fe80::/64', undefined]);
});
