import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  amlPackage,
  device,
  eisaId,
  integer,
  interrupt,
  io,
  irqNoFlags,
  memory32Fixed,
  name,
  resourceTemplate,
  scope,
  string,
} from './aml.ts';

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

test('integers take the shortest form (§20.2.3)', () => {
  assert.equal(hex(integer(0)), '00');
  assert.equal(hex(integer(1)), '01');
  assert.equal(hex(integer(2)), '0a02');
  assert.equal(hex(integer(0x1234)), '0b3412');
  assert.equal(hex(integer(0xfec00000)), '0c0000c0fe');
});

test('a PnP id is compressed to three letters and four digits, big-endian (§19.3.4)', () => {
  assert.equal(hex(eisaId('PNP0501')), '0c41d00501');
  assert.equal(hex(eisaId('PNP0B00')), '0c41d00b00');
});

test('a package length below 64 is one byte and counts itself (§20.2.4)', () => {
  assert.equal(hex(amlPackage(integer(5), integer(0))), '1205020a0500');
  assert.equal(scope('\\_SB', new Uint8Array(57))[1], 63);
});

test('a package length of 64 and more has its low 4 bits in the lead byte (§20.2.4)', () => {
  // 2 length bytes + \_SB_ + 58 = 65 bytes
  assert.equal(hex(scope('\\_SB', new Uint8Array(58)).subarray(1, 3)), '4104');
  // 3 length bytes + 5 + 5000 = 5008 = 0x1390
  assert.equal(hex(scope('\\_SB', new Uint8Array(5000)).subarray(1, 4)), '803901');
});

test('resource descriptors are encoded as §6.4 gives them', () => {
  assert.equal(hex(io(0x3f8, 8)), '4701f803f8030108');
  assert.equal(hex(irqNoFlags(4)), '221000');
  assert.equal(hex(memory32Fixed(0xd0000000, 0x1000)), '86090001000000d000100000');
  assert.equal(hex(interrupt(5)), '890600030105000000');
});

test('a virtio-mmio device can be described', () => {
  const described = device(
    'V000',
    name('_HID', string('LNRO0005')),
    name('_UID', integer(2)),
    name('_CCA', integer(1)),
    name('_CRS', resourceTemplate(memory32Fixed(0xd0000000, 0x1000), interrupt(5))),
  );
  assert.equal(
    hex(described),
    '5b8242045630303008' +
      Buffer.from('_HID').toString('hex') +
      `0d${Buffer.from('LNRO0005').toString('hex')}00` +
      `08${Buffer.from('_UID').toString('hex')}0a02` +
      `08${Buffer.from('_CCA').toString('hex')}01` +
      `08${Buffer.from('_CRS').toString('hex')}111a0a1786090001000000d0001000008906000301050000007900`,
  );
});
