import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeThread } from '../../test/support/fakeThread.ts';
import { PageTables } from '../../test/support/pageTables.ts';
import { longMode } from '../../test/support/registerStates.ts';
import { allocateGuestMemory, gpa, type GuestMemory } from '../memory/guestMemory.ts';
import { MIB } from '../memory/layout.ts';
import { BREAKPOINT_MODES, type BreakpointMode } from '../protocol/run.ts';
import { ARMED_SW, ArmedBreakpoints, MAX_ARMED } from '../vcpu/armedBreakpoints.ts';
import type { VcpuThread } from '../vcpu/vcpuThread.ts';
import { type Breakpoint, type BreakpointFacilities, Breakpoints, type Status } from './breakpoints.ts';
import { readMemory, writeMemory } from './memoryAccess.ts';

const INT3 = 0xcc;
const KERNEL = 0xffff_ffff_8000_0000n; // mapped to CODE while paging is on
const CODE = 0x10_0000;
const REGISTERS_USED = 'all 4 debug registers are used';
const A = {};
const B = {};

interface Rig {
  readonly breakpoints: Breakpoints;
  readonly table: ArmedBreakpoints;
  readonly memory: GuestMemory;
  readonly threads: readonly FakeThread[];
  /** What the host can do. */
  facilities: BreakpointFacilities;
}

/** RAM of 2 MiB whose code page counts up from 0; `paging`: KERNEL is mapped to it. */
function rig(options: { readonly paging?: boolean; readonly cpus?: number } = {}): Rig {
  const memory = allocateGuestMemory([{ base: 0, sizeBytes: 2 * MIB }]);
  const threads = Array.from({ length: options.cpus ?? 1 }, (_, i) => new FakeThread(i));
  memory.slice(gpa(CODE), 256).forEach((_, i, page) => (page[i] = i));
  const tables = new PageTables(memory, 0x1000, 4).map(KERNEL, BigInt(CODE));
  if (options.paging === true) for (const thread of threads) thread.sregs = longMode({ cr3: tables.cr3 });
  const table = new ArmedBreakpoints();
  const self: Rig = {
    memory,
    table,
    threads,
    facilities: { int3: true, hardware: true },
    breakpoints: new Breakpoints(
      memory,
      table,
      threads.map((thread) => thread.asThread()),
      () => self.facilities,
    ),
  };
  return self;
}

function at(address: bigint | number, more: Partial<Breakpoint> = {}): Breakpoint {
  return { owner: A, id: 1, address: BigInt(address), mode: 'auto', temporary: false, ...more };
}

function outcome({ armed, message }: Status): string {
  return armed ?? message ?? '';
}

function arm(r: Rig, mode: BreakpointMode, addresses: readonly (bigint | number)[]): string[] {
  const list = addresses.map((address, id) => at(address, { id, mode }));
  return r.breakpoints.replace(A, list).map(outcome);
}

function idsHitBy(r: Rig, cpu: number, thread: VcpuThread | undefined): (number | undefined)[] {
  return r.breakpoints.hitBy(cpu, thread).map(({ id }) => id);
}

/**
 * The decision table: what each mode becomes, by what the host can do and whether paging maps the address.
 */
const NO_HARDWARE = 'this host has no hardware breakpoints: use mode auto or sw';
const NO_INT3 = 'this host cannot deliver int3 to the debugger: use mode hw';
const UNMAPPED_SW = 'the address is not mapped yet: use mode hw, or stop later';
const UNMAPPED_FULL = `${REGISTERS_USED}, and the page is not mapped yet`;
const DECISIONS: readonly {
  readonly int3: boolean;
  readonly hardware: boolean;
  readonly where: 'paged' | 'identity' | 'unmapped';
  readonly becomes: Readonly<Record<BreakpointMode, string>>;
}[] = [
  { int3: true, hardware: true, where: 'paged', becomes: { auto: 'sw', hw: 'hw', sw: 'sw' } },
  { int3: true, hardware: true, where: 'identity', becomes: { auto: 'hw', hw: 'hw', sw: 'sw' } },
  { int3: true, hardware: true, where: 'unmapped', becomes: { auto: 'hw', hw: 'hw', sw: UNMAPPED_SW } },
  { int3: true, hardware: false, where: 'paged', becomes: { auto: 'sw', hw: NO_HARDWARE, sw: 'sw' } },
  { int3: true, hardware: false, where: 'identity', becomes: { auto: 'sw', hw: NO_HARDWARE, sw: 'sw' } },
  { int3: false, hardware: true, where: 'paged', becomes: { auto: 'hw', hw: 'hw', sw: NO_INT3 } },
  { int3: false, hardware: true, where: 'identity', becomes: { auto: 'hw', hw: 'hw', sw: NO_INT3 } },
  { int3: false, hardware: true, where: 'unmapped', becomes: { auto: 'hw', hw: 'hw', sw: NO_INT3 } },
];

