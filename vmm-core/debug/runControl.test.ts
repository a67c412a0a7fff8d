import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Arrivals } from '../../test/support/deadline.ts';
import { type FakeThread, fakeVcpus } from '../../test/support/fakeThread.ts';
import { allocateGuestMemory } from '../memory/guestMemory.ts';
import { MIB } from '../memory/layout.ts';
import { hex } from '../protocol/hex.ts';
import { STOP, type StopCause } from '../protocol/stopCause.ts';
import { ArmedBreakpoints } from '../vcpu/armedBreakpoints.ts';
import { STEP_OVER, STEP_SILENT, type StepRequest } from '../vcpu/mailbox.ts';
import { type Breakpoint, Breakpoints } from './breakpoints.ts';
import { RunControl, type VcpuStep, type Verdict } from './runControl.ts';

const CODE = 0x1000n;
const CLIENT = {};
const STEP: StopCause = { kind: 'step' };

/** A verdict in one word, for a breakpoint with the ids of its hits; internal ones have none. */
type SeenVerdict = Verdict['cause'] & { readonly cpu: number; readonly ids?: readonly number[] };

interface Rig {
  readonly threads: readonly [FakeThread, FakeThread, ...FakeThread[]];
  readonly control: RunControl;
  readonly breakpoints: Breakpoints;
  readonly verdicts: Arrivals<SeenVerdict>;
  readonly set: (...list: readonly Partial<Breakpoint>[]) => void;
}

/** Run control over two fake vCPUs, or as many as given. */
function rig(cpus = 2, quiesce?: () => Promise<unknown>): Rig {
  const { threads, vcpus } = fakeVcpus(cpus);
  const memory = allocateGuestMemory([{ base: 0, sizeBytes: MIB }]);
  const facilities = { int3: true, hardware: true };
  const breakpoints = new Breakpoints(memory, new ArmedBreakpoints(), vcpus.threads, () => facilities);
  const verdicts = new Arrivals<SeenVerdict>('a verdict');
  const tell = (verdict: Verdict): void => verdicts.put(withIds(verdict));
  const control = new RunControl(vcpus, breakpoints, tell, quiesce);
  const set = (...list: readonly Partial<Breakpoint>[]): void => {
    const whole = list.map((it, i) => ({
      owner: CLIENT,
      id: i,
      address: CODE,
      mode: 'auto' as const,
      temporary: false,
      ...it,
    }));
    breakpoints.replace(CLIENT, whole);
  };
  return { threads: threads as Rig['threads'], control, breakpoints, verdicts, set };
}

function withIds({ cause, cpu, hits }: Verdict): SeenVerdict {
  if (cause.kind !== STOP.breakpoint) return { ...cause, cpu };
  return { ...cause, cpu, ids: hits.flatMap(({ id }) => id ?? []) };
}

function plan(change: Partial<VcpuStep> = {}): VcpuStep {
  return { cpu: 0, start: 0n, end: 0n, over: false, interrupts: false, ...change };
}

