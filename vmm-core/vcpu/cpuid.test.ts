import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CpuidEntry } from '../kvm/kvm.ts';
import { guestCpuid } from './cpuid.ts';

function entry(leaf: number, values: Partial<CpuidEntry> = {}): CpuidEntry {
  return { function: leaf, index: 0, flags: 0, eax: 0, ebx: 0, ecx: 0, edx: 0, ...values };
}

/** What a host with 96 threads might report. */
const HOST: readonly CpuidEntry[] = [
  entry(0, { eax: 0x1f }),
  entry(1, { eax: 0xa0f11, ebx: 0x5a600800, ecx: 0xffff_ffff & ~(1 << 31), edx: 0x178b_fbff }),
  entry(4, { index: 0, flags: 1, eax: 0xfc03_c121 }), // L1d
  entry(4, { index: 3, flags: 1, eax: 0xfc17_c163 }), // L3
  entry(4, { index: 4, flags: 1, eax: 0 }),
  entry(6, { eax: 0x77, ebx: 2, ecx: 9 }),
  entry(0xa, { eax: 0x0830_0805, edx: 0x603 }),
  entry(0xb, { index: 0, flags: 1, eax: 1, ebx: 2, ecx: 0x100, edx: 77 }),
  entry(0xb, { index: 1, flags: 1, eax: 7, ebx: 96, ecx: 0x201, edx: 77 }),
  entry(0x8000_0001, { ecx: 0x75c2_37ff }),
  entry(0x8000_0008, { eax: 0x3030, ecx: 0x7060 }),
  entry(0x8000_001e, { eax: 77, ebx: 0x0126, ecx: 0x300 }),
  entry(0x8000_0026, { index: 0, flags: 1, eax: 1, ebx: 2, ecx: 0x100, edx: 77 }),
];

function find(entries: readonly CpuidEntry[], leaf: number, index = 0): CpuidEntry {
  return entries.find((it) => it.function === leaf && it.index === index) ?? assert.fail(`no leaf ${leaf}`);
}

test('each vCPU has its own APIC id, in every leaf that has one', () => {
  for (let index = 0; index < 5; index++) {
    const cpuid = guestCpuid(HOST, index, 5);
    assert.equal(find(cpuid, 1).ebx >>> 24, index);
    assert.equal(find(cpuid, 0xb, 0).edx, index);
    assert.equal(find(cpuid, 0xb, 1).edx, index);
    assert.equal(find(cpuid, 0x8000_001e).eax, index);
    assert.equal(find(cpuid, 0x8000_001e).ebx & 0xff, index);
  }
});

test('the number of CPUs is the VM’s: as a power of two in leaf 1, as it is in leaf 0xb', () => {
  for (const [cpus, reserved, shift] of [
    [1, 1, 0],
    [2, 2, 1],
    [3, 4, 2],
    [4, 4, 2],
    [5, 8, 3],
    [64, 64, 6],
  ] as const) {
    const cpuid = guestCpuid(HOST, 0, cpus);
    assert.equal((find(cpuid, 1).ebx >>> 16) & 0xff, reserved, `leaf 1 for ${cpus}`);
    assert.equal(find(cpuid, 0xb, 0).ebx, 1, 'one thread per core');
    assert.equal(find(cpuid, 0xb, 1).ebx, cpus);
    assert.equal(find(cpuid, 0xb, 1).eax, shift);
    assert.equal(find(cpuid, 0x8000_0008).ecx & 0xff, cpus - 1);
    assert.equal(find(cpuid, 0x8000_0008).ecx >>> 12, shift);
  }
});

test('HTT is set for several CPUs only, and a hypervisor is always announced', () => {
  const one = find(guestCpuid(HOST, 0, 1), 1);
  const two = find(guestCpuid(HOST, 0, 2), 1);
  assert.equal(one.edx & (1 << 28), 0);
  assert.notEqual(two.edx & (1 << 28), 0);
  assert.equal(one.ecx >>> 31, 1);
  assert.equal(one.ecx & (1 << 15), 0, 'no PDCM: there is no PMU');
  assert.notEqual(one.ecx & (1 << 24), 0, 'TSC deadline timer');
  assert.equal(one.ebx & 0xffff, 0x0800, 'brand and CLFLUSH stay');
});

test('caches near the core belong to one CPU, the last level to all', () => {
  const cpuid = guestCpuid(HOST, 0, 4);
  const sharedBy = (index: number): number => ((find(cpuid, 4, index).eax >>> 14) & 0xfff) + 1;
  assert.equal(sharedBy(0), 1);
  assert.equal(sharedBy(3), 4);
  assert.equal((find(cpuid, 4, 0).eax >>> 26) + 1, 4, 'cores per package');
  assert.equal(find(cpuid, 4, 4).eax, 0, 'no more caches');
});

test('AMD: CmpLegacy is for several cores only, and the host’s extended topology is not passed on', () => {
  const cmpLegacy = (cpus: number): number => find(guestCpuid(HOST, 0, cpus), 0x8000_0001).ecx & 2;
  assert.equal(cmpLegacy(1), 0);
  assert.equal(cmpLegacy(2), 2);
  assert.equal(
    guestCpuid(HOST, 0, 2).some((it) => it.function === 0x8000_0026),
    false,
  );
});

test('there is no PMU, and of power management ARAT only', () => {
  const cpuid = guestCpuid(HOST, 0, 1);
  assert.deepEqual(find(cpuid, 0xa), entry(0xa));
  assert.deepEqual(find(cpuid, 6), entry(6, { eax: 4 }));
});

test('topology leaves that the host does not have are not made up, the host’s are not changed', () => {
  const copy = structuredClone(HOST) as CpuidEntry[];
  const cpuid = guestCpuid(HOST, 3, 4);
  assert.deepEqual(HOST, copy);
  assert.equal(
    cpuid.some((it) => it.function === 0x1f),
    false,
  );
  assert.equal(cpuid.filter((it) => it.function === 0xb).length, 3);
  assert.deepEqual(find(cpuid, 0xb, 2), entry(0xb, { index: 2, flags: 1, ecx: 2, edx: 3 }));
  for (const it of cpuid) {
    for (const value of [it.eax, it.ebx, it.ecx, it.edx])
      assert.ok(value >= 0 && value < 2 ** 32, 'unsigned');
  }
});
