import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { shutdownLoss, shutdownsIn } from './inside/shutdowns.ts';

const VMRUN = { start: 0xffff_ffff_c04e_0000n, end: 0xffff_ffff_c04e_0120n };

/** A line of the tracer, of a vCPU that was at `rip`. */
function line(rip: string, reason = 'shutdown'): string {
  const exit = `vcpu 0 reason ${reason} rip ${rip} info1 0x0000000000000000 info2 0x0000000000000000`;
  return `           <...>-231     [001] d..1.    41.350218: kvm_exit: ${exit} intr_info 0x00000000\n`;
}

const TRACE = `# tracer: nop\n#\n${line('0xffffffff81a00b40')}${line('0xffffffff81a0c3ab', 'npf')}`;

describe("shutdowns of guests in the trace of L1's KVM", () => {
  it('are where the vCPU was, and nothing else that is traced', () => {
    const [seen, ...others] = shutdownsIn(TRACE);
    assert.equal(seen?.rip, 0xffff_ffff_81a0_0b40n);
    assert.match(seen.text, /^vcpu 0 reason shutdown rip 0xffffffff81a00b40 info1.*intr_info 0x00000000$/);
    assert.deepEqual(others, []);
  });

  it("are the emulator's loss at L1's VMRUN only, which the report names", () => {
    assert.equal(shutdownLoss(shutdownsIn(TRACE), VMRUN), undefined);
    const lost = shutdownsIn(`${TRACE}${line('0xffffffffc04e008b')}`);
    assert.match(shutdownLoss(lost, VMRUN) ?? '', /^lost by the emulator: .*rip 0xffffffffc04e008b/);
    assert.equal(shutdownLoss(lost, { start: 0n, end: 0n }), undefined);
  });
});