for (const { int3, hardware, where, becomes } of DECISIONS) {
  const host = [int3 ? 'int3' : 'no int3', hardware ? 'debug registers' : 'no debug registers'].join(', ');
  test(`${where} address on a host with ${host}: ${BREAKPOINT_MODES.map((mode) => `${mode} → ${becomes[mode]}`).join('; ')}`, () => {
    for (const mode of BREAKPOINT_MODES) {
      const r = rig({ paging: where !== 'identity' });
      r.facilities = { int3, hardware };
      const address = { paged: KERNEL, identity: CODE, unmapped: 0x7fff_0000n }[where];
      assert.deepEqual(arm(r, mode, [address]), [becomes[mode]], mode);
      assert.equal(r.memory.readU8(gpa(CODE)), becomes[mode] === 'sw' ? INT3 : 0);
    }
  });
}

test('auto falls back to int3 when the debug registers are used up, and says so where it cannot', () => {
  const five = [0, 1, 2, 3, 4].map((i) => CODE + i);
  assert.deepEqual(arm(rig(), 'auto', five), ['hw', 'hw', 'hw', 'hw', 'sw']);
  assert.deepEqual(arm(rig(), 'hw', five), ['hw', 'hw', 'hw', 'hw', REGISTERS_USED]);
  const noInt3 = rig();
  noInt3.facilities = { int3: false, hardware: true };
  assert.deepEqual(arm(noInt3, 'auto', five), ['hw', 'hw', 'hw', 'hw', REGISTERS_USED]);
  const unmapped = [0, 1, 2, 3, 4].map((i) => 0x4000_0000 + i);
  assert.deepEqual(arm(rig({ paging: true }), 'auto', unmapped), ['hw', 'hw', 'hw', 'hw', UNMAPPED_FULL]);
});

test('no more breakpoints are armed than the table holds, the rest say so', () => {
  const r = rig();
  const statuses = arm(
    r,
    'sw',
    Array.from({ length: MAX_ARMED + 2 }, (_, i) => CODE + i),
  );
  assert.equal(statuses.filter((it) => it === 'sw').length, MAX_ARMED);
  assert.equal(statuses.at(-1), `more than ${MAX_ARMED} breakpoints: remove some`);
});

test('a page that is mapped later turns a hardware breakpoint into int3 at the next arming', () => {
  const r = rig({ paging: true });
  const later = 0x5000_0000n;
  assert.deepEqual(arm(r, 'auto', [later]), ['hw']);
  new PageTables(r.memory, 0x1000, 4).map(later, BigInt(CODE));
  r.breakpoints.arm();
  assert.equal(r.table.at(later)?.kind, ARMED_SW);
  assert.equal(r.memory.readU8(gpa(CODE)), INT3);
});

test('the address space of any vCPU that maps the address will do', () => {
  const r = rig({ paging: true, cpus: 2 });
  const [first] = r.threads;
  if (first !== undefined) first.sregs = longMode({ cr3: 0x8000n }); // empty tables
  assert.deepEqual(arm(r, 'sw', [KERNEL + 7n]), ['sw']);
  assert.equal(r.memory.readU8(gpa(CODE + 7)), INT3);
});

test('removing a breakpoint restores the byte, unless the guest has changed it meanwhile', () => {
  const r = rig();
  arm(r, 'sw', [CODE + 1, CODE + 2]);
  r.memory.writeU8(gpa(CODE + 2), 0x90); // kernel text patching
  r.breakpoints.replace(A, []);
  assert.deepEqual([...r.memory.slice(gpa(CODE), 4)], [0, 1, 0x90, 3]);
});

test('two linear addresses of one byte share it, and it is restored after both', () => {
  const r = rig({ paging: true });
  new PageTables(r.memory, 0x1000, 4).map(KERNEL + 0x1000n, BigInt(CODE));
  assert.deepEqual(arm(r, 'sw', [KERNEL + 9n, KERNEL + 0x1009n]), ['sw', 'sw']);
  arm(r, 'sw', [KERNEL + 9n]);
  assert.equal(r.memory.readU8(gpa(CODE + 9)), INT3);
  arm(r, 'sw', []);
  assert.equal(r.memory.readU8(gpa(CODE + 9)), 9);
});

test('clients have their own breakpoints: one of two at an address may go', () => {
  const r = rig();
  r.breakpoints.replace(A, [at(CODE, { id: 1, mode: 'sw' })]);
  r.breakpoints.replace(B, [at(CODE, { owner: B, id: 2, mode: 'sw' }), at(CODE + 4, { owner: B, id: 3 })]);
  r.breakpoints.replace(A, []);
  assert.equal(r.breakpoints.isArmedAt(BigInt(CODE)), true);
  r.breakpoints.replace(B, []);
  assert.equal(r.table.count, 0);
  assert.equal(r.memory.readU8(gpa(CODE)), 0);
});

