/**
 * Gets the session its VM: a warm core given by the extension, a core of our own, or a VM that is already
 * running.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { runningVms } from '../../vmm-core/client/runningVms.ts';
import { socketPath } from '../../vmm-core/client/runtimeDir.ts';
import { type CoreProcess, spawnCore } from '../../vmm-core/client/spawnCore.ts';
import { connectVmm, type VmmClient } from '../../vmm-core/client/vmmClient.ts';
import { messageOf, USER_ERROR, UserError } from '../errors.ts';
import type { AttachArguments, LaunchArguments } from '../launchArguments.ts';
import type { Log } from '../log.ts';
import { VmTarget } from './vmTarget.ts';

/** `debugger`: a VM that cannot go on waits for us to inspect it. */
const IDENTITY = { client: 'debug-adapter', debugger: true };

export interface CreatedVm {
  readonly target: VmTarget;
  readonly socket: string;
  readonly core: CoreProcess | undefined;
}

/** Who hears of the process we start. */
export interface CoreListener {
  readonly log: Log;
  /** A warning or error of the process, for the user. */
  output(text: string, category: 'stderr'): void;
}

/** Throws UserError; nothing is left running then. */
export async function createVm(args: LaunchArguments, listener: CoreListener): Promise<CreatedVm> {
  const core = args.coreSocket === undefined ? await startCore(listener) : undefined;
  const socket = args.coreSocket ?? core?.socket ?? '';
  let client: VmmClient | undefined;
  try {
    client = await connect(socket);
    const target = new VmTarget(client);
    await target.create(args.config);
    return { target, socket, core };
  } catch (error) {
    client?.dispose();
    core?.process.kill('SIGKILL');
    throw error;
  }
}

export interface AttachedVm {
  readonly target: VmTarget;
  readonly socket: string;
  /** Its name, when none was given. */
  readonly chosen: string | undefined;
}

/**
 * `vm`: a name, or the path of a socket. Without it the VM that has the configuration's name, or the only one
 * that runs.
 */
export async function attachVm({ vm, name }: Pick<AttachArguments, 'vm' | 'name'>): Promise<AttachedVm> {
  const chosen = vm === undefined ? await chooseVm(name) : undefined;
  const wanted = vm ?? chosen ?? '';
  const socket = wanted.includes('/') ? wanted : namedSocket(wanted);
  if (!wanted.includes('/') && !existsSync(socket)) {
    const running = await namesOfRunning();
    throw new UserError(USER_ERROR.host, `no VM named "${wanted}" is running: ${whatRuns(running)}`);
  }
  const client = await connect(socket);
  if (client.info.state === 'empty') {
    client.dispose();
    throw new UserError(
      USER_ERROR.noVm,
      `the process behind ${socket} has no VM yet: launch one instead of attaching`,
    );
  }
  return { target: new VmTarget(client), socket, chosen: chosen === name ? undefined : chosen };
}

async function chooseVm(name: string | undefined): Promise<string> {
  const running = await namesOfRunning();
  if (name !== undefined && running.includes(name)) return name;
  const [only, ...others] = running;
  if (only !== undefined && others.length === 0) return only;
  throw new UserError(
    USER_ERROR.launchArguments,
    `"vm" is missing, the name of a running VM: ${whatRuns(running)}`,
  );
}

function whatRuns(running: readonly string[]): string {
  const [first] = running;
  if (first === undefined) return 'none is running; start one with "vmm run", or launch instead of attaching';
  return `${running.join(', ')} ${running.length === 1 ? 'is' : 'are'} running; write "vm": "${first}"`;
}

async function namesOfRunning(): Promise<string[]> {
  try {
    return (await runningVms(IDENTITY.client)).map((it) => it.name);
  } catch (error) {
    throw new UserError(USER_ERROR.host, messageOf(error), { cause: error });
  }
}

function namedSocket(name: string): string {
  try {
    return socketPath(name);
  } catch (error) {
    throw new UserError(USER_ERROR.host, messageOf(error), { cause: error });
  }
}

async function connect(socket: string): Promise<VmmClient> {
  try {
    return await connectVmm(socket, IDENTITY);
  } catch (error) {
    throw new UserError(USER_ERROR.host, messageOf(error), { cause: error });
  }
}

async function startCore(listener: CoreListener): Promise<CoreProcess> {
  try {
    return await spawnCore({ vmmPath: vmmPath(), onLog: (line) => hear(line, listener) });
  } catch (error) {
    throw new UserError(USER_ERROR.host, messageOf(error), { cause: error });
  }
}

/** A line of the core's log: JSON, or what Node prints when it dies. */
function hear(line: string, listener: CoreListener): void {
  listener.log('debug', 'core', line);
  try {
    const { level, message } = JSON.parse(line) as { level?: unknown; message?: unknown };
    if (typeof message === 'string' && (level === 'warn' || level === 'error')) {
      listener.output(message, 'stderr');
    }
  } catch {
    listener.output(line, 'stderr'); // not a log line: nobody should miss it
  }
}

/** The bundle beside ours; when run from source, the one built last. */
function vmmPath(): string {
  const beside = path.join(import.meta.dirname, 'vmm.js');
  return existsSync(beside) ? beside : path.join(import.meta.dirname, '..', '..', 'dist', 'vmm.js');
}
