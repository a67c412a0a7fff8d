import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { it } from 'node:test';
import { allocateGuestMemory } from '../memory/guestMemory.ts';
import { HUGE_PAGES } from './hugePages.ts';
import { addressOf } from './libc.ts';

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const HUGE = BigInt(2 * MIB);

it('RAM is where KVM can map huge pages of it, and zeroed, whole and writable', () => {
  const ranges = [
    { base: 0, sizeBytes: 3 * MIB },
    { base: 4 * GIB, sizeBytes: 4096 },
  ];
  for (const { base, sizeBytes, bytes } of allocateGuestMemory(ranges, HUGE_PAGES).slots) {
    assert.equal((addressOf(bytes) - BigInt(base)) % HUGE, 0n);
    assert.equal(bytes.length, sizeBytes);
    assert.equal(bytes.at(-1), 0);
    bytes.fill(1);
  }
});

const HAS_HUGE_PAGES = existsSync('/sys/kernel/mm/transparent_hugepage');

it('the kernel is asked for huge pages', { skip: !HAS_HUGE_PAGES && 'this kernel has none' }, () => {
  const [slot] = allocateGuestMemory([{ base: 0, sizeBytes: 4 * MIB }], HUGE_PAGES).slots;
  assert.match(mappingOf(addressOf(slot?.bytes ?? assert.fail())), /^VmFlags:.* hg\b/m);
});

/** Its part of /proc/self/smaps, proc(5). */
function mappingOf(address: bigint): string {
  const mappings = readFileSync('/proc/self/smaps', 'utf8').split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m);
  const found = mappings.find((it) => {
    const [, start, end] = /^([0-9a-f]+)-([0-9a-f]+) /.exec(it) ?? [];
    return address >= BigInt(`0x${start}`) && address < BigInt(`0x${end}`);
  });
  return found ?? assert.fail('no mapping');
}
