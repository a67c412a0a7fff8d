/** Looks at a guest whose test timed out: pauses it over the control socket and reads its vCPUs. */
import { readFileSync } from 'node:fs';
import { socketNames, socketPath } from '../../../vmm-core/client/runtimeDir.ts';
import { connectVmm, type VmmClient } from '../../../vmm-core/client/vmmClient.ts';
import type { VmConfig } from '../../../vmm-core/config/vmConfig.ts';
import { readRegisters } from '../../../vmm-core/protocol/registers.ts';
import { pause } from '../../../vmm-core/protocol/run.ts';
import {
  emulatorLoss,
  functionRange,
  registersText,
  type VcpuState,
  VMRUN_FUNCTION,
} from './emulatorLoss.ts';

const ANSWER_MS = 15_000;

export interface GuestState {
  /** A sentence, when the emulator lost the guest. */
  readonly loss?: string;
  /** For the report. */
  readonly text: string;
}

/** Never throws: a VMM that does not answer goes into the report and is not a loss. */
export async function guestState(vmmPid: number | undefined): Promise<GuestState> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer in ${ANSWER_MS / 1000} s`)), ANSWER_MS);
  });
  try {
    return await Promise.race([askVmm(vmmPid), late]);
  } catch (error) {
    return { text: `the VMM cannot be asked: ${(error as Error).message}` };
  } finally {
    clearTimeout(timer);
  }
}

async function askVmm(vmmPid: number | undefined): Promise<GuestState> {
  const client = await clientOf(vmmPid);
  try {
    const { config } = client.info;
    if (config === undefined) return { text: 'the VMM has no VM' };
    await client.connection.sendRequest(pause);
    const vcpus: VcpuState[] = [];
    for (let cpu = 0; cpu < config.cpus; cpu++)
      vcpus.push(await client.connection.sendRequest(readRegisters, { cpu }));
    const vmrun = functionRange(readFileSync('/proc/kallsyms', 'utf8'), VMRUN_FUNCTION);
    const loss = emulatorLoss(vcpus, { memoryEnd: memoryEnd(config), vmrun });
    const text = vcpus.map((it) => `vCPU ${it.cpu}: ${registersText(it)}`).join('\n');
    return loss === undefined ? { text } : { loss, text };
  } finally {
    client.dispose();
  }
}

/** Throws when it has no control socket. */
export async function clientOf(vmmPid: number | undefined): Promise<VmmClient> {
  for (const name of socketNames()) {
    const client = await connectVmm(socketPath(name), { client: 'lab' }).catch(() => undefined);
    if (client === undefined) continue;
    if (client.info.pid === vmmPid) return client;
    client.dispose();
  }
  throw new Error(`no control socket of process ${vmmPid ?? '?'} answers`);
}

/**
 * Memory that does not fit below the hole under 4 GiB is above it; then the end of the guest's memory is
 * higher.
 */
function memoryEnd({ memoryBytes }: VmConfig): bigint {
  const hole = 3n << 30n;
  const bytes = BigInt(memoryBytes);
  return bytes <= hole ? bytes : bytes + (1n << 30n);
}
