/** The lab's tests of disks with much data and many rounds: sums of 1 GiB, reboots and kills under load. */
import path from 'node:path';
import { prepareLab, runLab } from '../lab/lab.ts';
import { soakLab } from './labSoak.ts';
import type { Soak } from './soak.ts';

const FILES = ['disks.lab.ts', 'disksSmp.lab.ts'].map((it) => path.join(import.meta.dirname, '../lab', it));
const FILE_TIMEOUT_MS = 3 * 60 * 60_000;

export const labDisks: Soak = {
  name: 'lab-disks',
  what: 'disks of Linux guests: 1 GiB of data, 20 reboots and 20 kills under load a time, in the lab',
  run: async (ms) => {
    const environment = { LAB_DISK_MIB: '1024', LAB_ROUNDS: '20' };
    const options = { files: FILES, environment, fileTimeoutMs: FILE_TIMEOUT_MS };
    return (await prepareLab()) ?? soakLab(ms, options, runLab);
  },
};
