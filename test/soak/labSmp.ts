/** Linux guests with two busy CPUs in the lab. */
import path from 'node:path';
import { prepareLab, runLab } from '../lab/lab.ts';
import { soakLab } from './labSoak.ts';
import type { Soak } from './soak.ts';

const FILE = path.join(import.meta.dirname, '../lab/smp.soak.ts');
/** An L1's file may take 10 minutes; on a busy machine a VM takes two. */
const VMS_PER_L1 = 4;

export const labSmp: Soak = {
  name: 'lab-smp',
  what: 'Linux guests with two busy CPUs, in the lab',
  run: async (ms) => {
    const options = { files: [FILE], environment: { SOAK_VMS: String(VMS_PER_L1) } };
    return (await prepareLab()) ?? soakLab(ms, options, runLab);
  },
};
