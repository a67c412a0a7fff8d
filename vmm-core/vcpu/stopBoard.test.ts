import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { Worker } from 'node:worker_threads';
import { Arrivals } from '../../test/support/deadline.ts';
import { STOP, type StopCause } from '../protocol/stopCause.ts';
import { Mailbox, REQUEST } from './mailbox.ts';
import { StopBoard } from './stopBoard.ts';

const require = createRequire(import.meta.filename);
const PAUSE: StopCause = { kind: STOP.pause };
const HIT: StopCause = { kind: STOP.breakpoint };

interface Rig {
  readonly board: StopBoard;
  /** Who was kicked, and by which thread's id. */
  readonly kicks: (readonly [cpu: number, threadId: number])[];
}

function rig(cpus: number): Rig {
  const kicks: (readonly [number, number])[] = [];
  const board = new StopBoard(StopBoard.allocate(cpus), (cpu, threadId) => kicks.push([cpu, threadId]));
  return { board, kicks };
}

test('on a new board nobody is out', () => {
  const { board } = rig(2);
  assert.equal(board.isAnyOut, false);
  assert.deepEqual([board.isOut(0), board.isOut(1)], [false, false]);
});

test('a vCPU that stops by itself kicks the others that are out, and nobody kicks again', () => {
  const { board, kicks } = rig(4);
  board.open([0, 1, 2, 3]);
  assert.equal(board.isStopping, false);
  board.stopOthers(1);
  assert.equal(board.isStopping, true);
  board.stopOthers(2); // at the same moment
  board.arrive(2, HIT);
  assert.deepEqual(
    kicks.map(([cpu]) => cpu),
    [0, 2, 3],
  );
});

test('the last to arrive is told so, and only the last', () => {
  const { board } = rig(3);
  board.open([0, 1, 2]);
  assert.deepEqual(
    [board.arrive(1, HIT), board.arrive(0, PAUSE), board.arrive(2, PAUSE)],
    [false, false, true],
  );
  assert.equal(board.isAnyOut, false);
  assert.deepEqual([board.cause(0), board.cause(1), board.cause(2)], [PAUSE, HIT, PAUSE]);
});

test('a step has one participant: nobody is kicked, and it is the last', () => {
  const { board, kicks } = rig(3);
  board.open([1]);
  assert.deepEqual([board.isOut(0), board.isOut(1)], [false, true]);
  assert.equal(board.arrive(1, { kind: STOP.step }), true);
  assert.deepEqual(kicks, []);
});

test('main kicks those that have not arrived, even where one that died should have', () => {
  const { board, kicks } = rig(3);
  board.open([0, 1, 2]);
  board.arrive(0, PAUSE);
  kicks.length = 0;
  board.stop();
  assert.deepEqual(
    kicks.map(([cpu]) => cpu),
    [1, 2],
  );
});

test('a kick goes to the thread that announced itself, 0 before', () => {
  const { board, kicks } = rig(2);
  board.announce(1, 4321);
  board.open([0, 1]);
  board.stop();
  assert.deepEqual(kicks, [
    [0, 0],
    [1, 4321],
  ]);
});

test('a stop that comes before the vCPU has looked is seen and answered when it does', () => {
  const { board } = rig(1);
  const mailbox = new Mailbox();
  board.open([0]);
  mailbox.post(REQUEST.RUN);
  board.stop();
  assert.equal(mailbox.waitForRequest(), REQUEST.RUN);
  assert.equal(board.isStopping, true);
  assert.equal(board.arrive(0, PAUSE), true);
});

test('a stop that comes after all have stopped does not hold the next run', () => {
  const { board } = rig(1);
  board.open([0]);
  board.arrive(0, HIT);
  board.stop();
  board.open([0]);
  assert.equal(board.isStopping, false);
});

test('any cause is read as it was written', () => {
  const { board } = rig(2);
  const causes: readonly StopCause[] = [
    { kind: STOP.reset, by: 'the reset port' },
    { kind: STOP.debugExit, code: 255 },
    { kind: STOP.calleeEntered, returnAddress: '0xffffffff81000000', stack: '0x7ff8' },
    { kind: STOP.tripleFault, before: { rip: '0x1000', rsp: '0xffff888000000000' } },
    { kind: STOP.failure, message: 'no „ASCII“ \u0000 here' },
    PAUSE,
  ];
  for (const cause of causes) {
    board.open([1]);
    board.arrive(1, cause);
    assert.deepEqual(board.cause(1), cause);
  }
});

