/** The lab's devices with the tests that `npm test` leaves out because of the time they take. */
import path from 'node:path';
import { prepareLab, runLab } from '../lab/lab.ts';
import { soakLab } from './labSoak.ts';
import type { Soak } from './soak.ts';

const FILES = [
  'balloon',
  'cdrom',
  'console',
  'links',
  'linux',
  'network',
  'share',
  'switch',
  'virtio',
  'vsock',
];
const FILE_TIMEOUT_MS = 60 * 60_000;

export const labLong: Soak = {
  name: 'lab-long',
  what: 'networks, small devices and shares of Linux guests, with their long tests, in the lab',
  run: async (ms) => {
    const files = FILES.map((it) => path.join(import.meta.dirname, `../lab/${it}.lab.ts`));
    const environment = { LAB_LONG: '1' };
    return (
      (await prepareLab()) ?? soakLab(ms, { files, environment, fileTimeoutMs: FILE_TIMEOUT_MS }, runLab)
    );
  },
};
