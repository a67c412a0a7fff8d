/** What a process needs before it has threads that block in the kernel and ignore their event loop. */
import { exitNow, shareHeap } from './libc.ts';

let isProcessReady = false;

/** Before the first such thread; any number of times. */
export function prepareForBlockingThreads(): void {
  if (isProcessReady) return;
  isProcessReady = true;
  shareHeap();
  // A kick is a signal that only has to interrupt KVM_RUN; without a handler it would end the process.
  process.on('SIGUSR2', () => undefined);
  // node would first terminate the threads one by one: one in the kernel does not react, and one still
  // loading koffi aborts the process (its initialisation does not survive an exception). What node does after
  // this event is lost: --cpu-prof writes nothing.
  process.on('exit', exitNow);
}
