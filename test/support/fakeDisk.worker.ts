/** An I/O thread that knows the fake disk. */
import { parentPort, workerData } from 'node:worker_threads';
import { runIo } from '../../vmm-core/io/runIo.ts';
import type { IoAssignment } from '../../vmm-core/io/messages.ts';
import { fakeDisk } from './fakeDisk.ts';

void runIo(workerData as IoAssignment, (message) => parentPort?.postMessage(message), [fakeDisk]);
