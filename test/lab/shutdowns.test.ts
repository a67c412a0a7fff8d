import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { memberOffset } from './inside/btf.ts';
import { emulatorLoss } from './inside/emulatorLoss.ts';
import { isTextGone, shutdownsIn, shutdownText } from './inside/shutdowns.ts';

/** As the tracer writes it. */
function line(cr3: string): string {
  const fields = `rip=0xffffffff810de783 rsp=0xffffc90000003e10 cr0=0x80050033 cr3=${cr3} exit_int_info=0x1080000b0e`;
  return `   node-231     [001] d..1.    41.350218: guest_shutdown: (shutdown_interception+0x0/0x60 [kvm_amd]) ${fields}\n`;
}

describe("shutdowns of guests in the trace of L1's KVM", () => {
  it('are what the vCPU had, and nothing else that is traced', () => {
    const [seen, ...others] = shutdownsIn(
      `# tracer: nop\n#\n${line('0x4a02000')}  x [0] 1.0: kvm_exit: rip=0x1\n`,
    );
    assert.equal(seen?.values['rip'], '0xffffffff810de783');
    assert.match(shutdownText(seen), /^rip 0xffffffff810de783, .*cr3 0x4a02000.*exit_int_info 0x1080000b0e$/);
    assert.deepEqual(others, []);
  });

  it("are the emulator's loss where page tables are not the guest's", () => {
    const loss = (cr3: string) =>
      emulatorLoss(shutdownsIn(line(cr3)), { memoryEnd: 256n << 20n, vmrun: undefined });
    assert.equal(loss('0x4a02000'), undefined);
    assert.match(loss('0x7fa02000') ?? '', /^lost by the emulator: .*CR3 is above the guest's memory/);
  });
});

describe("a guest's kernel that is not there", () => {
  const isGone = (text: string): boolean => shutdownsIn(text).some(isTextGone);

  it('is a fetch of its text that page-faults', () => {
    assert.ok(isGone(line('0x2a10000')));
    assert.ok(isGone(line('0x2a10000').replace('0x1080000b0e', '0x1880000b0e')));
  });

  it('is no other fault, and none elsewhere', () => {
    assert.ok(!isGone(line('0x2a10000').replace('0x1080000b0e', '0x280000b0e'))); // a write
    assert.ok(!isGone(line('0x2a10000').replace('0x1080000b0e', '0x80000b0d')));
    assert.ok(!isGone(line('0x2a10000').replace('0xffffffff810de783', '0x100012')));
  });
});

/** A header, types and strings. */
function btf(types: readonly number[], strings: string): DataView {
  const bytes = new Uint8Array(24 + types.length * 4 + strings.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 0xeb9f, true);
  for (const [i, it] of [24, 0, types.length * 4, types.length * 4, strings.length].entries())
    view.setUint32(4 + i * 4, it, true);
  for (const [i, it] of types.entries()) view.setUint32(24 + i * 4, it, true);
  bytes.set(Buffer.from(strings, 'latin1'), 24 + types.length * 4);
  return view;
}

describe('the place of a member', () => {
  const kernel = btf([], '\0vmcb\0');
  const own = '\0vcpu_svm\0vcpu\0';
  const [vcpuSvm, vcpu, vmcb] = [7, 16, 1]; // the kernel's names are the first 6
  const integer = [vcpu, 1 << 24, 4, 32];
  const structure = [vcpuSvm, (4 << 24) | 2, 0x1960, vcpu, 1, 0, vmcb, 2, 0x1950 * 8];
  const types = btf([...integer, ...structure], own);

  it('is found by the names of the module and of the kernel', () => {
    assert.equal(memberOffset(types, kernel, 'vcpu_svm', 'vmcb'), 0x1950);
    assert.equal(memberOffset(types, kernel, 'vcpu_svm', 'vcpu'), 0);
  });

  it('is not where there is none', () => {
    assert.equal(memberOffset(types, kernel, 'vcpu_svm', 'gone'), undefined);
    assert.equal(memberOffset(types, kernel, 'vcpu_vmx', 'vmcb'), undefined);
    assert.throws(() => memberOffset(new DataView(new ArrayBuffer(64)), kernel, 'a', 'b'), RangeError);
  });
});
