/** This user's VMs on this machine: whatever started them, they listen in one known place. */
import { lstatSync, rmSync } from 'node:fs';
import type { VmConfig } from '../config/vmConfig.ts';
import type { VmInfo } from '../protocol/vm.ts';
import { socketNames, socketPath } from './runtimeDir.ts';
import { ConnectError, connectVmm } from './vmmClient.ts';

export interface RunningVm {
  readonly name: string;
  /** Control socket. */
  readonly socket: string;
  readonly pid: number;
  readonly state: 'paused' | 'running';
  /** The name it was started with. */
  readonly config: VmConfig;
}

/** The longest that a list may take. */
const PATIENCE_MS = 5000;

/**
 * Every VM that answers, by name; sockets of dead ones are removed. Warm cores without a VM and ended VMs
 * are left out. `client` is the caller's name in the VMs' logs; `onSilent` gets a sentence for each listener
 * that may be a busy VM. Throws RuntimeDirError.
 */
export async function runningVms(
  client: string,
  onSilent: (message: string) => void = () => undefined,
): Promise<RunningVm[]> {
  const vms = await Promise.all(socketNames().map((name) => ask(name, client, onSilent)));
  return vms.filter((it) => it !== undefined);
}

async function ask(
  name: string,
  identity: string,
  onSilent: (message: string) => void,
): Promise<RunningVm | undefined> {
  const socket = socketPath(name);
  const inode = inodeOf(socket);
  try {
    const client = await connectVmm(socket, { client: identity }, { patienceMs: PATIENCE_MS });
    client.dispose();
    return running(name, socket, client.info);
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error;
    // A dead socket never comes back to life, but its name may belong to a new VM by now
    // (control/jsonRpc/listen.ts).
    if (error.kind === 'stale' && inodeOf(socket) === inode) rmSync(socket, { force: true });
    if (error.kind === 'silent') onSilent(error.message);
    return undefined;
  }
}

function inodeOf(path: string): number | undefined {
  return lstatSync(path, { throwIfNoEntry: false })?.ino;
}

function running(name: string, socket: string, info: VmInfo): RunningVm | undefined {
  const { config, pid, state } = info;
  // A warm core that got its VM listens at two sockets; the one with the VM's name counts.
  if (config === undefined || config.name !== name) return undefined;
  return state === 'paused' || state === 'running' ? { name, socket, pid, state, config } : undefined;
}