test('of several at one address the first that can be armed serves all', () => {
  const r = rig();
  arm(r, 'hw', [CODE + 1, CODE + 2, CODE + 3, CODE + 4]);
  const statuses = r.breakpoints.replace(B, [
    at(CODE, { owner: B, id: 1, mode: 'hw' }),
    at(CODE, { owner: B, id: 2, mode: 'sw' }),
  ]);
  assert.deepEqual(statuses.map(outcome), ['sw', 'sw']);
  assert.equal(r.memory.readU8(gpa(CODE)), INT3);
});

test('a hit names all breakpoints at RIP whose conditions hold', () => {
  const r = rig({ cpus: 2 });
  const [first, second] = r.threads;
  assert.ok(first !== undefined && second !== undefined);
  first.rip = second.rip = BigInt(CODE);
  r.breakpoints.replace(A, [
    at(CODE, { id: 1 }),
    at(CODE, { id: 2, cpu: 1 }),
    at(CODE, { id: 3, stackAbove: first.rsp - 1n }),
    at(CODE, { id: 4, stackAbove: first.rsp }),
    at(CODE + 1, { id: 5 }),
  ]);
  assert.deepEqual(idsHitBy(r, 0, first.asThread()), [1, 3]);
  assert.deepEqual(idsHitBy(r, 1, second.asThread()), [1, 2, 3]);
  first.rip = BigInt(CODE + 2);
  assert.deepEqual(idsHitBy(r, 0, first.asThread()), []);
  assert.deepEqual(idsHitBy(r, 2, undefined), []);
});

test('an internal breakpoint stops without an id', () => {
  const r = rig();
  const [thread] = r.threads;
  assert.ok(thread !== undefined);
  thread.rip = BigInt(CODE);
  const internal = r.breakpoints.addInternal(BigInt(CODE), 0, 0n);
  assert.deepEqual(idsHitBy(r, 0, thread.asThread()), [undefined]);
  r.breakpoints.removeInternal(internal);
  assert.deepEqual(idsHitBy(r, 0, thread.asThread()), []);
  assert.equal(r.table.count, 0);
});

test('readers see the guest’s bytes where int3s are planted', async () => {
  const r = rig();
  arm(r, 'sw', [CODE, CODE + 3]);
  const range = { address: BigInt(CODE - 1), lengthBytes: 6, paging: undefined };
  assert.deepEqual([...(await readMemory(r.memory, r.breakpoints, range))], [0, 0, 1, 2, 3, 4]);
  assert.deepEqual([...r.memory.slice(gpa(CODE), 4)], [INT3, 1, 2, INT3]);
  const bytes = Uint8Array.of(0x90);
  r.breakpoints.hide(CODE, bytes);
  assert.deepEqual([...bytes], [0x90], 'a byte that is no longer an int3 is left alone');
});

test('a read through looping page tables lets the event loop turn, however many int3s are planted', async () => {
  const r = rig();
  const table = 0x1000;
  // every level, every page
  for (let i = 0; i < 512; i++) r.memory.writeU64(gpa(table + 8 * i), BigInt(table) | 7n);
  arm(
    r,
    'sw',
    Array.from({ length: MAX_ARMED }, (_, i) => CODE + i),
  );
  const range = { address: 0n, lengthBytes: 64 * MIB, paging: longMode({ cr3: BigInt(table) }) };
  let turns = 0;
  let reading = true;
  const count = (): void => {
    turns += 1;
    if (reading) setImmediate(count);
  };
  setImmediate(count);
  const bytes = await readMemory(r.memory, r.breakpoints, range);
  reading = false;
  assert.equal(bytes.length, range.lengthBytes);
  assert.deepEqual(bytes.subarray(-8), r.memory.slice(gpa(table + 0xff8), 8).slice());
  assert.ok(turns >= 1, `${turns} turns of the event loop`);
});

test('a write lands under the planted int3s, which stay armed over the new bytes', () => {
  const r = rig();
  arm(r, 'sw', [CODE + 1]);
  const range = { address: BigInt(CODE), paging: undefined };
  writeMemory(r.memory, r.breakpoints, range, Uint8Array.of(0xaa, 0xbb, 0xcc));
  assert.deepEqual([...r.memory.slice(gpa(CODE), 4)], [0xaa, INT3, 0xcc, 3]);
  r.breakpoints.replace(A, []);
  assert.deepEqual([...r.memory.slice(gpa(CODE), 4)], [0xaa, 0xbb, 0xcc, 3]);
});

test('after RAM was replaced none of the old bytes come back', () => {
  const r = rig();
  arm(r, 'sw', [CODE + 1]);
  r.memory.slice(gpa(CODE), 256).fill(0xee);
  r.breakpoints.forgetPlanted();
  assert.equal(r.memory.readU8(gpa(CODE + 1)), INT3);
  r.breakpoints.replace(A, []);
  assert.equal(r.memory.readU8(gpa(CODE + 1)), 0xee);
});
