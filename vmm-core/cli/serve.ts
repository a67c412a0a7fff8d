/**
 * `vmm serve`: a core that waits for its VM, with everything done that can be done before. Prints
 * `{"socket": PATH}` and serves until its VM ends, or until stdin closes before it has one: its parent is
 * gone.
 */
import { socketPath } from '../client/runtimeDir.ts';
import { tellVmCreated } from '../code/vmCreated.ts';
import { Core } from '../control/core.ts';
import { ControlServer } from '../control/jsonRpc/server.ts';
import { KvmError, KvmUnavailableError } from '../errors.ts';
import { log } from '../log.ts';
import type { CoreReady } from '../client/spawnCore.ts';
import { fail, isForUser } from './arguments.ts';

export async function serve(): Promise<number> {
  const core = new Core();
  const server = new ControlServer(core);
  core.onCreated = tellVmCreated;
  const over = new Promise<void>((resolve) => {
    core.onOver = () => resolve();
    const orphaned = (): void => {
      if (!core.hasVm) resolve();
    };
    process.stdin.resume().once('end', orphaned).once('close', orphaned).on('error', orphaned);
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
      process.on(signal, () => {
        core.end(`the VM's process was told to end (${signal})`); // its clients hear it before they lose their connection
        resolve();
      });
    }
  });
  process.stdout.on('error', () => undefined); // the reader left after the first line
  let ready: CoreReady;
  try {
    ready = { socket: socketPath(await server.listen(`warm-${process.pid}`)) };
  } catch (error) {
    if (isForUser(error)) return fail(error.message);
    throw error;
  }
  process.stdout.write(`${JSON.stringify(ready)}\n`);
  warm(core);
  await over;
  if (core.hasVm) await core.vm.disksClosed();
  await server.close();
  return 0;
}

/**
 * What this host or this process lacks, KVM or room for a VM, is told to the client that asks for a VM: now
 * there is none to tell.
 */
function warm(core: Core): void {
  try {
    core.warm();
  } catch (error) {
    const isKnown = error instanceof KvmUnavailableError || error instanceof KvmError || isForUser(error);
    if (!isKnown) throw error;
    log.warn('kvm', error.message);
  }
}