test('a failure message that is too long is cut', () => {
  const { board } = rig(1);
  board.open([0]);
  board.arrive(0, { kind: STOP.failure, message: '\u0001'.repeat(100_000) });
  const cause = board.cause(0);
  assert.ok(cause.kind === STOP.failure && /^\u0001{600}…$/.test(cause.message));
});

/**
 * A vCPU whose KVM_RUN is a word: entering the guest is sleeping on it; it is immediate_exit and signal in
 * one.
 */
const VCPU = `
  const { parentPort, workerData } = require('node:worker_threads');
  require(workerData.loader); // a worker does not inherit it
  const { Mailbox } = require(workerData.mailboxModule);
  const { StopBoard } = require(workerData.boardModule);
  const { cpu } = workerData;
  const exits = new Int32Array(workerData.exits);
  const plans = new Int32Array(workerData.plans);
  const board = new StopBoard(workerData.board, (other) => {
    Atomics.store(exits, other, 1);
    Atomics.notify(exits, other);
  });
  const mailbox = new Mailbox(workerData.mailbox);
  for (;;) {
    mailbox.waitForRequest();
    exits[cpu] = 0;
    board.fence();
    let cause = { kind: 'pause' };
    while (!board.isStopping) {
      if (plans[cpu] === 1) {
        cause = { kind: 'breakpoint' };
        break;
      }
      Atomics.wait(exits, cpu, 0);
    }
    if (board.arrive(cpu, cause)) parentPort.postMessage(cpu);
  }`;

interface Threads {
  readonly board: StopBoard;
  /** 1: this vCPU hits something as soon as it runs. */
  readonly plans: Int32Array;
  readonly woken: Arrivals<number>;
  readonly run: () => void;
}

function startThreads(t: TestContext, cpus: number): Threads {
  const exits = new Int32Array(new SharedArrayBuffer(4 * cpus));
  const plans = new Int32Array(new SharedArrayBuffer(4 * cpus));
  const board = new StopBoard(StopBoard.allocate(cpus), (cpu) => {
    Atomics.store(exits, cpu, 1);
    Atomics.notify(exits, cpu);
  });
  const all = Array.from({ length: cpus }, (_, cpu) => cpu);
  const mailboxes = all.map(() => new Mailbox());
  const woken = new Arrivals<number>('the last vCPU');
  for (const cpu of all) {
    const worker = new Worker(VCPU, {
      eval: true,
      workerData: {
        cpu,
        board: board.buffer,
        mailbox: mailboxes[cpu]?.buffer,
        exits: exits.buffer,
        plans: plans.buffer,
        loader: require.resolve('tsx/cjs'),
        mailboxModule: path.join(import.meta.dirname, 'mailbox.ts'),
        boardModule: path.join(import.meta.dirname, 'stopBoard.ts'),
      },
    });
    worker.on('message', (last: number) => woken.put(last));
    t.after(() => worker.terminate());
  }
  const run = (): void => {
    board.open(all);
    for (const mailbox of mailboxes) mailbox.post(REQUEST.RUN);
  };
  return { board, plans, woken, run };
}

test('when threads race to stop, each run has one message, and no stop is lost', async (t) => {
  const cpus = 3;
  const { board, plans, woken, run } = startThreads(t, cpus);
  for (let round = 0; round < 300; round++) {
    const hitting = round % 2 ** cpus; // each set of vCPUs; in the empty one main stops them
    for (let cpu = 0; cpu < cpus; cpu++) plans[cpu] = (hitting >> cpu) & 1;
    run();
    if (hitting === 0 || round % 3 === 0) board.stop();
    await woken.take();
    assert.equal(board.isAnyOut, false);
    const causes = Array.from({ length: cpus }, (_, cpu) => board.cause(cpu).kind);
    for (const [cpu, kind] of causes.entries()) {
      if (plans[cpu] === 0) assert.equal(kind, STOP.pause);
    }
    if (hitting !== 0 && round % 3 !== 0) assert.ok(causes.includes(STOP.breakpoint));
    assert.deepEqual(woken.takeAll(), []);
  }
});
