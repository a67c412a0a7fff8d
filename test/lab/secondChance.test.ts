import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LabMessage, LabTestEvent } from './inside/labProtocol.ts';
import { type FileMirror, type LabFiles, L1LostError, runWithSecondChance } from './secondChance.ts';

const READY: LabMessage = { type: 'ready', node: 'v20', kernel: '6.1', uptimeSeconds: 7 };
const LOST = { title: 'a second CPU', reason: 'lost by the emulator: vCPU 1' };

/** What one L1 does: its messages, then how it ends. */
type L1 = (bundles: readonly string[], say: (message: LabMessage) => void) => void;

function textOf(event: LabTestEvent): string {
  if (event.type === 'diagnostic') return event.message;
  return event.type === 'attachment' ? event.file : event.name;
}

/** Runs files over L1s made by a test, and returns what was seen, in order. */
async function logOf(
  bundles: readonly string[],
  l1s: readonly L1[],
  lost: readonly string[] = [],
): Promise<string[]> {
  const log: string[] = [];
  const left = [...l1s];
  const mirror = (title: string): FileMirror => ({
    handle: (event) => log.push(`${title}: ${textOf(event)}`),
    get lost() {
      return lost.includes(title) ? [LOST] : [];
    },
    beginAgain: () => log.push(`${title} again`),
    finish: async (problem) => void log.push(`${title} ends${problem === undefined ? '' : `: ${problem}`}`),
  });
  const runInL1: LabFiles['runInL1'] = async (given, onMessage) => {
    log.push(`L1 runs ${given.join(' ')}`);
    const l1 = left.shift();
    assert.ok(l1 !== undefined, 'one more L1 than expected');
    l1(given, onMessage);
  };
  const onAgain = (what: string, reason: string): number => log.push(`run again: ${what}: ${reason}`);
  await runWithSecondChance({ bundles, runInL1, mirror, onReady: () => undefined, onAgain });
  assert.equal(left.length, 0, 'every L1 was booted');
  return log;
}

const healthy: L1 = (bundles, say) => {
  say(READY);
  for (const bundle of bundles) {
    say({ type: 'fileStart', bundle });
    say({ type: 'fileEnd', bundle });
  }
  say({ type: 'done' });
};

/** Ends while it runs the file at that index. */
function dying(at: number, error: Error): L1 {
  return (bundles, say) => {
    say(READY);
    for (const bundle of bundles.slice(0, at)) {
      say({ type: 'fileStart', bundle });
      say({ type: 'fileEnd', bundle });
    }
    say({ type: 'fileStart', bundle: bundles[at] ?? '' });
    throw error;
  };
}

const TRIPLE_FAULT = new L1LostError('lost by the emulator: L1 triple faulted');

describe('the files of the lab', () => {
  it('run once, in one L1, when nothing is lost', async () => {
    assert.deepEqual(await logOf(['a.js', 'b.js'], [healthy]), [
      'L1 runs a.js b.js',
      'L1 boots to node ends',
      'a ends',
      'b ends',
    ]);
  });

  it('run again in a fresh L1 if a guest was lost, once, and end with the result of that', async () => {
    assert.deepEqual(await logOf(['a.js', 'b.js'], [healthy, healthy], ['b']), [
      'L1 runs a.js b.js',
      'L1 boots to node ends',
      'a ends',
      `run again: ${LOST.title}: ${LOST.reason}`,
      'L1 runs b.js',
      'b again',
      'b ends',
    ]);
  });

  it('run again, with those after them, if L1 itself was lost', async () => {
    assert.deepEqual(await logOf(['a.js', 'b.js', 'c.js'], [dying(1, TRIPLE_FAULT), healthy]), [
      'L1 runs a.js b.js c.js',
      'L1 boots to node ends',
      'a ends',
      `run again: the file b: ${TRIPLE_FAULT.message}`,
      'L1 runs b.js c.js',
      'b again',
      'b ends',
      'c ends',
    ]);
  });

  it('fail when L1 is lost under them twice', async () => {
    const log = await logOf(['a.js', 'b.js'], [dying(0, TRIPLE_FAULT), dying(0, TRIPLE_FAULT)]);
    assert.deepEqual(log.slice(-3), [
      'a again',
      `a ends: ${TRIPLE_FAULT.message}`,
      'b ends: did not run: L1 had failed',
    ]);
  });

  it('fail at once when L1 ends for any other reason', async () => {
    const panic = new Error('L1 ended early');
    assert.deepEqual(await logOf(['a.js', 'b.js'], [dying(0, panic)]), [
      'L1 runs a.js b.js',
      'L1 boots to node ends',
      'a ends: L1 ended early',
      'b ends: did not run: L1 had failed',
    ]);
  });

  it('fail, those to run again included, when L1 ends for any other reason later', async () => {
    const log = await logOf(['a.js', 'b.js'], [dying(1, new Error('L1 ended early'))], ['a']);
    assert.deepEqual(log.slice(-2), ['b ends: L1 ended early', 'a ends: did not run: L1 had failed']);
  });

  it('do not run again when their process ended in a way its tests do not explain', async () => {
    const killed: L1 = (bundles, say) => {
      say(READY);
      say({ type: 'fileStart', bundle: bundles[0] ?? '' });
      say({ type: 'fileEnd', bundle: bundles[0] ?? '', problem: 'killed after 600 s' });
    };
    assert.deepEqual((await logOf(['a.js'], [killed], ['a'])).slice(-1), ['a ends: killed after 600 s']);
  });

  it('fail when L1 does not boot, even for a triple fault', async () => {
    const log = await logOf(
      ['a.js'],
      [
        () => {
          throw TRIPLE_FAULT;
        },
      ],
    );
    assert.deepEqual(log.slice(1), [
      `L1 boots to node ends: ${TRIPLE_FAULT.message}`,
      'a ends: did not run: L1 had failed',
    ]);
  });
});
