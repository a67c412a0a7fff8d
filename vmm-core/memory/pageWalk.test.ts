import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../../test/support/bytes.ts';
import { PageTables, PTE_NX, PTE_P, PTE_PS, PTE_RW, PTE_US } from '../../test/support/pageTables.ts';
import { CR0_PE, CR0_PG, CR4_LA57, CR4_PAE, CR4_PSE, EFER_LMA, EFER_LME, EFER_NXE } from '../abi/x86.ts';
import { allocateGuestMemory, gpa, type GuestMemory } from './guestMemory.ts';
import { MIB } from './layout.ts';
import { type PagingState, RangeWalker, walk } from './pageWalk.ts';

const CR0 = CR0_PE | CR0_PG;
const EFER_LONG = EFER_LME | EFER_LMA | EFER_NXE;

function ram(sizeBytes = 8 * MIB): GuestMemory {
  return allocateGuestMemory([{ base: 0, sizeBytes }]);
}

function long(cr3: bigint, more: Partial<PagingState> = {}): PagingState {
  return { cr0: CR0, cr3, cr4: CR4_PAE, efer: EFER_LONG, ...more };
}
function pae(cr3: bigint, more: Partial<PagingState> = {}): PagingState {
  return { cr0: CR0, cr3, cr4: CR4_PAE, efer: EFER_NXE, ...more };
}
function legacy(cr3: bigint, more: Partial<PagingState> = {}): PagingState {
  return { cr0: CR0, cr3, cr4: 0n, efer: 0n, ...more };
}

test('without paging a linear address is a physical one, of 32 bits', () => {
  const state = { cr0: CR0_PE, cr3: 0n, cr4: 0n, efer: 0n };
  assert.equal(walk(ram(), state, 0x12345n).gpa, 0x12345);
  assert.equal(walk(ram(), state, 0x1_0001_2345n).gpa, 0x12345);
  assert.equal(walk(ram(), state, 0xffff_fff0n).gpa, undefined, 'no RAM there');
});

test('4-level paging maps 4 KiB pages, top level first in the entries (SDM 3A §4.5)', () => {
  const memory = ram();
  const tables = new PageTables(memory, 0x10_0000, 4).map(0xffff_ffff_8123_4000n, 0x20_0000n);
  const found = walk(memory, long(tables.cr3), 0xffff_ffff_8123_4567n);
  assert.equal(found.gpa, 0x20_0567);
  assert.equal(found.pageBytes, 0x1000);
  assert.deepEqual(
    found.entries.map(({ level }) => level),
    [4, 3, 2, 1],
  );
  assert.equal(found.entries[0]?.gpa, 0x10_0000 + 511 * 8);
  assert.deepEqual({ w: found.writable, u: found.user, x: found.executable }, { w: true, u: true, x: true });
});

test('5-level paging is chosen by CR4.LA57 and covers 57 bits', () => {
  const memory = ram();
  const linear = 0x00ab_cdef_0123_4000n;
  const tables = new PageTables(memory, 0x10_0000, 5).map(linear, 0x30_0000n);
  const state = long(tables.cr3, { cr4: CR4_PAE | CR4_LA57 });
  const found = walk(memory, state, linear + 1n);
  assert.equal(found.gpa, 0x30_0001);
  assert.equal(found.entries.length, 5);
  assert.equal(walk(memory, long(tables.cr3), linear).gpa, undefined, 'not canonical with 4 levels');
});

test('2 MiB and 1 GiB pages end the walk, their PAT bit is not an address bit', () => {
  const memory = ram();
  const PAT = 1n << 12n;
  const tables = new PageTables(memory, 0x10_0000, 4)
    .map(0x4000_0000n, 0x40_0000n | PAT, PTE_P | PTE_RW, 2)
    .map(0x80_0000_0000n, 0n, PTE_P, 3);
  const two = walk(memory, long(tables.cr3), 0x4012_3456n);
  assert.deepEqual(
    { gpa: two.gpa, size: two.pageBytes, depth: two.entries.length },
    { gpa: 0x52_3456, size: 0x20_0000, depth: 3 },
  );
  const one = walk(memory, long(tables.cr3), 0x80_0012_3456n);
  assert.deepEqual(
    { gpa: one.gpa, size: one.pageBytes, depth: one.entries.length },
    { gpa: 0x12_3456, size: 2 ** 30, depth: 2 },
  );
});

test('PAE paging has four pointers without rights, 2 MiB and 4 KiB pages (§4.4)', () => {
  const memory = ram();
  const tables = new PageTables(memory, 0x10_0000, 3)
    .map(0xc010_0000n, 0x20_0000n)
    .map(0x8000_0000n, 0x40_0000n, PTE_P | PTE_RW | PTE_US, 2);
  const small = walk(memory, pae(tables.cr3), 0xc010_0123n);
  assert.deepEqual(
    { gpa: small.gpa, w: small.writable, u: small.user },
    { gpa: 0x20_0123, w: true, u: true },
  );
  assert.equal(small.entries[0]?.gpa, 0x10_0000 + 3 * 8);
  assert.equal(walk(memory, pae(tables.cr3), 0x8012_3456n).gpa, 0x52_3456);
});

