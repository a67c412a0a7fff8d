import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allocateGuestMemory, gpa, GuestAddressError, type Gpa } from './guestMemory.ts';
import { GIB, MIB } from './layout.ts';

/** Two adjacent slots, one after a hole. */
function memory(): ReturnType<typeof allocateGuestMemory> {
  return allocateGuestMemory([
    { base: 0, sizeBytes: MIB },
    { base: MIB, sizeBytes: MIB },
    { base: 4 * GIB, sizeBytes: MIB },
  ]);
}

/** What a guest may put into a descriptor, unbranded. */
const raw = (address: number): Gpa => address as Gpa;

test('an address is a whole number below 2^52', () => {
  assert.equal(gpa(0), 0);
  assert.equal(gpa(0xfee0_0000n), 0xfee0_0000);
  assert.equal(gpa(2 ** 52 - 1), 2 ** 52 - 1);
  for (const bad of [-1, 0.5, NaN, Infinity, -Infinity, 2 ** 52, 2 ** 53, -1n, 1n << 52n, 2n ** 64n - 1n]) {
    assert.throws(() => gpa(bad), GuestAddressError, String(bad));
  }
});

test('what is written is read back, little-endian, in every width', () => {
  const ram = memory();
  ram.writeU64(gpa(0x100), 0x8877_6655_4433_2211n);
  assert.deepEqual([...ram.slice(gpa(0x100), 8)], [0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88]);
  assert.equal(ram.readU8(gpa(0x107)), 0x88);
  assert.equal(ram.readU16(gpa(0x106)), 0x8877);
  assert.equal(ram.readU32(gpa(0x104)), 0x8877_6655);
  assert.equal(ram.readU64(gpa(0x100)), 0x8877_6655_4433_2211n);
  ram.writeU8(gpa(0x100), 0xff);
  ram.writeU16(gpa(0x102), 0xaaaa);
  ram.writeU32(gpa(0x104), 0xbbbb_bbbb);
  assert.equal(ram.readU64(gpa(0x100)), 0xbbbb_bbbb_aaaa_22ffn);
});

test('a slice is the memory itself, not a copy', () => {
  const ram = memory();
  const view = ram.slice(gpa(0x200), 4);
  ram.write(gpa(0x200), Uint8Array.of(1, 2, 3, 4));
  assert.deepEqual([...view], [1, 2, 3, 4]);
  view[0] = 9;
  assert.equal(ram.readU8(gpa(0x200)), 9);
});

test('the last bytes of a slot can be used, one byte more is refused', () => {
  const ram = memory();
  const end = 4 * GIB + MIB;
  ram.writeU64(gpa(end - 8), 1n);
  assert.equal(ram.slice(gpa(end - 16), 16).length, 16);
  assert.equal(ram.slice(gpa(end), 0).length, 0);
  assert.throws(() => ram.readU8(gpa(end)), GuestAddressError);
  assert.throws(() => ram.readU64(gpa(end - 7)), GuestAddressError);
  assert.throws(() => ram.write(gpa(end - 3), new Uint8Array(4)), GuestAddressError);
});

test('a range is zeroed, and nothing beside it', () => {
  const ram = memory();
  ram.write(gpa(0x200), Uint8Array.of(1, 2, 3, 4));
  ram.zero(gpa(0x201), 2);
  assert.equal(ram.readU32(gpa(0x200)), 0x0400_0001);
  assert.throws(() => ram.zero(gpa(MIB - 1), 2), GuestAddressError);
});

test('a range across two slots is refused even where they touch: no view spans both', () => {
  const ram = memory();
  assert.equal(ram.contains(MIB - 4, 4), true);
  assert.equal(ram.contains(MIB - 4, 5), false);
  assert.throws(() => ram.slice(gpa(MIB - 4), 8), GuestAddressError);
  assert.throws(() => ram.readU32(gpa(MIB - 2)), GuestAddressError);
  assert.equal(ram.contiguousBytes(MIB - 4), 4);
  assert.equal(ram.contiguousBytes(MIB), MIB);
});

test('the hole between slots is not memory', () => {
  const ram = memory();
  for (const address of [2 * MIB, 3 * GIB, 0xfee0_0000, 4 * GIB - 1]) {
    assert.equal(ram.contains(address, 1), false);
    assert.equal(ram.contiguousBytes(address), 0);
    assert.throws(() => ram.readU8(gpa(address)), GuestAddressError);
  }
});

test('hostile addresses and lengths are refused, even when their sum wraps', () => {
  const ram = memory();
  const addresses = [
    -1,
    NaN,
    Infinity,
    -Infinity,
    2 ** 52,
    2 ** 53,
    2 ** 64,
    Number.MAX_SAFE_INTEGER,
    -0x1000,
  ];
  const lengths = [-1, NaN, Infinity, 2 ** 52, 2 ** 53, 2 ** 64 - 1, Number.MAX_SAFE_INTEGER];
  for (const address of addresses) {
    assert.equal(ram.contains(address, 1), false, `address ${address}`);
    assert.equal(ram.contiguousBytes(address), 0, `address ${address}`);
    assert.throws(() => ram.slice(raw(address), 1), GuestAddressError);
    assert.throws(() => ram.readU64(raw(address)), GuestAddressError);
    assert.throws(() => ram.writeU8(raw(address), 1), GuestAddressError);
  }
  for (const length of lengths) {
    assert.equal(ram.contains(0, length), false, `length ${length}`);
    assert.throws(() => ram.slice(raw(0), length), GuestAddressError);
    assert.throws(() => ram.slice(raw(0x1000), length), GuestAddressError);
  }
});

test('the error names the address and the length in hexadecimal', () => {
  assert.throws(() => memory().slice(gpa(0xdead_b000), 0x20), {
    message: 'no guest RAM at address 0xdeadb000 length 0x20',
  });
});

test('the size is the sum of the slots; a slot that is not a multiple of 64 KiB ends where it says', () => {
  const ram = allocateGuestMemory([{ base: 0, sizeBytes: 0x1000 }]);
  assert.equal(ram.sizeBytes, 0x1000);
  assert.equal(ram.contains(0xfff, 1), true);
  assert.equal(ram.contains(0x1000, 1), false);
  assert.equal(memory().sizeBytes, 3 * MIB);
});
