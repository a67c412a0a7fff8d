/** What `npm test` and `npm run check` print. */
import type { SuiteResult } from './runSuite.ts';
import type { Failure, Tally } from './tally.ts';

const NAME_WIDTH = 10;
const COUNTS_WIDTH = 44;
/** How much of a failing file's own output is shown: the end explains most. */
const OUTPUT_TAIL_LINES = 60;

/** The suite's line, then its failures in full. */
export function printSuite({ name, tally, unavailable, seconds }: SuiteResult): void {
  const counts = unavailable === undefined ? countsText(tally) : 'could not run';
  const cpu = tally.cpuSeconds > 0 ? `  cpu ${tally.cpuSeconds.toFixed(0).padStart(4)} s` : '';
  const line = `${name.padEnd(NAME_WIDTH)} ${counts.padEnd(COUNTS_WIDTH)} ${seconds.toFixed(1).padStart(6)} s${cpu}`;
  console.log(unavailable === undefined ? line : `${line}  (${unavailable})`);
  const shownOutput = new Set<string>();
  for (const failure of tally.failures) {
    const output = shownOutput.has(failure.file) ? '' : tally.outputOf(failure.file);
    printFailure(name, failure, output, tally.filesOf(failure.file));
    shownOutput.add(failure.file);
  }
  if (unavailable === undefined) printSkips(tally);
  for (const remark of tally.remarks) console.log(indent(remark));
  for (const it of tally.again) console.log(indent(`run again: ${it}`));
}

/** The totals, always the last line. Returns the exit code. */
export function printTotals(results: readonly SuiteResult[]): number {
  const sum = (count: (tally: Tally) => number): number => results.reduce((n, it) => n + count(it.tally), 0);
  const failed = sum((it) => it.failures.length);
  console.log(`${sum((it) => it.passed)} passed, ${failed} failed, ${sum((it) => it.skips.length)} skipped`);
  return failed === 0 ? 0 : 1;
}

export function countsText(tally: Tally): string {
  const parts = [`${tally.passed} passed`];
  if (tally.failures.length > 0) parts.push(`${tally.failures.length} FAILED`);
  if (tally.skips.length > 0) parts.push(`${tally.skips.length} skipped`);
  const again = tally.again.length === 0 ? '' : ` (${tally.again.length} run again: lost by the emulator)`;
  return parts.join(', ') + again;
}

function printFailure(
  suite: string,
  { titles, file, error }: Failure,
  output: string,
  files: readonly string[],
): void {
  const where = [file === '' ? '' : relative(file), ...titles].filter((it) => it !== '').join(' › ');
  console.log(`\n  FAILED ${suite}: ${where}`);
  console.log(indent(error));
  if (output !== '') console.log(indent(`--- the file printed ---\n${lastLines(output)}`));
  if (file !== '') console.log(indent(`run again: ${rerunCommand(files, titles)}`));
  console.log('');
}

function printSkips(tally: Tally): void {
  const reasons = new Map<string, number>();
  for (const { reason } of tally.skips) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  for (const [reason, count] of reasons) console.log(`${''.padEnd(NAME_WIDTH)} ${count} skipped: ${reason}`);
}

function rerunCommand(files: readonly string[], titles: readonly string[]): string {
  const name = titles.at(-1);
  const pattern = name === undefined ? '' : ` --test-name-pattern='${quoted(name)}'`;
  return `node --import tsx --test${pattern} ${files.map(relative).join(' ')}`;
}

/** For a regular expression inside single quotes of a shell. */
function quoted(title: string): string {
  return title.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replaceAll("'", '.');
}

function relative(file: string): string {
  return file.startsWith(`${process.cwd()}/`) ? file.slice(process.cwd().length + 1) : file;
}

function lastLines(text: string): string {
  const lines = text.trimEnd().split('\n');
  return lines.length <= OUTPUT_TAIL_LINES
    ? lines.join('\n')
    : ['…', ...lines.slice(-OUTPUT_TAIL_LINES)].join('\n');
}

function indent(text: string): string {
  return text.replace(/^(?=.)/gm, '    ');
}
