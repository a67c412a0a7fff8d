/**
 * What a client may ask for, in the core's own terms: the requests of every protocol end here. Throws
 * UserError, StateError, GuestAddressError (memory/), and what the host refuses (errors.ts). Main thread.
 */
import type { DiskDrive, MemoryBalloon, NetworkInterface } from '../backends/backend.ts';
import { formatSize } from '../config/size.ts';
import type { VmConfig } from '../config/vmConfig.ts';
import type { Breakpoint, Status } from '../debug/breakpoints.ts';
import { type MemoryRange, readMemory, writeMemory } from '../debug/memoryAccess.ts';
import { readRegisters, writeRegisters } from '../debug/registers.ts';
import type { VcpuStep } from '../debug/runControl.ts';
import { savedChips, savedVcpu } from '../debug/savedState.ts';
import { StateError, UserError } from '../errors.ts';
import { deviceReport } from '../inspector/deviceReport.ts';
import { machineReport } from '../inspector/machineReport.ts';
import { type PagingState, type Translation, walk } from '../memory/pageWalk.ts';
import type { BalloonReport } from '../protocol/balloon.ts';
import type { Decoded, DeviceReport, MachineReport } from '../protocol/devices.ts';
import { hex } from '../protocol/hex.ts';
import type { CpuRegisters } from '../protocol/registers.ts';
import type { VcpuThread } from '../vcpu/vcpuThread.ts';
import type { Vm } from '../vm.ts';
import type { Client, SerialReader } from './client.ts';
import type { Core, CoreInfo } from './core.ts';
import { feedSerial } from './serialFeed.ts';

/** A breakpoint as its client requests it; `id` is echoed in the client's stops. */
export type ClientBreakpoint = Omit<Breakpoint, 'owner' | 'id'> & { readonly id: number };

/** An address in guest memory: linear, through the page tables of `cpu`, or physical. */
export interface MemoryPlace {
  readonly address: bigint;
  readonly physical: boolean;
  readonly cpu: number;
}

export class Session {
  readonly #core: Core;
  readonly #client: Client;
  /** Ends the feed of each serial port that the client is attached to. */
  readonly #serialFeeds = new Map<number, () => void>();

  /** From now on the client is told what happens. */
  constructor(core: Core, client: Client) {
    this.#core = core;
    this.#client = client;
    core.addClient(client);
  }

