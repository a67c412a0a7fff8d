import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RunPage } from '../../test/support/runPage.ts';
import { KVM_EXIT, KVM_EXIT_IO_OUT, KVM_RUN, KVM_SYSTEM_EVENT_RESET } from '../abi/kvm.ts';
import { Bus } from '../bus/bus.ts';
import { STOP, type StopCause } from '../protocol/stopCause.ts';
import { Exits } from './exits.ts';
import type { ExitObserver } from './observer.ts';

const PORT = 0x80;
const DATA = 0x1000;
const HIT: StopCause = { kind: STOP.breakpoint };

interface Rig {
  readonly page: RunPage;
  readonly exits: Exits;
  /** What happened, in order. */
  readonly seen: string[];
}

/** A device on one port, which ends the VM when 0xff is written to it. */
function rig(options: { readonly observed?: boolean } = {}): Rig {
  const page = new RunPage();
  const seen: string[] = [];
  const ports = new Bus('port');
  ports.register(PORT, 1, {
    name: 'device',
    read: () => 0xab,
    write: (_offset, _size, value) => {
      seen.push(`write ${value}`);
      if (value === 0xff) exits.raisePower({ kind: STOP.powerOff });
    },
  });
  const observer: ExitObserver = { onRun: () => undefined, onExit: (reason) => seen.push(`exit ${reason}`) };
  const exits = new Exits({
    run: page.run,
    ports,
    mmio: new Bus('mmio'),
    breakpoints: { debug: () => HIT, internalError: () => undefined },
    lastExit: undefined,
    observer: options.observed === true ? observer : undefined,
  });
  return { page, exits, seen };
}

/** The guest writes `bytes` to the port, one by one, in one exit (outsb). */
function out({ page }: Rig, ...bytes: readonly number[]): void {
  page.exit(KVM_EXIT.IO);
  page.write(KVM_RUN.io_direction, [KVM_EXIT_IO_OUT, 1, PORT, 0, bytes.length, 0, 0, 0]);
  page.write(KVM_RUN.io_data_offset, [DATA & 0xff, DATA >> 8, 0, 0]);
  page.write(DATA, bytes);
}

test('a port access is answered here, and the guest continues', () => {
  const it = rig();
  out(it, 1, 2, 3);
  assert.equal(it.exits.answer(), undefined);
  assert.deepEqual(it.seen, ['write 1', 'write 2', 'write 3']);
});

test('what a device raises stops the vCPU after the access, once', () => {
  const it = rig();
  out(it, 0xff);
  assert.deepEqual(it.exits.answer(), { kind: STOP.powerOff });
  out(it, 1);
  assert.equal(it.exits.answer(), undefined);
});

test('an observer sees an exit before it is answered', () => {
  const it = rig({ observed: true });
  out(it, 7);
  it.exits.answer();
  assert.deepEqual(it.seen, [`exit ${KVM_EXIT.IO}`, 'write 7']);
});

test('debug exits are left to the breakpoints', () => {
  const { page, exits } = rig();
  page.exit(KVM_EXIT.DEBUG);
  assert.equal(exits.answer(), HIT);
  page.exit(KVM_EXIT.INTERNAL_ERROR);
  assert.equal(exits.answer(), undefined);
});

test('a system event is a power event from KVM', () => {
  const { page, exits } = rig();
  page.exit(KVM_EXIT.SYSTEM_EVENT);
  page.write(KVM_RUN.system_event_type, [KVM_SYSTEM_EVENT_RESET]);
  assert.deepEqual(exits.answer(), { kind: STOP.reset, by: 'KVM' });
});

test('an exit without a row ends the VM, named if it has a name', () => {
  const { page, exits } = rig();
  const failure = (reason: number): unknown => {
    page.exit(reason);
    return exits.answer();
  };
  assert.deepEqual(failure(KVM_EXIT.HYPERV), {
    kind: STOP.failure,
    message: 'KVM stopped the vCPU with exit reason 27 (KVM_EXIT_HYPERV), which this VMM does not handle',
  });
  assert.deepEqual(failure(0xffff_ffff), {
    kind: STOP.failure,
    message: 'KVM stopped the vCPU with exit reason 4294967295, which this VMM does not handle',
  });
});
