/** The user network in the lab: 1 GiB each way, a tree of files, 10 000 connections, a minute of iperf3. */
import path from 'node:path';
import { prepareLab, runLab } from '../lab/lab.ts';
import { soakLab } from './labSoak.ts';
import type { Soak } from './soak.ts';

const FILE_TIMEOUT_MS = 3 * 60 * 60_000;

export const labNetworks: Soak = {
  name: 'lab-networks',
  what: 'the user network of a Linux guest: 1 GiB both ways, 20 000 files, 10 000 connections, in the lab',
  run: async (ms) => {
    const files = [path.join(import.meta.dirname, '../lab/networks.soak.ts')];
    const environment = {
      ...{ LAB_NET_MIB: '1024', LAB_NET_FILES: '20000' },
      ...{ LAB_NET_CONNECTIONS: '10000', LAB_NET_SECONDS: '60' },
    };
    const pattern = process.env['LAB_TEST'];
    const options = { files, environment, fileTimeoutMs: FILE_TIMEOUT_MS };
    const chosen = pattern === undefined ? options : { ...options, testNamePattern: pattern };
    return (await prepareLab()) ?? soakLab(ms, chosen, runLab);
  },
};