  /** The client is gone. Its breakpoints go with it; if it owns the VM, the VM ends. */
  close(): void {
    for (const detach of this.#serialFeeds.values()) detach();
    this.#core.removeClient(this.#client);
  }

  info(): CoreInfo {
    return this.#core.info();
  }

  /** Makes a VM owned by the client: it ends with the session, unless detached. */
  create(config: VmConfig): Promise<CoreInfo> {
    return this.#core.create(config, this.#client);
  }

  /** Detaches from the VM that this client created. */
  detach(): void {
    this.#core.detach(this.#client);
  }

  powerButton(): void {
    if (!this.#vm.machine.powerButton())
      throw new StateError('the guest does not listen to the power button');
  }

  async reset(): Promise<void> {
    await this.#vm.reset();
  }

  async kill(): Promise<void> {
    await this.#vm.kill('the VM was stopped');
  }

  /** Runs all vCPUs. No-op when running. */
  resume(): void {
    this.#vm.resume();
  }

  /** Stops all vCPUs; resolves after the clients were told. No-op when paused. */
  async pause(): Promise<void> {
    await this.#vm.runControl.pause();
  }

  /** Steps one vCPU; `onStopped` follows. */
  step(plan: VcpuStep): void {
    this.#stoppedThread(plan.cpu);
    this.#vm.step(plan);
  }

  /** Replaces all breakpoints of this client. Returns a status for each, in order. */
  async setBreakpoints(breakpoints: readonly ClientBreakpoint[]): Promise<readonly Status[]> {
    return this.#vm.setBreakpoints(this.#client, breakpoints);
  }

  readRegisters(cpu: number): CpuRegisters {
    return readRegisters(this.#stoppedThread(cpu).vcpu);
  }

  /** What the machine consists of; while running, too. */
  inspectMachine(): MachineReport {
    const { machine } = this.#vm;
    const { devices, memory, threadIds } = machine;
    return machineReport(devices, memory, threadIds, savedChips(machine.saveChips()));
  }

  /** While running, too. Of a network interface, with what its link says of itself. */
  async inspectDevice(name: string): Promise<DeviceReport> {
    const { devices, memory, networks } = this.#vm.machine;
    const found = devices.set.devices.find(({ planned }) => planned.name === name);
    if (found !== undefined) {
      const link = await networks.find((it) => it.name === name)?.report();
      const report = deviceReport(found, devices.memory, memory);
      return link === undefined ? report : { ...report, link };
    }
    const names = devices.plan.devices.map((it) => it.name).join(', ');
    throw new UserError(`there is no device ${name}: the machine has ${names}`);
  }

  /** All that KVM keeps of a vCPU. */
  inspectVcpu(cpu: number): Decoded {
    return savedVcpu(this.#vm.machine.saveVcpu(this.#stoppedThread(cpu).index));
  }

  /**
   * By the names of `readRegisters`, a segment's for its selector. All or none; the other clients are told.
   */
  writeRegisters(cpu: number, values: Readonly<Record<string, bigint>>): void {
    writeRegisters(this.#stoppedThread(cpu).vcpu, this.#vm.machine.memory, values);
    this.#core.onChanged({ kind: 'registers', cpu, names: Object.keys(values) }, this.#client);
  }

  /** As many bytes as can be read from `place` on. */
  async readMemory(place: MemoryPlace, lengthBytes: number): Promise<Uint8Array> {
    const { machine, breakpoints } = this.#vm;
    return readMemory(machine.memory, breakpoints, { ...this.#from(place), lengthBytes });
  }

  /** All or nothing. The other clients are told. */
  async writeMemory(place: MemoryPlace, data: Uint8Array): Promise<void> {
    const { machine, breakpoints, runControl } = this.#vm;
    const from = this.#from(place);
    await runControl.hold(() => writeMemory(machine.memory, breakpoints, from, data));
    const at = { address: hex(place.address), ...(place.physical ? { physical: true } : { cpu: place.cpu }) };
    this.#core.onChanged({ kind: 'memory', ...at, lengthBytes: data.length }, this.#client);
  }

  /** A walk of the page tables of `cpu`. */
  translate(address: bigint, cpu: number): Translation {
    return walk(this.#vm.machine.memory, this.#paging(cpu), address);
  }

  disks(): readonly DiskDrive[] {
    return this.#vm.machine.disks;
  }

  /** Resolves when the guest has been told. */
  async resizeDisk(disk: number, sizeBytes: number): Promise<void> {
    await this.#drive(disk).resize(sizeBytes);
  }

  /** See resizeDisk. */
  async changeDisk(disk: number, path: string): Promise<void> {
    await this.#drive(disk).change(path);
  }

  #drive(disk: number): DiskDrive {
    const drives = this.disks();
    const found = drives[disk];
    const count = drives.length === 0 ? 'no disks' : `${drives.length}, from 0`;
    if (found === undefined) throw new UserError(`there is no disk ${disk}: the VM has ${count}`);
    return found;
  }

  networks(): readonly NetworkInterface[] {
    return this.#vm.machine.networks;
  }

  /** By its name. */
  network(name: string): NetworkInterface {
    const all = this.networks();
    const found = all.find((it) => it.name === name);
    const names = all.length === 0 ? 'none' : all.map((it) => it.name).join(', ');
    if (found === undefined)
      throw new UserError(`there is no network interface "${name}": the VM has ${names}`);
    return found;
  }

  /** The guest is asked to do without so much of its memory. */
  setBalloon(sizeBytes: number): void {
    const { memoryBytes } = this.#vm.machine.config;
    if (sizeBytes < 0) throw new UserError(`a balloon of ${sizeBytes} bytes: give 0 or more`);
    if (sizeBytes >= memoryBytes) {
      const [wanted, memory] = [formatSize(sizeBytes), formatSize(memoryBytes)];
      throw new UserError(`a balloon of ${wanted}: the VM has ${memory} of memory, give less than that`);
    }
    this.#balloon.setTarget(sizeBytes);
  }

  async balloon(): Promise<BalloonReport> {
    const balloon = this.#balloon;
    const statistics = await balloon.statistics();
    const { targetBytes, actualBytes, reportedBytes, isReady } = balloon;
    return { targetBytes, actualBytes, reportedBytes, isReady, statistics };
  }

  get #balloon(): MemoryBalloon {
    const { balloon } = this.#vm.machine;
    if (balloon === undefined) throw new UserError('the VM has no memory balloon: start it with one');
    return balloon;
  }

  /** `reader` gets the port's output from now on. Returns the output so far. */
  attachSerial(port: number, reader: SerialReader): Uint8Array {
    const { serial: ports } = this.#vm;
    const serial = ports[port];
    if (serial === undefined)
      throw new UserError(`there is no serial port ${port}: ports are 0 (COM1) to ${ports.length - 1}`);
    this.#serialFeeds.get(port)?.(); // attached already: once is enough
    const { backlog, detach } = feedSerial(reader, port, serial);
    this.#serialFeeds.set(port, detach);
    return backlog;
  }

  /** Keys for a UART. */
  type(port: number, keys: Uint8Array): void {
    this.#vm.typed(port, keys);
  }

  /** Of the terminal at that port. */
  resizeSerial(port: number, columns: number, rows: number): void {
    this.#vm.resized(port, columns, rows);
  }

  get #vm(): Vm {
    return this.#core.vm;
  }

  #thread(cpu: number): VcpuThread {
    const { threads } = this.#vm.machine;
    const found = threads[cpu];
    if (found === undefined) throw new UserError(`there is no vCPU ${cpu}: the VM has ${threads.length}`);
    return found;
  }

  #stoppedThread(cpu: number): VcpuThread {
    if (this.#vm.state !== 'paused') throw new StateError('the VM is running: pause it first');
    return this.#thread(cpu);
  }

  #paging(cpu: number): PagingState {
    return this.#thread(cpu).vcpu.run.readSystem();
  }

  #from({ address, physical, cpu }: MemoryPlace): Omit<MemoryRange, 'lengthBytes'> {
    return { address, paging: physical ? undefined : this.#paging(cpu) };
  }
}
