/** How a thread that runs a vCPU is made to leave the guest, wherever it is. Any thread. */
import type { ByteRing } from '../bus/byteRing.ts';
import { KICK_SIGNAL, signalThread } from '../kvm/libc.ts';
import { exitSetter, type RunPages } from '../kvm/runPages.ts';
import type { Kick } from './stopBoard.ts';

/** `outputs`: where a vCPU may sleep until its output is read. */
export function kicker(runPages: RunPages, outputs: readonly ByteRing[]): Kick {
  const setImmediateExit = exitSetter(runPages);
  return (cpu, threadId) => {
    for (const ring of outputs) ring.hurried = true;
    setImmediateExit(cpu); // then the signal: it may not be in KVM_RUN yet
    if (threadId !== 0) signalThread(threadId, KICK_SIGNAL);
  };
}
