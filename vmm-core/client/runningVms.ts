/** The VMs that run on this machine, of this user: whoever started them, they listen where all look. */
import { rmSync } from 'node:fs';
import type { VmConfig } from '../config/vmConfig.ts';
import type { VmInfo } from '../protocol/control.ts';
import { socketNames, socketPath } from './runtimeDir.ts';
import { ConnectError, connectVmm } from './vmmClient.ts';

export interface RunningVm {
  readonly name: string;
  /** Control socket. */
  readonly socket: string;
  readonly pid: number;
  readonly state: 'paused' | 'running';
  /** As it was started. */
  readonly config: VmConfig;
}

/**
 * Every VM that answers, by name; sockets of dead ones are removed. Warm cores without a VM and VMs that are over are left out.
 * `client` is who asks, for the VMs' logs. Throws RuntimeDirError.
 */
export async function runningVms(client: string): Promise<RunningVm[]> {
  const vms = await Promise.all(socketNames().map((name) => ask(name, client)));
  return vms.filter((it) => it !== undefined);
}

async function ask(name: string, identity: string): Promise<RunningVm | undefined> {
  const socket = socketPath(name);
  try {
    const client = await connectVmm(socket, { client: identity });
    client.dispose();
    return running(name, socket, client.info);
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error;
    if (error.kind === 'stale') rmSync(socket, { force: true });
    return undefined;
  }
}

function running(name: string, socket: string, info: VmInfo): RunningVm | undefined {
  const { config, pid, state } = info;
  // A warm core that got its VM listens at two sockets; the one with the VM's name counts.
  if (config === undefined || config.name !== name) return undefined;
  return state === 'paused' || state === 'running' ? { name, socket, pid, state, config } : undefined;
}
