/**
 * An I/O thread. It gets what it needs at its start, and from then on never returns to its event loop: it
 * waits in the engine, where its eventfd wakes it when there is a command.
 */
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import type { IoAssignment } from './messages.ts';
import { runIo } from './runIo.ts';

export function runAssigned(assignment: IoAssignment): Promise<void> {
  return runIo(assignment, (message) => parentPort?.postMessage(message));
}

if (!isMainThread) void runAssigned(workerData as IoAssignment);
