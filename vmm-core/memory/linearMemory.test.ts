import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PageTables } from '../../test/support/pageTables.ts';
import { CR0_PE, CR0_PG, CR4_PAE, EFER_LMA, EFER_LME } from '../abi/x86.ts';
import { allocateGuestMemory, gpa, type GuestMemory } from './guestMemory.ts';
import { MIB } from './layout.ts';
import { linearPieces, readLinear } from './linearMemory.ts';
import type { PagingState } from './pageWalk.ts';

const NO_PAGING: PagingState = { cr0: CR0_PE, cr3: 0n, cr4: 0n, efer: 0n };

/**
 * Pages 0x1000 and 0x2000 are mapped in reverse order, 0x3000 is not mapped, the last page of the address
 * space is.
 */
function paged(): { memory: GuestMemory; state: PagingState } {
  const memory = allocateGuestMemory([{ base: 0, sizeBytes: 2 * MIB }]);
  const tables = new PageTables(memory, 0x1000, 4)
    .map(0x1000n, 0x10_2000n)
    .map(0x2000n, 0x10_1000n)
    .map(0xffff_ffff_ffff_f000n, 0x10_3000n)
    .map(0n, 0x10_4000n);
  memory.slice(gpa(0x10_1000), 0x1000).fill(0x22);
  memory.slice(gpa(0x10_2000), 0x1000).fill(0x11);
  memory.slice(gpa(0x10_3000), 0x1000).fill(0xff);
  memory.slice(gpa(0x10_4000), 0x1000).fill(0x44);
  return {
    memory,
    state: { cr0: CR0_PE | CR0_PG, cr3: tables.cr3, cr4: CR4_PAE, efer: EFER_LME | EFER_LMA },
  };
}

test('neighbouring pages that are apart in RAM are read in linear order', () => {
  const { memory, state } = paged();
  assert.deepEqual([...readLinear(memory, state, 0x1ffen, 4)], [0x11, 0x11, 0x22, 0x22]);
  assert.deepEqual(linearPieces(memory, state, 0x1ffen, 4), [
    { gpa: 0x10_2ffe, offset: 0, lengthBytes: 2 },
    { gpa: 0x10_1000, offset: 2, lengthBytes: 2 },
  ]);
});

test('a read ends at the first byte that is not mapped', () => {
  const { memory, state } = paged();
  assert.equal(readLinear(memory, state, 0x2ff0n, 0x100).length, 0x10);
  assert.equal(readLinear(memory, state, 0x3000n, 0x100).length, 0);
  assert.equal(readLinear(memory, state, 0x8000_0000_0000n, 1).length, 0);
  assert.deepEqual(linearPieces(memory, state, 0x1000n, 0), []);
});

test('a range wraps at the end of the address space, as the processor does', () => {
  const { memory, state } = paged();
  assert.deepEqual([...readLinear(memory, state, 0xffff_ffff_ffff_fffen, 4)], [0xff, 0xff, 0x44, 0x44]);
});

test('without paging a read ends where RAM ends, and continues from one slot into the next', () => {
  const memory = allocateGuestMemory([
    { base: 0, sizeBytes: 0x2000 },
    { base: 0x2000, sizeBytes: 0x1000 },
  ]);
  memory.writeU8(gpa(0x1fff), 1);
  memory.writeU8(gpa(0x2000), 2);
  assert.deepEqual([...readLinear(memory, NO_PAGING, 0x1fffn, 2)], [1, 2]);
  assert.equal(readLinear(memory, NO_PAGING, 0x2ff0n, 0x1000).length, 0x10);
});
