import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KvmMsrEntry, KvmMsrs } from '../abi/kvm.ts';
import { MSR } from '../abi/msr.ts';
import {
  decodeMsrs,
  encodeMsrs,
  type MsrIoctl,
  type MsrValue,
  msrName,
  readMsrs,
  stateMsrs,
  unreadMsrs,
  writeMsrs,
} from './msrs.ts';

/**
 * A vCPU that has the registers in `values` and, like KVM's, stops at the first entry that it does not have.
 */
function fakeKvm(values: Map<number, bigint>): { get: MsrIoctl; set: MsrIoctl; calls: number[] } {
  const calls: number[] = [];
  const each = (msrs: Uint8Array, act: (msr: MsrValue, at: number, view: DataView) => void): number => {
    const view = new DataView(msrs.buffer);
    const { nmsrs } = KvmMsrs.read(view);
    calls.push(nmsrs);
    for (let i = 0; i < nmsrs; i++) {
      const at = KvmMsrs.size + i * KvmMsrEntry.size;
      const msr = KvmMsrEntry.read(view, at);
      if (!values.has(msr.index)) return i;
      act(msr, at, view);
    }
    return nmsrs;
  };
  return {
    calls,
    get: (msrs) =>
      each(msrs, ({ index }, at, view) => KvmMsrEntry.write(view, { data: values.get(index) ?? 0n }, at)),
    set: (msrs) => each(msrs, ({ index, data }) => values.set(index, data)),
  };
}

test('reads go on after each register that the vCPU does not have', () => {
  const kvm = fakeKvm(new Map([[1, 10n], [3, 30n], [4, 40n]])); // prettier-ignore
  assert.deepEqual(decodeMsrs(readMsrs(unreadMsrs([1, 2, 3, 4, 5]), kvm.get)), [
    { index: 1, data: 10n },
    { index: 3, data: 30n },
    { index: 4, data: 40n },
  ]);
});

test('writes continue after each register that is refused, and tell which those are', () => {
  const values = new Map([[1, 0n], [3, 0n]]); // prettier-ignore
  const msrs = [9, 1, 8, 3].map((index) => ({ index, data: BigInt(index) }));
  assert.deepEqual(writeMsrs(encodeMsrs(msrs), fakeKvm(values).set), [
    { index: 9, data: 9n },
    { index: 8, data: 8n },
  ]);
  assert.deepEqual([...values], [[1, 1n], [3, 3n]]); // prettier-ignore
});

test('more than KVM takes at once (MAX_IO_MSRS) is split into several calls', () => {
  const values = new Map(Array.from({ length: 600 }, (_, i): [number, bigint] => [i, BigInt(i * 3)]));
  const kvm = fakeKvm(values);
  const read = decodeMsrs(readMsrs(unreadMsrs([...values.keys()]), kvm.get));
  assert.deepEqual(new Map(read.map(({ index, data }) => [index, data])), values);
  assert.deepEqual(kvm.calls, [255, 255, 90]);
});

test('the deadline is written last, after the TSC it is compared with and all others the host lists', () => {
  const indices = stateMsrs([MSR.IA32_TSC_DEADLINE, MSR.IA32_TSC, MSR.LSTAR]);
  assert.equal(indices.at(-1), MSR.IA32_TSC_DEADLINE);
  assert.ok(indices.includes(MSR.IA32_TSC) && indices.includes(MSR.LSTAR));
  assert.ok(!stateMsrs([MSR.IA32_TSC]).includes(MSR.IA32_TSC_DEADLINE), 'not where the host has none');
});

test('what KVM has but does not list is there, once', () => {
  const indices = stateMsrs([MSR.MTRRdefType, MSR.IA32_CR_PAT]);
  assert.equal(indices.length, new Set(indices).size);
  const names = indices.map(msrName);
  for (const name of ['MSR_MTRRfix4K_F8000', 'MTRRphysBase0', 'MTRRphysMask7', 'MSR_IA32_MC31_MISC']) {
    assert.ok(names.includes(name), name);
  }
});

test("Hyper-V's registers are left out", () => {
  const HV_X64_MSR_GUEST_OS_ID = 0x40000000;
  const HV_X64_MSR_TSC_INVARIANT_CONTROL = 0x40000118;
  const indices = stateMsrs([HV_X64_MSR_GUEST_OS_ID, HV_X64_MSR_TSC_INVARIANT_CONTROL]);
  assert.deepEqual(
    indices.filter((it) => it >= HV_X64_MSR_GUEST_OS_ID),
    [],
  );
});

test('a register missing from our table is named by its number', () => {
  assert.equal(msrName(MSR.KERNEL_GS_BASE), 'MSR_KERNEL_GS_BASE');
  assert.equal(msrName(0xc001_0200), 'MSR_<0xc0010200>');
});