test('a PAE CR3 is aligned to 32 bytes, its low bits are flags', () => {
  const memory = ram();
  memory.writeU64(gpa(0x10_0020), 0x20_0000n | PTE_P);
  memory.writeU64(gpa(0x20_0000), 0x40_0000n | PTE_P | PTE_PS);
  assert.equal(walk(memory, pae(0x10_0020n | 0x18n), 0x10n).gpa, 0x40_0010);
});

test('32-bit paging maps 4 KiB pages by entries of 4 bytes (§4.3)', () => {
  const memory = ram();
  memory.writeU32(gpa(0x10_0000 + 4 * 0x200), 0x20_0007);
  memory.writeU32(gpa(0x20_0000 + 4 * 0x123), 0x30_0003);
  const found = walk(memory, legacy(0x10_0018n), 0x8012_3abcn);
  assert.deepEqual(
    { gpa: found.gpa, w: found.writable, u: found.user },
    { gpa: 0x30_0abc, w: true, u: false },
  );
  assert.equal(
    walk(memory, legacy(0x10_0000n), 0xffff_ffff_8012_3abcn).gpa,
    0x30_0abc,
    'upper bits are ignored',
  );
});

test('a 4 MiB page needs CR4.PSE; its bits 13 to 20 are address bits 32 to 39', () => {
  const memory = allocateGuestMemory([
    { base: 0, sizeBytes: 4 * MIB },
    { base: 2 ** 32, sizeBytes: 4 * MIB },
  ]);
  memory.writeU32(gpa(0x1000), Number(PTE_P | PTE_PS) | (1 << 13));
  const found = walk(memory, legacy(0x1000n, { cr4: CR4_PSE }), 0x12_3456n);
  assert.deepEqual({ gpa: found.gpa, size: found.pageBytes }, { gpa: 2 ** 32 + 0x12_3456, size: 0x40_0000 });
  const withoutPse = walk(memory, legacy(0x1000n), 0x12_3456n);
  assert.deepEqual({ gpa: withoutPse.gpa, depth: withoutPse.entries.length }, { gpa: undefined, depth: 2 });
});

test('rights are those that all levels grant: one entry without R/W or U/S removes them', () => {
  const memory = ram();
  const all = PTE_P | PTE_RW | PTE_US;
  const tables = new PageTables(memory, 0x10_0000, 4)
    .map(0x1000n, 0x20_0000n, PTE_P | PTE_US)
    .map(0x2000n, 0x20_0000n, PTE_P | PTE_RW)
    .map(0x80_0000_0000n, 0x20_0000n, all, 1, PTE_P | PTE_RW);
  const rights = (linear: bigint): object => {
    const { writable, user } = walk(memory, long(tables.cr3), linear);
    return { writable, user };
  };
  assert.deepEqual(rights(0x1000n), { writable: false, user: true });
  assert.deepEqual(rights(0x2000n), { writable: true, user: false });
  assert.deepEqual(rights(0x80_0000_0000n), { writable: true, user: false });
});

test('XD at any level forbids execution, but only while EFER.NXE is set', () => {
  const memory = ram();
  const all = PTE_P | PTE_RW | PTE_US;
  const tables = new PageTables(memory, 0x10_0000, 4)
    .map(0x1000n, 0x20_0000n, all | PTE_NX)
    .map(0x80_0000_0000n, 0x20_0000n, all, 1, all | PTE_NX);
  for (const linear of [0x1000n, 0x80_0000_0000n]) {
    const found = walk(memory, long(tables.cr3), linear);
    assert.deepEqual({ gpa: found.gpa, x: found.executable }, { gpa: 0x20_0000, x: false });
    assert.equal(walk(memory, long(tables.cr3, { efer: EFER_LME | EFER_LMA }), linear).executable, true);
  }
});

test('an address that is not canonical is not mapped', () => {
  const memory = ram();
  const tables = new PageTables(memory, 0x10_0000, 4).map(0n, 0x20_0000n);
  for (const linear of [0x8000_0000_0000n, 0xffff_7fff_ffff_f000n, 0x1_0000_0000_0000n, 1n << 63n]) {
    assert.deepEqual(walk(memory, long(tables.cr3), linear).entries, [], linear.toString(16));
  }
  assert.equal(walk(memory, long(tables.cr3), 0n).gpa, 0x20_0000);
});

