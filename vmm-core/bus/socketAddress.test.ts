import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressText, ipText, parseAddress, parseIp } from './socketAddress.ts';

test('IPv6 addresses are printed as RFC 5952 §4 asks, and read in any form', () => {
  const printed: Readonly<Record<string, string>> = {
    '2001:db8:0:0:0:0:2:1': '2001:db8::2:1',
    '2001:0DB8:0000:0001:0001:0001:0001:0001': '2001:db8:0:1:1:1:1:1',
    '2001:0:0:1:0:0:0:1': '2001:0:0:1::1',
    '2001:db8:0:0:1:0:0:1': '2001:db8::1:0:0:1',
    '::': '::',
    '::1': '::1',
    'fe80::': 'fe80::',
    '::ffff:10.0.2.15': '::ffff:a00:20f',
    '64:ff9b::1.2.3.4': '64:ff9b::102:304',
    '10.0.2.2': '10.0.2.2',
  };
  for (const [text, expected] of Object.entries(printed))
    assert.equal(ipText(parseIp(text) ?? assert.fail(text)), expected);
});

test('an address with its port is read back as it was printed', () => {
  for (const text of ['10.0.2.2:80', '[::1]:65535', '[fe80::1%3]:22', '/run/a:b.sock', '@abstract'])
    assert.equal(addressText(parseAddress(text) ?? assert.fail(text)), text);
});

test('what is no address is none', () => {
  const wrong = [
    ...['', ':80', '10.0.2:80', '10.0.2.2', '10.0.2.2:65536', '10.0.2.2:', '::1:80', '[::1]', '[10.0.0.1]:1'],
    ...['[::1%eth0]:1', '[g::]:1', 'localhost:80', '10.0.2.2:-1', '10.0.2.256:1'],
  ];
  for (const text of wrong) assert.equal(parseAddress(text), undefined, text);
  for (const text of ['1.2.3', ':::', '1::2::3', 'fe80::1%3', '1.2.3.4.5', ''])
    assert.equal(parseIp(text), undefined);
});