/** Resolves when everything that needs no thread to act has happened. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('what stops one vCPU stops all, and the verdict says who and why', async () => {
  const { threads, control, verdicts, set } = rig(3);
  set({ id: 7 });
  control.resume();
  await settled();
  assert.equal(control.running, true);
  threads[1].hit(CODE);
  assert.deepEqual(await verdicts.take(), { kind: 'breakpoint', cpu: 1, ids: [7] });
  assert.equal(control.running, false);
  assert.deepEqual(
    threads.map(({ told }) => told),
    [['run', 'pause'], ['run'], ['run', 'pause']],
  );
});

test('vCPUs that hit at the same time are all reported, a breakpoint that both hit once', async () => {
  const { threads, control, verdicts, set } = rig(3);
  set({ id: 1 }, { id: 2, address: CODE + 8n });
  control.resume();
  await settled();
  threads[1].hit(CODE);
  threads[0].hit(CODE + 8n);
  assert.deepEqual(await verdicts.take(), { kind: 'breakpoint', cpu: 0, ids: [2, 1] });

  for (const thread of threads) thread.onStep = (request) => step(thread, request);
  control.resume();
  await settled();
  for (const thread of threads) thread.hit(CODE);
  assert.deepEqual(await verdicts.take(), { kind: 'breakpoint', cpu: 0, ids: [1] });
});

function step(thread: FakeThread, request: StepRequest): StopCause {
  assert.equal(request.flags, STEP_SILENT);
  thread.rip += 1n;
  return STEP;
}

test('before running on, each vCPU that is on a breakpoint is stepped off it, alone', async () => {
  const { threads, control, verdicts, set } = rig();
  set({ id: 1 });
  threads[1].rip = CODE;
  threads[1].onStep = (request) => {
    assert.equal(threads[0].running, false);
    return step(threads[1], request);
  };
  control.resume();
  await settled();
  assert.deepEqual(threads[1].told, ['step', 'run']);
  assert.deepEqual(threads[0].told, ['run']);
  threads[1].hit(CODE);
  assert.equal((await verdicts.take()).kind, 'breakpoint');
});

test('a hit whose condition does not hold is passed without a word', async () => {
  const { threads, control, verdicts, set } = rig();
  set({ id: 1, cpu: 1 }, { id: 2, address: CODE + 8n, stackAbove: 0x8000n });
  for (const thread of threads) thread.onStep = (request) => step(thread, request);
  control.resume();
  await settled();
  const again = threads[0].started();
  threads[0].hit(CODE); // of vCPU 1 only
  await again;
  await settled();
  threads[1].hit(CODE + 8n); // RSP is not above
  await settled();
  assert.deepEqual(verdicts.takeAll(), []);
  assert.equal(control.running, true);
  threads[1].rsp = 0x8001n;
  threads[1].hit(CODE + 8n);
  assert.deepEqual(await verdicts.take(), { kind: 'breakpoint', cpu: 1, ids: [2] });
});

test('pause resolves after its verdict; when the guest was faster, the verdict is the guest’s', async () => {
  const { threads, control, verdicts, set } = rig();
  set({ id: 1 });
  control.resume();
  await settled();
  await control.pause();
  assert.deepEqual(verdicts.takeAll(), [{ kind: 'pause', cpu: 0 }]);

  control.resume();
  await settled();
  threads[1].hit(CODE);
  await control.pause();
  assert.deepEqual(verdicts.takeAll(), [{ kind: 'breakpoint', cpu: 1, ids: [1] }]);
  await control.pause(); // no-op
  assert.deepEqual(verdicts.takeAll(), []);
});

test('a pause that comes before the vCPUs run is not lost', async () => {
  const { control, verdicts } = rig();
  control.resume();
  await control.pause();
  assert.deepEqual(verdicts.takeAll(), [{ kind: 'pause', cpu: 0 }]);
});

test('held bodies run while no vCPU does, and nothing is reported', async () => {
  const { threads, control, verdicts } = rig();
  control.resume();
  await settled();
  const seen: boolean[] = [];
  const bodies = [1, 2, 3].map((value) =>
    control.hold(() => {
      seen.push(threads.some(({ running }) => running));
      return value;
    }),
  );
  assert.deepEqual(await Promise.all(bodies), [1, 2, 3]);
  await settled();
  assert.deepEqual(seen, [false, false, false]);
  assert.equal(control.running, true);
  assert.ok(threads.every(({ running }) => running));
  assert.deepEqual(verdicts.takeAll(), []);
});

test('a held body that throws rejects its own promise only', async () => {
  const { control, threads } = rig();
  control.resume();
  await settled();
  const bad = control.hold(() => {
    throw new Error('no');
  });
  const good = control.hold(() => 'yes');
  await assert.rejects(bad, { message: 'no' });
  assert.equal(await good, 'yes');
  await settled();
  assert.ok(threads.every(({ running }) => running));
});

test('while nothing runs a body runs at once', async () => {
  const { control, threads } = rig();
  assert.equal(await control.hold(() => 5), 5);
  assert.deepEqual(threads[0].told, []);
});

test('a breakpoint that is removed while a vCPU runs into it does not stop the VM', async () => {
  const { threads, control, verdicts, set } = rig();
  set({ id: 1 });
  control.resume();
  await settled();
  threads[1].hit(CODE);
  await control.hold(() => set()); // the hit has not been judged yet
  await settled();
  assert.deepEqual(verdicts.takeAll(), []);
  assert.ok(threads.every(({ running }) => running));
});

test('a breakpoint that a body plants under a vCPU that was held is left like any other', async () => {
  const { threads, control, set } = rig();
  threads[0].rip = CODE;
  threads[0].onStep = (request) => step(threads[0], request);
  control.resume();
  await settled();
  await control.hold(() => set({ id: 1 }));
  await settled();
  assert.deepEqual(threads[0].told, ['run', 'pause', 'step', 'run']);
});

test('what ends the VM outranks a breakpoint at the same moment', async () => {
  const causes: readonly (readonly [StopCause, SeenVerdict])[] = [
    [{ kind: 'powerOff' }, { kind: 'powerOff', cpu: 1 }],
    [{ kind: 'tripleFault' }, { kind: 'tripleFault', cpu: 1 }],
    [
      { kind: 'failure', message: 'broken' },
      { kind: 'failure', cpu: 1, message: 'broken' },
    ],
  ];
  for (const [cause, verdict] of causes) {
    const { threads, control, verdicts, set } = rig();
    set({ id: 1 });
    control.resume();
    await settled();
    threads[0].hit(CODE);
    threads[1].stop(cause);
    assert.deepEqual(await verdicts.take(), verdict);
  }
});

test('a step runs its vCPU only', async () => {
  const { threads, control, verdicts } = rig();
  control.step(plan({ cpu: 1, start: 4n, end: 8n }));
  await settled();
  assert.deepEqual([threads[0].told, threads[1].told], [[], ['step']]);
  threads[1].stop(STEP);
  assert.deepEqual(await verdicts.take(), { kind: 'step', cpu: 1 });
});

test('a pause ends a step, a held body only interrupts it', async () => {
  const { threads, control, verdicts } = rig();
  control.step(plan());
  await settled();
  assert.equal(await control.hold(() => threads[0].running), false);
  await settled();
  assert.deepEqual(threads[0].told, ['step', 'pause', 'step']);
  await control.pause();
  assert.deepEqual(verdicts.takeAll(), [{ kind: 'pause', cpu: 0 }]);
});

test('a step that lands on a breakpoint reports it, on one whose condition does not hold it is a step', async () => {
  const { threads, control, verdicts, set } = rig();
  set({ id: 1 }, { id: 2, address: CODE + 8n, cpu: 1 });
  for (const [address, verdict] of [
    [CODE, { kind: 'breakpoint', cpu: 0, ids: [1] }],
    [CODE + 8n, { kind: 'step', cpu: 0 }],
  ] as const) {
    control.step(plan());
    await settled();
    threads[0].hit(address);
    assert.deepEqual(await verdicts.take(), verdict);
  }
});

test('a range continues past a breakpoint in it whose condition does not hold', async () => {
  const { threads, control, verdicts, set } = rig();
  set({ id: 2, cpu: 1 });
  control.step(plan({ start: CODE - 8n, end: CODE + 8n }));
  await settled();
  const again = threads[0].started();
  threads[0].hit(CODE);
  await again;
  threads[0].rip = CODE + 8n;
  threads[0].stop(STEP);
  assert.deepEqual(await verdicts.take(), { kind: 'step', cpu: 0 });
});

test('a call that is stepped over runs all vCPUs until it returns to its own frame', async () => {
  const { threads, control, verdicts } = rig();
  const returned = CODE + 5n;
  threads[0].onStep = ({ flags }) => {
    if ((flags & STEP_SILENT) !== 0) return step(threads[0], { flags, start: 0n, end: 0n });
    assert.notEqual(flags & STEP_OVER, 0);
    threads[0].rip = 0x2000n;
    threads[0].rsp = 0x7ff8n;
    return { kind: STOP.calleeEntered, returnAddress: hex(returned), stack: '0x7ff8' };
  };
  control.step(plan({ over: true }));
  await settled();
  assert.ok(
    threads.every(({ running }) => running),
    'the callee may wait for another vCPU',
  );

  threads[0].rsp = 0x7000n; // the same address in a deeper recursion
  const again = threads[0].started();
  threads[0].hit(returned);
  await again;
  await settled();
  assert.deepEqual(verdicts.takeAll(), []);
  threads[1].rsp = 0x9000n; // another vCPU in the same code
  threads[1].onStep = (request) => step(threads[1], request);
  threads[1].hit(returned);
  await settled();
  assert.deepEqual(verdicts.takeAll(), []);

  threads[0].rsp = 0x8000n;
  threads[0].hit(returned);
  assert.deepEqual(await verdicts.take(), { kind: 'step', cpu: 0 });
});

test('a breakpoint ends a step over a call: in the callee, at its first instruction, and on another vCPU', async () => {
  const { threads, control, verdicts, set } = rig();
  const callee = 0x2000n;
  threads[0].onStep = ({ flags }) => {
    if ((flags & STEP_SILENT) !== 0) return step(threads[0], { flags, start: 0n, end: 0n });
    threads[0].rip = callee;
    return { kind: STOP.calleeEntered, returnAddress: hex(CODE + 5n), stack: '0x7ff8' };
  };
  set({ id: 1, address: callee });
  control.step(plan({ over: true }));
  assert.deepEqual(await verdicts.take(), { kind: 'breakpoint', cpu: 0, ids: [1] });

  set({ id: 2, address: callee + 4n });
  control.step(plan({ over: true }));
  await settled();
  threads[0].hit(callee + 4n);
  assert.deepEqual(await verdicts.take(), { kind: 'breakpoint', cpu: 0, ids: [2] });

  control.step(plan({ over: true }));
  await settled();
  threads[0].hit(CODE + 5n); // back, just as another vCPU hits
  threads[1].hit(callee + 4n);
  assert.deepEqual(await verdicts.take(), { kind: 'breakpoint', cpu: 1, ids: [2] });
});

test('a temporary breakpoint is gone after any stop', async () => {
  const { threads, control, verdicts, set, breakpoints } = rig();
  set({ id: 1, temporary: true }, { id: 2, address: CODE + 8n });
  control.resume();
  await settled();
  await control.pause();
  assert.equal((await verdicts.take()).kind, 'pause');
  assert.equal(breakpoints.isArmedAt(CODE), false);
  assert.equal(breakpoints.isArmedAt(CODE + 8n), true);
  assert.equal(threads[0].running, false);
});

test('running twice at once is a bug and says so', () => {
  const { control } = rig();
  control.resume();
  assert.throws(() => control.resume(), { message: 'the VM is running already' });
  assert.throws(() => control.step(plan()), { message: 'the VM is running already' });
});

test('until the machine is quiet the VM counts as running, and what is held then is served before the verdict', async () => {
  let becomeQuiet: () => void = () => undefined;
  const quiet = new Promise<void>((resolve) => (becomeQuiet = resolve));
  const { threads, control, verdicts } = rig(1, () => quiet);
  control.resume();
  await settled();
  threads[0].stop({ kind: STOP.reset, by: 'a test' });
  await settled();
  assert.equal(control.running, true);
  const held = control.hold(() => 'held');
  becomeQuiet();
  assert.equal(await held, 'held');
  assert.deepEqual(await verdicts.take(), { kind: STOP.reset, by: 'a test', cpu: 0 });
  assert.equal(control.running, false);
});
