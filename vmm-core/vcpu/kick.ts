/** How a thread that runs a vCPU is made to leave the guest, wherever it is. Any thread. */
import type { ByteRing } from '../bus/byteRing.ts';
import { KICK_SIGNAL, signalThread } from '../kvm/libc.ts';
import type { KvmRun } from '../kvm/kvmRun.ts';
import type { Kick } from './stopBoard.ts';

/**
 * `runs`: of all vCPUs, by index. `outputs`: where a vCPU may sleep until its output is read.
 */
export function kicker(runs: readonly KvmRun[], outputs: readonly ByteRing[]): Kick {
  return (cpu, threadId) => {
    for (const ring of outputs) ring.hurried = true;
    const run = runs[cpu];
    if (run !== undefined) run.immediateExit = true; // then the signal: it may not be in KVM_RUN yet
    if (threadId !== 0) signalThread(threadId, KICK_SIGNAL);
  };
}
