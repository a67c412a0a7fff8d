import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KVM_CAP, KvmNestedState } from '../abi/kvm.ts';
import { MSR } from '../abi/msr.ts';
import { type HostKvm, vcpuStateFormat } from './vcpuState.ts';

const NEWEST = {
  [KVM_CAP.SREGS2]: 1,
  [KVM_CAP.XSAVE2]: 4096,
  [KVM_CAP.XCRS]: 1,
  [KVM_CAP.NESTED_STATE]: 8320,
  [KVM_CAP.ONE_REG]: 1,
};

function host(capabilities: Readonly<Record<number, number>>): HostKvm {
  return {
    checkExtension: (capability) => capabilities[capability] ?? 0,
    msrIndices: () => [MSR.IA32_TSC_DEADLINE, MSR.LSTAR],
  };
}

const namesOf = (kvm: HostKvm): string[] => vcpuStateFormat(kvm).map(({ part }) => part.name);

test('a host that has everything', () => {
  assert.deepEqual(namesOf(host(NEWEST)), [
    'TSC_KHZ',
    'SREGS2',
    'NESTED_STATE',
    'REGS',
    'XSAVE2',
    'XCRS',
    'DEBUGREGS',
    'LAPIC',
    'MSRS',
    'ONE_REG',
    'VCPU_EVENTS',
    'MP_STATE',
  ]);
});

test('a host that has what every KVM has', () => {
  assert.deepEqual(namesOf(host({})), [
    'TSC_KHZ',
    'SREGS',
    'REGS',
    'XSAVE',
    'DEBUGREGS',
    'LAPIC',
    'MSRS',
    'VCPU_EVENTS',
    'MP_STATE',
  ]);
});

test('a part is as large as its capability says: XSAVE with tile registers', () => {
  const parts = vcpuStateFormat(host({ ...NEWEST, [KVM_CAP.XSAVE2]: 11008 }));
  assert.equal(parts.find(({ part }) => part.name === 'XSAVE2')?.blank.length, 11008);
});

test('KVM is told how large the buffer for nested state is', () => {
  const parts = vcpuStateFormat(host(NEWEST));
  const blank = parts.find(({ part }) => part.name === 'NESTED_STATE')?.blank ?? new Uint8Array();
  assert.equal(KvmNestedState.read(new DataView(blank.buffer)).size, 8320);
  assert.equal(blank.length, 8320);
});
