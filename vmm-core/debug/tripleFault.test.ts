import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generalRegisters, protectedMode, realMode } from '../../test/support/registerStates.ts';
import { RunPage } from '../../test/support/runPage.ts';
import { KVM_EXIT } from '../abi/kvm.ts';
import type { GeneralRegisters, SystemRegisters } from '../abi/x86.ts';
import { LastExit } from '../vcpu/lastExit.ts';
import { hexValues } from '../protocol/hex.ts';
import { isReset, lostRegistersReport, tripleFaultMessage } from './tripleFault.ts';

const RESET = realMode();

function runWith(regs: GeneralRegisters, sregs: SystemRegisters): RunPage {
  const page = new RunPage();
  page.setGeneral(regs);
  page.setSystem(sregs);
  return page;
}

/** What AMD-V leaves behind: INIT. */
function resetRun(): RunPage {
  const cs = { ...RESET.cs, selector: 0xf000, base: 0xffff_0000n };
  return runWith(generalRegisters({ rip: 0xfff0n }), { ...RESET, cs });
}

test('where KVM leaves the registers alone, they tell where the fault was', () => {
  const { run } = runWith(generalRegisters({ rip: 0x10_001fn }), protectedMode());
  assert.equal(isReset(run), false);
  assert.equal(
    tripleFaultMessage(0, run),
    'the guest triple faulted on vCPU 0 at 0x10001f: an exception could not be delivered, look at its IDT and stack',
  );
});

test('where KVM has reset the CPU, the report says so and tells what is known from before', () => {
  const { run } = resetRun();
  assert.equal(isReset(run), true);
  assert.equal(
    tripleFaultMessage(1, run, hexValues({ ...generalRegisters({ rip: 0x1234n }) })),
    "the guest triple faulted on vCPU 1 after its last exit at RIP 0x1234: an exception could not be delivered, look at its IDT and stack (where it was is lost: this host's KVM resets the CPU at a triple fault)",
  );
  assert.doesNotMatch(tripleFaultMessage(1, run), /0xfff0|last exit/);
  const report = lostRegistersReport(1, hexValues({ ...generalRegisters({ rax: 0xabcn, rip: 0x1234n }) }));
  assert.match(
    report,
    /^vCPU 1 was reset by KVM at the triple fault: .* are lost; the general registers at its last exit before:\n/,
  );
  assert.match(report, /rax=0000000000000abc/);
  assert.match(report, /rip=0000000000001234/);
  assert.doesNotMatch(lostRegistersReport(1), /last exit/);
});

test('the registers of the last exit are kept, those of the shutdown are not', () => {
  const page = resetRun();
  const kept = new LastExit(page.run);
  page.setGeneral(generalRegisters({ rip: 0x100n }));
  kept.onRun();
  assert.equal(kept.read().rip, 0x100n, 'where it was before it ran');
  page.setGeneral(generalRegisters({ rip: 0x200n }));
  kept.onExit(KVM_EXIT.IO);
  page.setGeneral(generalRegisters({ rip: 0xfff0n }));
  kept.onExit(KVM_EXIT.SHUTDOWN);
  assert.equal(kept.read().rip, 0x200n);
});
