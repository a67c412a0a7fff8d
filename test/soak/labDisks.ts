/** The lab's tests of disks with much data and many rounds: sums of 1 GiB, reboots and kills under load. */
import path from 'node:path';
import { prepareLab, runLab } from '../lab/lab.ts';
import { soakLab } from './labSoak.ts';
import type { Soak, SoakCount } from './soak.ts';

const DISKS = labFile('disks.lab');
const FILE_TIMEOUT_MS = 3 * 60 * 60_000;

export const labDisks: Soak = {
  name: 'lab-disks',
  what: 'disks of Linux guests: 1 GiB of data, 20 reboots and 20 kills under load a time, in the lab',
  run: async (ms) => {
    const environment = { LAB_LONG: '1', LAB_DISK_MIB: '1024', LAB_ROUNDS: '20' };
    return soakDisks(ms, [DISKS, labFile('disksSmp.soak')], environment);
  },
};

export const labKills: Soak = {
  name: 'lab-kills',
  what: 'vmm killed under a Linux that writes, 40 times a time, in the lab',
  run: async (ms) => {
    const environment = { LAB_ROUNDS: '40' };
    return soakDisks(ms, [DISKS], environment, 'when vmm is killed');
  },
};

async function soakDisks(
  ms: number,
  files: readonly string[],
  environment: Readonly<Record<string, string>>,
  pattern?: string,
): Promise<SoakCount | string> {
  const options = { files, environment, fileTimeoutMs: FILE_TIMEOUT_MS };
  const chosen = pattern === undefined ? options : { ...options, testNamePattern: pattern };
  return (await prepareLab()) ?? soakLab(ms, chosen, runLab);
}

function labFile(name: string): string {
  return path.join(import.meta.dirname, `../lab/${name}.ts`);
}
