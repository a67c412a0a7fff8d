/** Files of the lab that go on for long, in one L1 after another. */
import { EmulatorLostError } from '../lab/inside/emulatorLoss.ts';
import type { LabMessage, LabTestEvent } from '../lab/inside/labProtocol.ts';
import type { LabRun } from '../lab/lab.ts';
import { L1LostError } from '../lab/secondChance.ts';
import type { SoakCount } from './soak.ts';

type TestClose = LabTestEvent & { readonly type: 'close' };

export interface SoakEvents {
  readonly now?: () => number;
  /** A test has ended: a line for who watches. */
  readonly tell?: (line: string) => void;
}

/**
 * Boots L1s until the time is over. L1s that the emulator lost do not count against what a fresh one may
 * still show. LAB_TEST: tests whose name matches, where the soak does not say which.
 */
export async function soakLab(
  ms: number,
  options: Omit<LabRun, 'onMessage'>,
  run: (options: LabRun) => Promise<void>,
  { now = () => performance.now(), tell = (line) => console.error(line) }: SoakEvents = {},
): Promise<SoakCount> {
  const end = now() + ms;
  const counter = new SoakCounter(now, tell);
  const pattern = process.env['LAB_TEST'];
  const chosen = pattern === undefined ? options : { testNamePattern: pattern, ...options };
  do {
    try {
      await run({ ...chosen, onMessage: (message) => counter.onMessage(message) });
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
  readonly #now: () => number;
  readonly #tell: (line: string) => void;
  #openedMs = 0;

  constructor(now: () => number, tell: (line: string) => void) {
    this.#now = now;
    this.#tell = tell;
  }

  onMessage(message: LabMessage): void {
    if (message.type === 'fileEnd' && message.problem !== undefined) this.failures.push(message.problem);
    if (message.type !== 'test') return;
    const { event } = message;
    if (event.type === 'diagnostic') this.#onDiagnostic(event.message);
    else if (event.type === 'open') this.#openedMs = this.#now();
    else if (event.type === 'close') this.#onClose(event);
  }

  /** Tests run one after another. */
  #onClose({ name, nesting, outcome: { passed, error, skip } }: TestClose): void {
    const seconds = ((this.#now() - this.#openedMs) / 1000).toFixed();
    const isLost = error?.name === EmulatorLostError.name;
    const failed = isLost ? 'lost' : 'FAILED';
    if (nesting > 0 && skip === undefined)
      this.#tell(`${passed ? 'passed' : failed} in ${seconds} s: ${name}`);
    if (error !== undefined) (isLost ? this.lost : this.failures).push(`${name}: ${error.stack}`);
  }

  /** In the words of these files. */
  #onDiagnostic(text: string): void {
    const [, what, value = ''] = /^(rounds|lost): (.*)$/.exec(text) ?? [];
    if (what === 'rounds') this.passed += Number(value);
    else if (what === 'lost') this.lost.push(value);
    else this.#tell(text);
  }
}
