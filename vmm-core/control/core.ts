/**
 * One vmm-core process: at most one VM, any number of clients. Decides who owns the VM, passes its events to every client, and
 * ends the process when the VM is over. Main thread. `vmm serve` starts it empty, `vmm run` with a VM.
 */
import type { MessageStream } from '../client/messageStream.ts';
import type { VmConfig } from '../config/vmConfig.ts';
import type { Hit } from '../debug/breakpoints.ts';
import { StateError } from '../errors.ts';
import { log } from '../log.ts';
import { coolDown, warmUp, type WarmParts } from '../machine/machine.ts';
import { type Change, changed } from '../protocol/changes.ts';
import { resumed, type StopEvent, stopped } from '../protocol/run.ts';
import { ended, type VmEnd, type VmInfo, wasReset } from '../protocol/vm.ts';
import { PROTOCOL_VERSION } from '../protocol/version.ts';
import { version } from '../version.ts';
import { Vm, type VmEvents } from '../vm.ts';
import { ResetNotices } from './resetNotices.ts';

/** A connected client, as the core knows it. */
export interface Client {
  readonly connection: MessageStream;
  readonly identity: { client: string; debugger: boolean };
  /** What detaches it from each serial port it is attached to. */
  readonly serialPorts: Map<number, () => void>;
}

export class Core implements VmEvents {
  readonly #clients = new Set<Client>();
  readonly #resets = new ResetNotices((message) =>
    this.#broadcast(({ connection }) => connection.sendNotification(wasReset, { message })),
  );
  #owner: Client | undefined;
  #warm: WarmParts | undefined;
  #vm: Vm | undefined;
  #name: string | undefined;
  /** Listens under the VM's name; set by the server. Returns the name that was free. */
  publish: (name: string) => Promise<string> = (name) => Promise.resolve(name);
  /** Called once when the VM is over and all clients have been told. */
  onOver: (end: VmEnd) => void = () => undefined;

  /** The VM. Throws StateError when there is none yet. */
  get vm(): Vm {
    if (this.#vm === undefined) throw new StateError('no VM has been created yet');
    return this.#vm;
  }

  get hasVm(): boolean {
    return this.#vm !== undefined;
  }

  /** Does now what does not depend on a configuration. Throws KvmUnavailableError. */
  warm(): WarmParts {
    this.#warm ??= warmUp({ thread: true });
    return this.#warm;
  }

  /** Throws what Vm throws; the core is then still empty and can be asked again. */
  async create(config: VmConfig, owner: Client): Promise<VmInfo> {
    if (this.#vm !== undefined) throw new StateError('this process has a VM already');
    const warm = this.warm();
    this.#warm = undefined; // its parts belong to the VM, whatever comes of it
    const vm = this.#assemble(config, warm);
    this.#owner = owner;
    await this.adopt(vm);
    return this.info();
  }

  #assemble(config: VmConfig, warm: WarmParts): Vm {
    try {
      return new Vm(config, warm, this);
    } catch (error) {
      coolDown(warm);
      throw error;
    }
  }

  /** Serves a VM that `vmm run` made. Its clients find it by its name, or `name-2` … when a living VM has that. */
  async adopt(vm: Vm): Promise<void> {
    this.#vm = vm;
    this.#name = await this.publish(vm.machine.config.name);
  }

  info(): VmInfo {
    const base = { protocolVersion: PROTOCOL_VERSION, version: version(), pid: process.pid };
    const vm = this.#vm;
    if (vm === undefined) return { ...base, state: 'empty' };
    const { config, boot } = vm.machine;
    return {
      ...base,
      state: vm.state,
      config: { ...config, name: this.#name ?? config.name },
      bootProtocol: boot.protocol,
      entry: `0x${boot.entry.toString(16)}`,
      ...(vm.end === undefined ? {} : { end: vm.end }),
    };
  }

  addClient(client: Client): void {
    this.#clients.add(client);
    log.debug('control', 'client connected', { client: client.identity.client });
  }

  /** The connection is gone. Its breakpoints go with it; if it owned the VM, the VM ends. */
  removeClient(client: Client): void {
    if (!this.#clients.delete(client)) return;
    for (const detach of client.serialPorts.values()) detach();
    const vm = this.#vm;
    if (vm === undefined || vm.end !== undefined) return;
    if (this.#owner === client) {
      void vm.kill('the client that started the VM went away');
      return;
    }
    void vm.runControl.hold(() => vm.breakpoints.replace(client, [])).catch(ignore);
  }

  /** Ends the VM, if there is one. */
  end(message: string): void {
    void this.#vm?.kill(message);
  }

  /** The owner lets go: its end no longer ends the VM. */
  detach(client: Client): void {
    if (this.#owner === client) this.#owner = undefined;
  }

  onStopped(event: Omit<StopEvent, 'breakpointIds'>, hits: readonly Hit[]): void {
    this.#resets.flush();
    this.#broadcast((client) => {
      const breakpointIds = hits.flatMap(({ owner, id }) =>
        owner === client && id !== undefined ? [id] : [],
      );
      return client.connection.sendNotification(stopped, { ...event, breakpointIds });
    });
  }

  onResumed(): void {
    this.#resets.flush();
    this.#broadcast(({ connection }) => connection.sendNotification(resumed, {}));
  }

  onReset(message: string): void {
    log.guest('vm', message, undefined, 'info');
    this.#resets.reset(message);
  }

  onEnded(end: VmEnd): void {
    this.#resets.flush();
    log.info('vm', end.message);
    this.#broadcast(({ connection }) => connection.sendNotification(ended, end));
    this.onOver(end);
  }

  /** `by` has written registers or memory. */
  onChanged(change: Change, by: Client): void {
    this.#broadcast((client) =>
      client === by ? Promise.resolve() : client.connection.sendNotification(changed, change),
    );
  }

  onOutputLost(message: string): void {
    log.error('serial', message);
  }

  debuggerPresent(): boolean {
    return [...this.#clients].some((client) => client.identity.debugger);
  }

  #broadcast(send: (client: Client) => Promise<void>): void {
    for (const client of this.#clients) send(client).catch(ignore);
  }
}

/** A client that is going away misses a notification; its close event follows. */
function ignore(): void {}
