/**
 * A vCPU's state in L1, where KVM drives hardware: the tests of this machine's KVM, and what only that one
 * has.
 */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Kvm } from '../../vmm-core/kvm/kvm.ts';
import { vcpuStateFormat } from '../../vmm-core/kvm/vcpuState.ts';
import '../kvm/vcpuState.test.ts';

it('nested state is part of it', () => {
  const kvm = Kvm.open();
  const nested = vcpuStateFormat(kvm).find(({ part }) => part.name === 'NESTED_STATE');
  kvm.close();
  assert.ok((nested?.blank.length ?? 0) > 128, 'a header, and room for a VMCB');
});
