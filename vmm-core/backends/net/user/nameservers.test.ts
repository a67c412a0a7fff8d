import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { addressText, ipText, type SocketAddress } from '../../../bus/socketAddress.ts';
import { Nameservers } from './nameservers.ts';
import { parseResolvConf, ResolvConfFile } from './resolvConf.ts';

const folder = mkdtempSync(join(tmpdir(), 'resolv-'));
after(() => rmSync(folder, { recursive: true }));

const server = (last: number): SocketAddress => ({
  family: 'ipv4',
  address: Uint8Array.of(192, 0, 2, last),
  port: 53,
});

test('the unspecified address is the host itself, whose answers come from its loopback', () => {
  const { nameservers } = parseResolvConf('nameserver 0.0.0.0\nnameserver ::\n');
  assert.deepEqual(
    nameservers.map(({ address }) => ipText(address)),
    ['127.0.0.1', '::1'],
  );
});

test('resolv.conf has name servers, at most three, and what is appended to names; the last list counts', () => {
  const { nameservers, search } = parseResolvConf(`# by hand
domain old.example
nameserver 192.0.2.1 # first
nameserver nonsense
nameserver 2001:db8::53
nameserver fe80::1%eth0
nameserver 192.0.2.4
search example.org lan. bad_but_seen -- ${'x'.repeat(64)}
options edns0
`);
  assert.deepEqual(
    nameservers.map(({ address, scope }) => [ipText(address), scope]),
    [
      ['192.0.2.1', undefined],
      ['2001:db8::53', undefined],
      ['fe80::1', 'eth0'],
    ],
  );
  assert.deepEqual(search, ['example.org', 'lan.', 'bad_but_seen', '--']);
});

test('the file is read again when it has changed, and what was known holds while it is away', () => {
  const path = join(folder, 'resolv.conf');
  const file = new ResolvConfFile(path);
  assert.equal(ipText(file.content.nameservers[0]?.address ?? new Uint8Array(4)), '127.0.0.1');
  writeFileSync(path, 'nameserver 192.0.2.1\n');
  assert.equal(file.refresh(), true);
  assert.equal(file.refresh(), false);
  assert.equal(ipText(file.content.nameservers[0]?.address ?? new Uint8Array(4)), '192.0.2.1');
  rmSync(path);
  assert.equal(file.refresh(), false);
  writeFileSync(path, 'nameserver 192.0.2.2\nnameserver 192.0.2.3\n');
  assert.equal(file.refresh(), true);
  assert.equal(file.content.nameservers.length, 2);
});

test('questions go to the first, and to the next while one does not answer', () => {
  const it = new Nameservers([server(1), server(2)], () => undefined);
  it.onQuestion(0);
  it.onAnswer();
  it.onQuestion(10_000);
  assert.equal(addressText(it.current), '192.0.2.1:53');
  it.onQuestion(14_000);
  assert.equal(addressText(it.current), '192.0.2.2:53');
  it.fails(Uint8Array.of(192, 0, 2, 2));
  assert.equal(addressText(it.current), '192.0.2.1:53');
});

test('a server that fails several questions at once, as for A and AAAA, is left once', () => {
  const it = new Nameservers([server(1), server(2)], () => undefined);
  for (let count = 0; count < 2; count++) it.fails(Uint8Array.of(192, 0, 2, 1));
  assert.equal(addressText(it.current), '192.0.2.2:53');
});

test('main is asked to look at the file while there are questions, not for each', () => {
  let asked = 0;
  const it = new Nameservers([server(1)], () => asked++);
  for (let nowMs = 0; nowMs < 2000; nowMs++) it.onQuestion(nowMs);
  assert.equal(asked, 1);
  it.onQuestion(2000);
  assert.equal(asked, 2);
  it.use([server(9)]);
  assert.equal(addressText(it.current), '192.0.2.9:53');
  it.use([]);
  assert.equal(addressText(it.current), '192.0.2.9:53');
});
