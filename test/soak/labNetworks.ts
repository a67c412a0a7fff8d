/**
 * The user network in the lab: 1 GiB each way, a tree of files, the source of Linux, 10 000 connections, a
 * minute of iperf3.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { fetchPackage } from '../../scripts/debian.ts';
import { SOURCE_PACKAGE } from '../../scripts/testing/downloads.ts';
import { prepareLab, runLab } from '../lab/lab.ts';
import { soakLab } from './labSoak.ts';
import type { Soak } from './soak.ts';

const FILE_TIMEOUT_MS = 40 * 60_000;

export const labNetworks: Soak = {
  name: 'lab-networks',
  what: 'the user network of a Linux guest: 1 GiB both ways, 20 000 files, 10 000 connections, in the lab',
  run: async (ms) => {
    const missing = await prepareLab();
    if (missing !== undefined) return missing;
    const directory = await mkdtemp(path.join(tmpdir(), 'trapframe-soak-'));
    try {
      const secondDisk = await sourceOfLinux(directory);
      const files = [path.join(import.meta.dirname, '../lab/networks.soak.ts')];
      const environment = {
        ...{ LAB_NET_MIB: '1024', LAB_NET_FILES: '20000', LAB_NET_TAR: '1' },
        ...{ LAB_NET_CONNECTIONS: '10000', LAB_NET_SECONDS: '60' },
      };
      const options = { files, environment, secondDisk, fileTimeoutMs: FILE_TIMEOUT_MS };
      return await soakLab(ms, options, runLab);
    } finally {
      await rm(directory, { recursive: true });
    }
  },
};

/** The path of its tar, unpacked from Debian's package: tar pads to 10 KiB, so it is whole sectors. */
async function sourceOfLinux(directory: string): Promise<string> {
  const packed = path.join(await fetchPackage(SOURCE_PACKAGE), `usr/src/${SOURCE_PACKAGE}.tar.xz`);
  const tar = path.join(directory, 'linux.tar');
  await promisify(execFile)('sh', ['-c', 'xz -dc "$1" > "$2"', 'sh', packed, tar]);
  return tar;
}
