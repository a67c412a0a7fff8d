import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { EmulatorLostError } from '../lab/inside/emulatorLoss.ts';
import { type LabMessage, type LabTestEvent, plainError } from '../lab/inside/labProtocol.ts';
import type { LabRun } from '../lab/lab.ts';
import { L1LostError } from '../lab/secondChance.ts';
import { soakLab } from './labSoak.ts';
import { countLine } from './soak.ts';

const FILES = { files: ['smp.soak.ts'] };

function told(event: LabTestEvent): LabMessage {
  return { type: 'test', bundle: 'smp.soak.js', event };
}

describe('a soak in the lab', () => {
  it('counts the rounds of every VM, those that were lost, and what failed', async () => {
    const lines: string[] = [];
    const run = async ({ onMessage }: LabRun): Promise<void> => {
      onMessage(told({ type: 'diagnostic', message: 'rounds: 77' }));
      onMessage(told({ type: 'diagnostic', message: 'lost: lost by the emulator: vCPU 1' }));
      onMessage(told({ type: 'diagnostic', message: 'rounds: 5' }));
      const outcome = { passed: false, error: plainError('the guest was silent') };
      onMessage(told({ type: 'close', nesting: 1, name: 'VM 3', outcome }));
    };
    const count = await soakLab(0, FILES, run, { now: () => 0, tell: (line) => lines.push(line) });
    assert.equal(countLine('lab-smp', count), 'lab-smp: 82 rounds passed, 1 lost by the emulator, 1 FAILED');
    assert.deepEqual(count.lost, ['lost by the emulator: vCPU 1']);
    assert.deepEqual(lines, ['FAILED in 0 s: VM 3']);
    assert.match(count.failures[0] ?? '', /^VM 3: Error: the guest was silent/);
  });

  it('counts a test whose guest was lost as lost', async () => {
    const lines: string[] = [];
    const run = async ({ onMessage }: LabRun): Promise<void> => {
      const error = { ...plainError('lost by the emulator: vCPU 0'), name: EmulatorLostError.name };
      const outcome = { passed: false, error };
      onMessage(told({ type: 'close', nesting: 1, name: 'has all data', outcome }));
    };
    const count = await soakLab(0, FILES, run, { now: () => 0, tell: (line) => lines.push(line) });
    assert.deepEqual(lines, ['lost in 0 s: has all data']);
    assert.equal(count.failures.length, 0);
    assert.match(count.lost[0] ?? '', /^has all data: .*lost by the emulator: vCPU 0/);
  });

  it('counts an L1 that was lost, and goes on with a fresh one until the time is over', async () => {
    let boots = 0;
    let nowMs = 0;
    const run = async ({ onMessage }: LabRun): Promise<void> => {
      if (boots++ === 0) throw new L1LostError('lost by the emulator: L1 triple faulted');
      nowMs += 20; // an L1 takes its time
      onMessage(told({ type: 'diagnostic', message: 'rounds: 1' }));
    };
    const count = await soakLab(20, FILES, run, { now: () => nowMs });
    assert.equal(count.passed, 1);
    assert.deepEqual(count.lost, ['lost by the emulator: L1 triple faulted']);
  });

  it('ends with any other failure of L1', async () => {
    const failing = soakLab(0, FILES, () => Promise.reject(new Error('L1 did not boot in 180 s')));
    await assert.rejects(failing, /did not boot/);
  });
});
