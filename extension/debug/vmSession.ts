/**
 * What the editor adds to a debug session of ours: serial terminals, progress while it starts, and a message
 * when its VM process dies or the host fails it. Follows the session by the DAP messages that pass; the debug
 * adapter itself knows nothing about VS Code.
 */
import * as vscode from 'vscode';
import type { CoreExit, CoreProcess } from '../../vmm-core/client/spawnCore.ts';
import type { SerialBackend } from '../../vmm-core/config/serialBackend.ts';
import type { HostCheckPanel } from '../hostCheck.ts';
import type { SerialTerminals } from '../terminal/serialTerminal.ts';
import { describeExit, isClean, release, type VmProcesses } from '../vmProcess.ts';
import { SerialConnection } from './serialConnection.ts';
import { StartProgress } from './startProgress.ts';

/** Control sockets of the VMs of this window's sessions, by the session's id. */
export type SessionSockets = ReadonlyMap<string, string>;

export interface SessionServices {
  readonly log: vscode.LogOutputChannel;
  readonly processes: VmProcesses;
  readonly terminals: SerialTerminals;
  readonly hostCheck: HostCheckPanel;
  /** Kept here. */
  readonly sockets: Map<string, string>;
}

/** Body of the debug adapter's `vmm.started` event: the VM exists, paused. */
interface VmStarted {
  readonly socket: string;
  readonly name?: string;
  readonly serial: readonly ({ readonly port: number } & SerialBackend)[];
}

/** Body of its `vmm.trouble` event: the host fails the VM, which runs on. */
interface VmTrouble {
  readonly message: string;
}

/** The parts of DAP messages that we use. */
interface DapMessage {
  readonly type: 'request' | 'response' | 'event';
  readonly command?: string;
  readonly event?: string;
  readonly success?: boolean;
  readonly body?: unknown;
}

/** The debug adapter's id for "the host refuses" (USER_ERROR.host). */
const HOST_ERROR_ID = 1002;
/** The next core starts only after this one had the processors to itself while booting. */
const WARM_UP_DELAY_MS = 1000;

export function registerVmSessions(services: SessionServices): vscode.Disposable {
  return vscode.debug.registerDebugAdapterTrackerFactory('vmm', {
    createDebugAdapterTracker: (session) => new VmSession(session, services),
  });
}

class VmSession implements vscode.DebugAdapterTracker {
  readonly #session: vscode.DebugSession;
  readonly #services: SessionServices;
  readonly #progress: StartProgress;
  /** The process that resolveConfig.ts took for this session; none when it attached to someone else's VM. */
  readonly #core: CoreProcess | undefined;
  #serial: SerialConnection | undefined;

  constructor(session: vscode.DebugSession, services: SessionServices) {
    this.#session = session;
    this.#services = services;
    this.#progress = new StartProgress(session);
    const socket: unknown = session.configuration['__coreSocket'];
    this.#core = typeof socket === 'string' ? services.processes.get(socket) : undefined;
    void this.#core?.exited.then((exit) => this.#coreGone(exit));
  }

  onWillReceiveMessage(message: DapMessage): void {
    if (message.command === 'launch' || message.command === 'attach') this.#progress.begin();
  }

  onDidSendMessage(message: DapMessage): void {
    if (message.type === 'event' && message.event === 'vmm.started') this.#started(message.body as VmStarted);
    if (message.type === 'event' && message.event === 'vmm.trouble')
      this.#showError(`${this.#session.name}: ${(message.body as VmTrouble).message}.`);
    if (message.type !== 'response') return;
    if (message.command !== 'launch' && message.command !== 'attach') return;
    this.#progress.end();
    const { error } = (message.body ?? {}) as { readonly error?: { readonly id?: number } };
    const isHostError = message.success === false && error?.id === HOST_ERROR_ID;
    if (isHostError) void this.#services.hostCheck.showWhenUnusable();
  }

  /** Mostly the closed pipe of an adapter that has ended. */
  onError(error: Error): void {
    this.#services.log.debug(`debug adapter: ${error.message}`);
  }

  onExit(): void {
    this.#progress.end();
    this.#services.sockets.delete(this.#session.id);
    if (this.#core !== undefined) release(this.#core);
    setTimeout(() => this.#services.processes.warmUp(), WARM_UP_DELAY_MS);
  }

  #started(vm: VmStarted): void {
    const { log, processes, terminals, sockets } = this.#services;
    sockets.set(this.#session.id, vm.socket);
    setTimeout(() => processes.warmUp(), WARM_UP_DELAY_MS);
    this.#serial = new SerialConnection({
      socket: vm.socket,
      name: this.#session.name,
      ports: vm.serial.filter((it) => it.kind === 'client').map((it) => it.port),
      terminals,
      describeLoss: () => this.#describeLoss(),
    });
    this.#serial.open().catch((error: unknown) => {
      const text = error instanceof Error ? error.message : String(error);
      log.error(`serial ports of ${this.#session.name}: ${text}`);
      void vscode.window.showErrorMessage(
        `The serial ports of "${this.#session.name}" cannot be opened: ${text}.`,
      );
    });
  }

  /** For the terminals, when the VM itself reported nothing. */
  async #describeLoss(): Promise<string> {
    if (this.#core === undefined) return 'the connection to the VM is lost';
    const exit = await this.#core.exited;
    return isClean(exit) ? 'the VM was stopped' : `the VM process ${describeExit(exit)}`;
  }

  async #coreGone(exit: CoreExit): Promise<void> {
    await this.#serial?.closed;
    if (this.#serial?.sawEnd === true || isClean(exit)) return;
    const what = describeExit(exit);
    void vscode.debug.stopDebugging(this.#session);
    this.#showError(
      `The VM process of "${this.#session.name}" ${what}, so the debug session has ended. Press F5 to start it again.`,
    );
  }

  /** With a button: VS Code shows all of such a message, and until it is closed. */
  #showError(message: string): void {
    const showLog = 'Show Log';
    void vscode.window.showErrorMessage(message, showLog).then((choice) => {
      if (choice === showLog) this.#services.log.show();
    });
  }
}
