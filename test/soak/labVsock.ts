/** The lab's tests of the vsock device with much data: echoes of 1 GiB by the host and by the guest. */
import path from 'node:path';
import { prepareLab, runLab } from '../lab/lab.ts';
import { soakLab } from './labSoak.ts';
import type { Soak } from './soak.ts';

const FILE_TIMEOUT_MS = 40 * 60_000;

export const labVsock: Soak = {
  name: 'lab-vsock',
  what: 'echoes of 1 GiB over vsock, by the host and by a Linux guest, in the lab',
  run: async (ms) => {
    const files = [path.join(import.meta.dirname, '../lab/vsock.lab.ts')];
    const environment = { LAB_VSOCK_MIB: '1024' };
    return (
      (await prepareLab()) ?? soakLab(ms, { files, environment, fileTimeoutMs: FILE_TIMEOUT_MS }, runLab)
    );
  },
};
