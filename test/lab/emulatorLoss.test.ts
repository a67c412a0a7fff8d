import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { guestState } from './inside/lostGuest.ts';
import { tripleFaultIn } from './lab.ts';
import { emulatorLoss, functionRange, type VcpuState } from './inside/emulatorLoss.ts';

const MIB = 1n << 20n;
const MACHINE = {
  memoryEnd: 256n * MIB,
  vmrun: { start: 0xffff_ffff_c04e_0000n, end: 0xffff_ffff_c04e_0120n },
};

/** A Linux guest in its idle loop, and what a test changes. */
function linux(changed: Readonly<Record<string, string>> = {}, cpu = 0): VcpuState {
  const values = {
    rip: '0xffffffff81a0c3ab',
    rsp: '0xffffffff82a03e50',
    cr0: '0x80050033',
    cr3: '0x2a10000',
  };
  return { cpu, values: { ...values, ...changed } };
}

describe('a guest whose test timed out', () => {
  it('is not lost while all its vCPUs are in its own page tables and code', () => {
    assert.equal(emulatorLoss([linux(), linux({ cr3: '0xffff000' }, 1)], MACHINE), undefined);
  });

  it("is lost when a vCPU is at L1's VMRUN, and the registers are named", () => {
    const loss = emulatorLoss([linux(), linux({ rip: '0xffffffffc04e008b' }, 1)], MACHINE);
    assert.match(
      loss ?? '',
      /^lost by the emulator: vCPU 1: RIP is in L1's own code.*rip 0xffffffffc04e008b/,
    );
  });

  it('is lost when CR3 is above its memory while paging is on', () => {
    const loss = emulatorLoss([linux({ cr3: '0x10000000' })], MACHINE);
    assert.match(loss ?? '', /vCPU 0: CR3 is above the guest's memory, which ends at 0x10000000/);
  });

  it('is not lost by a PCID or reserved bits in CR3', () => {
    assert.equal(emulatorLoss([linux({ cr3: '0x8000000002a10fff' })], MACHINE), undefined);
  });

  it('is not lost by what is in CR3 while paging is off: the guest may keep anything there', () => {
    assert.equal(emulatorLoss([linux({ cr0: '0x60000010', cr3: '0x10000000' })], MACHINE), undefined);
  });

  it("is judged by CR3 alone when L1's symbols are hidden", () => {
    const machine = { ...MACHINE, vmrun: undefined };
    assert.equal(emulatorLoss([linux({ rip: '0xffffffffc04e008b' })], machine), undefined);
    assert.notEqual(emulatorLoss([linux({ cr3: '0x1035c4000' })], machine), undefined);
  });
});

describe("a function's address range in /proc/kallsyms", () => {
  const text = [
    'ffffffffc04e0000 t __svm_vcpu_run\t[kvm_amd]',
    'ffffffffc04e0200 t svm_other\t[kvm_amd]',
    'ffffffffc04e0120 t __svm_sev_es_vcpu_run\t[kvm_amd]',
    'ffffffff81000000 T _text',
    '',
  ].join('\n');

  it('ends where the nearest symbol after it begins', () => {
    assert.deepEqual(functionRange(text, '__svm_vcpu_run'), MACHINE.vmrun);
  });

  it('is unknown when the symbol is not there or its address hidden', () => {
    assert.equal(functionRange(text, 'vmx_vcpu_run'), undefined);
    assert.equal(
      functionRange('0000000000000000 t __svm_vcpu_run\t[kvm_amd]\n', '__svm_vcpu_run'),
      undefined,
    );
  });
});

describe('what cannot be seen is not a loss', () => {
  it('of a guest whose VMM does not answer: the report says so', async () => {
    const noVmm = -1;
    const { loss, text } = await guestState(noVmm);
    assert.equal(loss, undefined);
    assert.match(text, /^the VMM cannot be asked: no control socket of process -1 answers$/);
  });

  it("of an L1 whose emulator's log has only the resets of its boot", () => {
    assert.equal(tripleFaultIn('CPU Reset (CPU 0)\nEAX=00000000 EBX=00000000\n'), undefined);
  });
});

it('an L1 that triple faulted is lost, with the registers it had then', () => {
  const log = 'CPU Reset (CPU 0)\nEAX=00000000\nTriple fault\nCPU Reset (CPU 1)\nRAX=ffffffff81a0c3ab\n';
  assert.match(
    tripleFaultIn(log) ?? '',
    /^lost by the emulator: L1 triple faulted:\nTriple fault\n.*\nRAX=ffffffff81a0c3ab/,
  );
});
