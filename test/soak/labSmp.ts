/** Linux guests with two busy CPUs in the lab, in one L1 after another. */
import path from 'node:path';
import type { LabMessage } from '../lab/inside/labProtocol.ts';
import { prepareLab, runLab, type LabRun } from '../lab/lab.ts';
import { L1LostError } from '../lab/secondChance.ts';
import type { Soak, SoakCount } from './soak.ts';

const FILE = path.join(import.meta.dirname, '../lab/smp.soak.ts');
/** An L1's file may take 10 minutes; on a busy machine a VM takes two. */
const VMS_PER_L1 = 4;

export const labSmp: Soak = {
  name: 'lab-smp',
  what: 'Linux guests with two busy CPUs, in the lab',
  run: async (ms) => (await prepareLab()) ?? soakLab(ms, runLab),
};

/**
 * Boots L1s until the time is over. L1s that the emulator lost do not count against what a fresh one may
 * still show.
 */
export async function soakLab(
  ms: number,
  run: (options: LabRun) => Promise<void>,
  now: () => number = () => performance.now(),
): Promise<SoakCount> {
  const end = now() + ms;
  const counter = new SoakCounter();
  do {
    try {
      const environment = { SOAK_VMS: String(VMS_PER_L1) };
      await run({ files: [FILE], environment, onMessage: (message) => counter.onMessage(message) });
    } catch (error) {
      if (!(error instanceof L1LostError)) throw error;
      counter.lost.push(error.message);
    }
  } while (now() < end);
  return counter;
}

class SoakCounter implements SoakCount {
  passed = 0;
  readonly lost: string[] = [];
  readonly failures: string[] = [];

  onMessage(message: LabMessage): void {
    if (message.type === 'fileEnd' && message.problem !== undefined) this.failures.push(message.problem);
    if (message.type !== 'test') return;
    const { event } = message;
    if (event.type === 'diagnostic') this.#onDiagnostic(event.message);
    else if (event.type === 'close' && event.outcome.error !== undefined)
      this.failures.push(`${event.name}: ${event.outcome.error.stack}`);
  }

  /** In the words of smp.soak.ts. */
  #onDiagnostic(text: string): void {
    const [, what, value = ''] = /^(rounds|lost): (.*)$/.exec(text) ?? [];
    if (what === 'rounds') this.passed += Number(value);
    if (what === 'lost') this.lost.push(value);
  }
}
