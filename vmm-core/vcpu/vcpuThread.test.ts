import assert from 'node:assert/strict';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { beforeEach, describe, it } from 'node:test';
import type { KvmVcpu } from '../kvm/vcpu.ts';
import { STOP, type StopCause } from '../protocol/stopCause.ts';
import { Mailbox } from './mailbox.ts';
import type { VcpuAssignment } from './messages.ts';
import type { AheadOutcome } from './runLoop.ts';
import { StopBoard } from './stopBoard.ts';
import { VcpuThread } from './vcpuThread.ts';

const STEP = { flags: 0, start: 0n, end: 0n };
const PAUSE: StopCause = { kind: STOP.pause };

/** Main's run loop, in which a guest waits for a device. */
class HeldGuest {
  isHeld = true;
  runs = 0;

  runAhead(): AheadOutcome {
    this.runs++;
    return this.isHeld ? 'interrupted' : 'handOver';
  }

  waitHeld(): boolean {
    return this.isHeld;
  }

  pause(): StopCause {
    return PAUSE;
  }
}

describe('a guest that main runs ahead, and a device holds', () => {
  let guest: HeldGuest;
  let board: StopBoard;
  let mailbox: Mailbox;
  let thread: VcpuThread;
  let stops: number;

  beforeEach(() => {
    guest = new HeldGuest();
    board = new StopBoard(StopBoard.allocate(1), () => undefined);
    mailbox = new Mailbox();
    stops = 0;
    const worker = { onMessage: () => undefined, onFailure: () => undefined, assign: () => undefined };
    const events = { onMessage: () => undefined, onCrash: assert.fail };
    const assignment = { mailbox: mailbox.buffer } as VcpuAssignment;
    thread = new VcpuThread(worker, { index: 0 } as KvmVcpu, assignment, board, events, guest);
    thread.onStop = () => stops++;
  });

  /** The vCPU's thread is there, and would run it: how many requests it has. */
  function posted(): number {
    return new Int32Array(mailbox.buffer)[1] ?? 0;
  }

  async function runUntilPaused(): Promise<void> {
    board.open([0]);
    thread.run();
    board.stop();
    await nextTurn();
    await nextTurn();
  }

  it('is paused without waiting for the device, and goes on where it was held', async () => {
    await runUntilPaused();
    assert.equal(stops, 1);
    assert.deepEqual(board.cause(0), PAUSE);
    const { runs } = guest;
    board.open([0]);
    thread.run();
    assert.equal(guest.runs, runs + 1);
    assert.equal(posted(), 0);
    guest.isHeld = false;
    await nextTurn();
    assert.equal(posted(), 1, 'its own thread runs it once it is not held');
  });

  it('does not take a step before the device lets it go', async () => {
    await runUntilPaused();
    board.open([0]);
    thread.step(STEP);
    assert.deepEqual([stops, posted()], [2, 0]);
    guest.isHeld = false;
    board.open([0]);
    thread.step(STEP);
    assert.deepEqual([stops, posted()], [2, 1]);
  });
});
