/**
 * Runs a `*.bench.ts` of test/lab in an L1. Those print a diagnostic `row {…}` for each measurement, which
 * this collects.
 */
import type { LabMessage } from '../test/lab/inside/labProtocol.ts';
import { prepareLab, runLab } from '../test/lab/lab.ts';
import { L1LostError } from '../test/lab/secondChance.ts';

const FILE_TIMEOUT_MS = 20 * 60_000;
const ROW = 'row ';
/** The emulator kills some L1 that are busy for long. */
const TRIES = 3;

export interface LabMeasurement {
  readonly file: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Only tests of the file whose name matches. */
  readonly testNamePattern?: string;
}

/** Of one L1, from its start to its end; or why there was none. */
export async function rowsOf<T>(measurement: LabMeasurement): Promise<readonly T[] | string> {
  const missing = await prepareLab();
  if (missing !== undefined) return missing;
  for (let i = 1; i <= TRIES; i++) {
    try {
      return await measureInLab<T>(measurement);
    } catch (error) {
      if (!(error instanceof L1LostError)) throw error;
      console.log(`the emulator lost L1 ${i} of ${TRIES}`);
    }
  }
  return `the emulator lost ${TRIES} L1 in turn`;
}

async function measureInLab<T>({ file, ...options }: LabMeasurement): Promise<T[]> {
  const rows: T[] = [];
  const failures: string[] = [];
  const onMessage = (message: LabMessage): void => {
    if (message.type === 'fileEnd' && message.problem !== undefined) failures.push(message.problem);
    if (message.type !== 'test') return;
    const { event } = message;
    if (event.type === 'diagnostic' && event.message.startsWith(ROW))
      rows.push(JSON.parse(event.message.slice(ROW.length)) as T);
    if (event.type === 'close' && event.outcome.error !== undefined)
      failures.push(`${event.name}: ${event.outcome.error.message}`);
  };
  await runLab({ files: [file], ...options, fileTimeoutMs: FILE_TIMEOUT_MS, onMessage });
  if (failures.length > 0) throw new Error(failures.join('; '));
  return rows;
}
