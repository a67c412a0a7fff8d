/**
 * One vmm-core process: at most one VM, any number of clients. Decides who owns the VM, passes its events to
 * every client, and tells when the VM is over. Main thread. `vmm serve` starts it empty, `vmm run` with a VM.
 */
import type { VmConfig } from '../config/vmConfig.ts';
import type { Hit } from '../debug/breakpoints.ts';
import { StateError } from '../errors.ts';
import { log } from '../log.ts';
import { loadDevices } from '../machine/loadDevices.ts';
import { coolDown, warmUp, type WarmParts } from '../machine/warmParts.ts';
import type { Change } from '../protocol/changes.ts';
import { hex } from '../protocol/hex.ts';
import type { StopEvent } from '../protocol/run.ts';
import type { VmEnd, VmInfo } from '../protocol/vm.ts';
import { version } from '../version.ts';
import { Vm, type VmEvents } from '../vm.ts';
import type { Client } from './client.ts';
import { ResetNotices } from './resetNotices.ts';

/** What a client can know of the process and its VM, except the protocol version. */
export type CoreInfo = Omit<VmInfo, 'protocolVersion'>;

export class Core implements VmEvents {
  readonly #makeParts: () => WarmParts;
  readonly #clients = new Set<Client>();
  readonly #resets = new ResetNotices((message) => this.#tell((client) => client.onReset(message)));
  #owner: Client | undefined;
  #warm: WarmParts | undefined;
  #vm: Vm | undefined;
  #name: string | undefined;
  /** Listens under the VM's name; set by the server. Returns the free name it took. */
  publish: (name: string) => Promise<string> = (name) => Promise.resolve(name);
  /** Called once when a client has created the VM. */
  onCreated: () => void = () => undefined;
  /** Called once when the VM is over and all clients have been told. */
  onOver: (end: VmEnd) => void = () => undefined;

  /** `makeParts` makes what does not depend on a configuration. */
  constructor(makeParts = (): WarmParts => warmUp({ thread: true })) {
    this.#makeParts = makeParts;
  }

  /** The VM. Throws StateError when there is none yet. */
  get vm(): Vm {
    if (this.#vm === undefined) throw new StateError('no VM has been created yet');
    return this.#vm;
  }

  get hasVm(): boolean {
    return this.#vm !== undefined;
  }

  /** Does early the work that does not depend on a configuration. Throws KvmUnavailableError. */
  warm(): WarmParts {
    this.#warm ??= this.#makeParts();
    return this.#warm;
  }

  /** Throws what Vm throws; the core is then still empty and can be asked again. */
  async create(config: VmConfig, owner: Client): Promise<CoreInfo> {
    await loadDevices(config);
    if (this.#vm !== undefined) throw new StateError('this process has a VM already');
    if (!this.#clients.has(owner)) throw new StateError('the client that wanted the VM went away');
    const warm = this.warm();
    this.#warm = undefined; // its parts belong to the VM, even if creating it fails
    const vm = this.#assemble(config, warm);
    this.#owner = owner;
    await this.adopt(vm);
    this.onCreated();
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

  /** Serves a VM that `vmm run` made, under its name, or `name-2` … when a live VM has that. */
  async adopt(vm: Vm): Promise<void> {
    this.#vm = vm;
    this.#name = await this.publish(vm.machine.config.name);
  }

  info(): CoreInfo {
    const base = { version: version(), pid: process.pid };
    const vm = this.#vm;
    if (vm === undefined) return { ...base, state: 'empty' };
    const { config, boot } = vm.machine;
    return {
      ...base,
      state: vm.state,
      config: { ...config, name: this.#name ?? config.name },
      bootProtocol: boot.protocol,
      entry: hex(boot.entry),
      ...(vm.end === undefined ? {} : { end: vm.end }),
    };
  }

  addClient(client: Client): void {
    this.#clients.add(client);
    log.debug('control', 'client connected', { client: client.name });
  }

  /** The client is gone. Its breakpoints go with it; if it owned the VM, the VM ends. */
  removeClient(client: Client): void {
    if (!this.#clients.delete(client)) return;
    const vm = this.#vm;
    if (vm === undefined || vm.end !== undefined) return;
    if (this.#owner === client) {
      void vm.kill('the client that started the VM went away');
      return;
    }
    vm.setBreakpoints(client, []).catch(() => undefined); // nobody is left to tell
  }

  /** Ends the VM, if there is one. */
  end(message: string): void {
    void this.#vm?.kill(message);
  }

  /** The owner detaches: its end no longer ends the VM. */
  detach(client: Client): void {
    if (this.#owner === client) this.#owner = undefined;
  }

  onStopped(event: Omit<StopEvent, 'breakpointIds'>, hits: readonly Hit[]): void {
    this.#resets.flush();
    this.#tell((client) => client.onStopped({ ...event, breakpointIds: idsOf(client, hits) }));
  }

  onResumed(): void {
    this.#resets.flush();
    this.#tell((client) => client.onResumed());
  }

  onReset(message: string): void {
    log.guest('vm', message, undefined, 'info');
    this.#resets.reset(message);
  }

  onEnded(end: VmEnd): void {
    this.#resets.flush();
    log.info('vm', end.message);
    this.#tell((client) => client.onEnded(end));
    this.onOver(end);
  }

  /** `by` has written registers or memory. */
  onChanged(change: Change, by: Client): void {
    this.#tell((client) => {
      if (client !== by) client.onChanged(change);
    });
  }

  onOutputLost(message: string): void {
    log.error('serial', message);
    this.tellTrouble(message);
  }

  onTrouble(message: string): void {
    log.error('host', message);
    this.tellTrouble(message);
  }

  /** Without the log: for a command that shows it to its own user. */
  tellTrouble(message: string): void {
    this.#tell((client) => client.onTrouble(message));
  }

  debuggerPresent(): boolean {
    return [...this.#clients].some((client) => client.isDebugger);
  }

  #tell(news: (client: Client) => void): void {
    this.#clients.forEach(news);
  }
}

/** The client's own among the breakpoints that were hit. */
function idsOf(client: Client, hits: readonly Hit[]): number[] {
  return hits.flatMap(({ owner, id }) => (owner === client && id !== undefined ? [id] : []));
}
