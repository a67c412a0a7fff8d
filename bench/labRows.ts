/**
 * Runs a `*.bench.ts` of test/lab in an L1. Those print a diagnostic `row {…}` for each measurement, which
 * this collects.
 */
import type { LabMessage } from '../test/lab/inside/labProtocol.ts';
import { prepareLab, runLab } from '../test/lab/lab.ts';

const FILE_TIMEOUT_MS = 20 * 60_000;
const ROW = 'row ';
const TRIES = 3;

export interface LabMeasurement {
  readonly file: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Only tests of the file whose name matches. */
  readonly testNamePattern?: string;
}

/**
 * Of one L1, from its start to its end, and of those before it that failed, as far as they came; or why there
 * are none. The emulator loses some L1 that are busy for long, and guests.
 */
export async function rowsOf<T>(measurement: LabMeasurement): Promise<readonly T[] | string> {
  const missing = await prepareLab();
  if (missing !== undefined) return missing;
  const rows: T[] = [];
  let why = '';
  for (let i = 1; i <= TRIES; i++) {
    try {
      await measureInLab<T>(measurement, rows);
      return rows;
    } catch (error) {
      why = (error as Error).message.split('\n')[0] ?? '';
      console.log(`L1 ${i} of ${TRIES} failed: ${(error as Error).message}`);
    }
  }
  return `${TRIES} L1 failed in turn, the last by this: ${why}`;
}

async function measureInLab<T>({ file, ...options }: LabMeasurement, rows: T[]): Promise<void> {
  const failures: string[] = [];
  const onMessage = (message: LabMessage): void => {
    if (message.type === 'fileEnd' && message.problem !== undefined) failures.push(message.problem);
    if (message.type !== 'test') return;
    const { event } = message;
    if (event.type === 'diagnostic' && event.message.startsWith(ROW))
      rows.push(JSON.parse(event.message.slice(ROW.length)) as T);
    if (event.type === 'close' && event.outcome.error !== undefined)
      failures.push(event.outcome.error.message);
  };
  await runLab({ files: [file], ...options, fileTimeoutMs: FILE_TIMEOUT_MS, onMessage });
  if (failures.length > 0) throw new Error(failures.join('; '));
}
