/** Waiting for a VM that another process starts. */
import { mkdirSync, watch } from 'node:fs';
import path from 'node:path';
import { type ConnectError, connectVmm } from '../../vmm-core/client/vmmClient.ts';
import { Arrivals } from './deadline.ts';

/** Connects as soon as a process listens there. */
export async function connected(socket: string): ReturnType<typeof connectVmm> {
  const folder = path.dirname(socket);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const changes = new Arrivals<void>(`a VM at ${socket}`);
  const watcher = watch(folder, () => changes.put());
  try {
    for (;;) {
      try {
        return await connectVmm(socket, { client: 'test', debugger: true });
      } catch (error) {
        const { kind } = error as Partial<ConnectError>;
        if (kind !== 'missing' && kind !== 'stale') throw error; // stale: bound, and not listening yet
      }
      await changes.take();
    }
  } finally {
    watcher.close();
  }
}