test('an entry that is not present ends the walk and is the last one shown', () => {
  const memory = ram();
  const tables = new PageTables(memory, 0x10_0000, 4).map(0x1000n, 0x20_0000n);
  const missing = walk(memory, long(tables.cr3), 0x5000n);
  assert.deepEqual(
    { gpa: missing.gpa, levels: missing.entries.map(({ level, value }) => [level, value !== 0n]) },
    {
      gpa: undefined,
      levels: [
        [4, true],
        [3, true],
        [2, true],
        [1, false],
      ],
    },
  );
});

test('tables and pages outside RAM count as not mapped, whatever the entries say', () => {
  const memory = ram();
  assert.deepEqual(walk(memory, long(0xf_ffff_ffff_f000n), 0x1000n).entries, []);
  const tables = new PageTables(memory, 0x10_0000, 4).map(0x1000n, 0xfee0_0000n);
  const device = walk(memory, long(tables.cr3), 0x1000n);
  assert.deepEqual({ gpa: device.gpa, depth: device.entries.length }, { gpa: undefined, depth: 4 });
  memory.writeU64(gpa(0x10_0008), 0xf_ffff_ffff_f000n | PTE_P);
  assert.equal(walk(memory, long(tables.cr3), 1n << 39n).entries.length, 1);
});

test('a table that points at itself ends like any other (recursive mapping)', () => {
  const memory = ram();
  memory.writeU64(gpa(0x10_0000 + 8 * 511), 0x10_0000n | PTE_P | PTE_RW);
  const found = walk(memory, long(0x10_0000n), 0xffff_ffff_ffff_f123n);
  assert.deepEqual({ gpa: found.gpa, depth: found.entries.length }, { gpa: 0x10_0123, depth: 4 });
});

test('any registers over any memory: it ends, finds RAM or nothing, and never throws (seeded)', () => {
  const random = seededRandom(0x7a6e);
  const memory = ram(0x4_0000);
  const bytes = memory.slice(gpa(0), 0x4_0000);
  const quad = (): bigint =>
    BigInt.asUintN(
      64,
      (BigInt(Math.floor(random() * 2 ** 32)) << 32n) | BigInt(Math.floor(random() * 2 ** 32)),
    );
  for (let round = 0; round < 40; round++) {
    // Mostly entries that lead on: present, within RAM.
    for (let at = 0; at < bytes.length; at += 8) {
      const value = random() < 0.8 ? (quad() & 0x8000_0000_0003_ffffn) | PTE_P : quad();
      memory.writeU64(gpa(at), value);
    }
    for (let i = 0; i < 500; i++) {
      const state = {
        cr0: random() < 0.9 ? CR0 : CR0_PE,
        cr3: random() < 0.9 ? quad() & 0x3_ffffn : quad(),
        cr4: quad() & (CR4_PAE | CR4_PSE | CR4_LA57),
        efer: quad() & (EFER_LMA | EFER_NXE),
      };
      const linear = random() < 0.7 ? quad() & 0x7fff_ffff_ffffn : quad();
      const found = walk(memory, state, linear);
      assert.ok(found.entries.length <= 5);
      if (found.gpa !== undefined) assert.ok(memory.contains(found.gpa, 1));
    }
  }
});

test('a range walker finds what single walks find, in every paging mode and over arbitrary tables', () => {
  const next = seededRandom(7);
  const random = (below: number): number => Math.floor(next() * below);
  const memory = ram(1 * MIB);
  const entries = [PTE_P, PTE_P, PTE_P | PTE_RW, PTE_P | PTE_PS, 0n];
  for (let at = 0; at < 0x1_0000; at += 8) {
    const flags = entries[random(entries.length)] ?? 0n;
    memory.writeU64(gpa(at), (BigInt(random(0x10)) << 12n) | flags);
  }
  const states = [
    legacy(0n),
    legacy(0n, { cr4: CR4_PSE }),
    pae(0n),
    long(0n),
    long(0n, { cr4: CR4_PAE | CR4_LA57 }),
    legacy(0n, { cr0: CR0_PE }),
  ];
  for (const state of states) {
    const walker = new RangeWalker(memory, state);
    let mapped = 0;
    for (let i = 0; i < 20_000; i++) {
      // Runs of neighbouring pages, across table boundaries.
      const region = (BigInt(random(4)) << 39n) | (BigInt(random(4)) << 30n) | (BigInt(random(8)) << 21n);
      const linear =
        (state.efer === EFER_LONG ? region : region & 0xffff_ffffn) + BigInt(i % 1024) * 0x1000n + 5n;
      const { gpa: expected, pageBytes } = walk(memory, state, linear);
      const found = walker.find(linear);
      assert.equal(found?.gpa, expected, `0x${linear.toString(16)}`);
      if (found !== undefined) assert.equal(found.pageBytes, pageBytes);
      mapped += found === undefined ? 0 : 1;
    }
    assert.ok(mapped > 0, 'some pages are mapped');
  }
});
