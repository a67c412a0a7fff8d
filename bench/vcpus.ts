/** What each vCPU beyond the first costs, in a VM made on a warm core, as F5 does it. */
import { readFileSync } from 'node:fs';
import { spawnCore } from '../vmm-core/client/spawnCore.ts';
import { connectVmm } from '../vmm-core/client/vmmClient.ts';
import { pause, resume } from '../vmm-core/protocol/run.ts';
import { create } from '../vmm-core/protocol/vm.ts';
import { VMM } from './machines.ts';
import { pssWithoutRam, settled } from './memory.ts';
import { configFor, endCore, warmedUp } from './timing.ts';

const OTHERS = 15;
const KIB = 1024;
const MB = 1e6;

interface Cost {
  /** From vm/create until all vCPUs have run and stopped: the last of their threads is there. */
  readonly startMs: number;
  readonly pssKib: number;
}

export async function vcpuStartMs(kernel: string): Promise<number> {
  const [one, many] = [await costOf(kernel, 1), await costOf(kernel, 1 + OTHERS)];
  return (many.startMs - one.startMs) / OTHERS;
}

export async function vcpuMb(kernel: string): Promise<number> {
  const [one, many] = [await costOf(kernel, 1), await costOf(kernel, 1 + OTHERS)];
  return ((many.pssKib - one.pssKib) * KIB) / MB / OTHERS;
}

async function costOf(kernel: string, cpus: number): Promise<Cost> {
  const core = await spawnCore({ vmmPath: VMM });
  const client = await connectVmm(core.socket, { client: 'bench' });
  try {
    await warmedUp();
    const startedMs = performance.now();
    await client.connection.sendRequest(create, { config: { ...configFor(kernel), cpus } });
    await client.connection.sendRequest(resume);
    await client.connection.sendRequest(pause);
    const startMs = performance.now() - startedMs;
    await settled();
    return { startMs, pssKib: pssWithoutRam(readFileSync(`/proc/${client.info.pid}/smaps`, 'utf8')) };
  } finally {
    await endCore(core, client);
  }
}
