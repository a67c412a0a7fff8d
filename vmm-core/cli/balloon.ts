/** `vmm balloon`: how much of its memory a running VM gives back to the host. */
import { standardOutput } from '../client/output.ts';
import { quoted } from '../client/regularFile.ts';
import { connectVmm, type VmmClient } from '../client/vmmClient.ts';
import { formatSize, parseSize } from '../config/size.ts';
import { UserError } from '../errors.ts';
import { type BalloonReport, balloonSetTarget, balloonStats } from '../protocol/balloon.ts';
import { fail, parseArguments } from './arguments.ts';
import { isAnswer, runningVm } from './runningVm.ts';

const USAGE = `usage: vmm balloon NAME
       vmm balloon NAME SIZE
       vmm balloon NAME stats

  NAME     a VM that was started with a memory balloon
  SIZE     what the guest shall do without: 512M, 1.5G; 0 gives it all back

Without SIZE, what it was asked for and what it has given; stats adds what the guest says of its memory. The
guest gives as much as it can spare, in its own time, and takes it back before it runs out.
`;

const STATS = 'stats';

export async function balloon(argv: readonly string[]): Promise<number> {
  try {
    const options = { help: { type: 'boolean', short: 'h' } } as const;
    const { values, positionals } = parseArguments(argv, options, 'balloon', 2);
    if (values.help === true) {
      standardOutput.write(USAGE);
      return 0;
    }
    const [name, verb] = positionals;
    const target = verb === undefined || verb === STATS ? undefined : sizeOf(verb);
    const { socket } = await runningVm('vmm balloon', name);
    const client = await connectVmm(socket, { client: 'vmm balloon' });
    try {
      if (target === undefined) await show(client, verb === STATS);
      else await client.connection.sendRequest(balloonSetTarget, { sizeBytes: target });
    } finally {
      client.dispose();
    }
    return 0;
  } catch (error) {
    if (isAnswer(error)) return fail(error.message);
    throw error;
  }
}

/** Throws UserError. */
function sizeOf(text: string): number {
  const sizeBytes = parseSize(text);
  if (sizeBytes !== undefined && Number.isSafeInteger(Math.floor(sizeBytes))) return Math.floor(sizeBytes);
  throw new UserError(`${quoted(text)} is not a size: write 512M or 1.5G; or "${STATS}"`);
}

async function show({ connection }: VmmClient, isFull: boolean): Promise<void> {
  standardOutput.write(balloonText(await connection.sendRequest(balloonStats), isFull));
}

/** Lines for people. */
export function balloonText(report: BalloonReport, isFull: boolean): string {
  const { targetBytes, actualBytes, reportedBytes, isReady, statistics } = report;
  const driver = isReady ? [] : ['the guest has no driver for it that is ready'];
  const rows: [string, string][] = [
    ['asked for', formatSize(targetBytes)],
    ['given', formatSize(actualBytes)],
    ['reported free so far', formatSize(reportedBytes)],
    ...(isFull ? Object.entries(statistics).map(statisticRow) : []),
  ];
  const width = Math.max(...rows.map(([name]) => name.length)) + 2;
  return [...driver, ...rows.map(([name, value]) => `${name.padEnd(width)}${value}`), ''].join('\n');
}

const COUNTS = /Faults$|^hugePages/;

/** `freeMemory` -> `free memory`. */
function statisticRow([name, value]: [string, number]): [string, string] {
  const words = name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  return [words, COUNTS.test(name) ? String(value) : formatSize(value)];
}
