import assert from 'node:assert/strict';
import { it } from 'node:test';
import { seededRandom } from '../../../../../test/support/bytes.ts';
import { checksumOf, fold, GOOD_SUM, joinSums, sumOf } from './checksum.ts';

/** RFC 1071 §1, word by word. */
function plainSum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) {
    sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
    if (sum > 0xffff) sum -= 0xffff;
  }
  return sum;
}

/** 0 and 0xffff are one number in ones' complement. */
function same(a: number, b: number): boolean {
  return a % 0xffff === b % 0xffff;
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

it('sums the example of RFC 1071 §3', () => {
  const bytes = Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7);
  assert.equal(sumOf(view(bytes), 0, 8), 0xddf2);
  assert.equal(checksumOf(0xddf2), 0x220d);
});

it('sums any length at any place as the definition does', () => {
  const random = seededRandom(1);
  const bytes = Uint8Array.from({ length: 300 }, () => Math.floor(random() * 256));
  for (let start = 0; start < 20; start++)
    for (let end = start; end <= bytes.length; end += 1 + Math.floor(random() * 7))
      assert.ok(
        same(sumOf(view(bytes), start, end), plainSum(bytes.subarray(start, end))),
        `${start} ${end}`,
      );
});

it('sums 128 KiB of the largest words without losing a carry', () => {
  const bytes = new Uint8Array(0x20000).fill(0xff);
  assert.equal(sumOf(view(bytes), 0, bytes.length), 0xffff);
});

it('joins sums of parts, also where a part begins at an odd byte (RFC 1071 §2(B))', () => {
  const bytes = Uint8Array.from({ length: 100 }, (_, i) => i * 7);
  for (let cut = 0; cut <= bytes.length; cut++) {
    const joined = joinSums(sumOf(view(bytes), 0, cut), sumOf(view(bytes), cut, bytes.length), cut);
    assert.ok(same(joined, plainSum(bytes)), `cut at ${cut}`);
  }
});

it('finds that a packet with its checksum sums to all ones', () => {
  const bytes = Uint8Array.from({ length: 64 }, (_, i) => 255 - i);
  view(bytes).setUint16(10, 0);
  view(bytes).setUint16(10, checksumOf(sumOf(view(bytes), 0, 64)));
  assert.equal(sumOf(view(bytes), 0, 64), GOOD_SUM);
  assert.equal(fold(0x1fffe), 0xffff);
});
