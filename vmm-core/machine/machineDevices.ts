/**
 * A machine's devices as the main thread has them: the plan, the registers, the timers, and what of the host
 * is behind them.
 */
import type { Backend } from '../backends/backend.ts';
import { BackendSet } from '../backends/backendSet.ts';
import { DeviceTimers } from '../backends/deviceTimers.ts';
import type { VmConfig } from '../config/vmConfig.ts';
import { allocateDevices, buildDevices, type BuiltDevice, type DeviceSet } from '../devices/buildDevices.ts';
import { hostClock } from '../devices/clock.ts';
import { type BackendHost, WAKE_EVENT } from '../devices/device.ts';
import type { GuestPower } from '../devices/guestPower.ts';
import type { MachinePlan } from '../devices/machinePlan.ts';
import { planMachine } from '../devices/planner.ts';
import type { GuestMemory, RamSlot } from '../memory/guestMemory.ts';
import { serviceWaker } from '../io/serviceWaker.ts';
import { kvmDoorbells } from '../kvm/doorbell.ts';
import { closeFd, createEventFd } from '../kvm/libc.ts';
import { kvmMsi } from '../kvm/msi.ts';
import { kvmIrqLine } from '../kvm/vm.ts';
import type { IoMessage } from '../io/messages.ts';
import { log } from '../log.ts';
import { IoThreads } from './ioThreads.ts';

export interface MachineDevicesOptions {
  readonly config: VmConfig;
  readonly vmFd: number;
  readonly memory: GuestMemory;
  readonly power: GuestPower;
  /** See DeviceHost. */
  readonly holdGuest: (isOver: () => boolean) => void;
  /** Something the guest writes is lost from here on; `message` is a sentence for the user. */
  readonly onLost: (message: string) => void;
  /** See BackendHost. */
  readonly onTrouble: (message: string) => void;
  readonly onStuck: (message: string) => void;
  readonly onHalted: () => void;
  /** An I/O thread died: a bug of ours. */
  readonly onIoCrash: (error: Error) => void;
}

export class MachineDevices {
  readonly plan: MachinePlan;
  /** For the other threads, which build the same over it. */
  readonly memory: SharedArrayBuffer;
  /** The eventfds of the plan's doorbells. */
  readonly doorbellFds: readonly number[];
  readonly ioThreads: IoThreads;
  readonly set: DeviceSet;
  readonly backends: BackendSet;
  /** In the order of the plan. */
  readonly #opened: readonly (Backend | undefined)[];
  readonly #timers: DeviceTimers;
  #isOutputStuck = false;

  /** In power-on state. Throws UserError when a back end cannot be opened: then nothing is left open. */
  constructor({ config, vmFd, memory, power, holdGuest, onIoCrash, ...told }: MachineDevicesOptions) {
    this.plan = planMachine(config);
    this.memory = allocateDevices(this.plan);
    this.doorbellFds = this.plan.doorbellStates.map(createEventFd);
    this.ioThreads = new IoThreads(
      this.plan.devices.map(({ resources }) => resources.ioThread),
      { onMessage: (message) => this.receive(message), onCrash: onIoCrash },
    );
    this.#timers = new DeviceTimers((device) => this.#built(device)?.device?.onTimer?.());
    this.set = buildDevices(this.plan, this.memory, {
      clock: hostClock,
      power,
      irqLine: (gsi) => kvmIrqLine(vmFd, gsi),
      doorbell: kvmDoorbells(vmFd, this.doorbellFds),
      msi: kvmMsi(vmFd),
      holdGuest,
      arm: (device, delayMs) => this.#timers.arm(device, delayMs),
      notify: (device, event, value) => this.backends.onEvent(device, event, value),
      wakeService: serviceWaker(this.plan, this.ioThreads.wakeFds, (device) =>
        this.backends.onEvent(device, WAKE_EVENT, 0),
      ),
      outputWaitMs: 0,
    });
    const onBehind = (): void => void (this.#isOutputStuck = true);
    try {
      this.#opened = openBackends(this.set.devices, this.ioThreads, { memory, onBehind, ...told });
    } catch (error) {
      this.#closeEventFds();
      throw error;
    }
    this.backends = new BackendSet([...this.#opened, ...this.ioThreads.asBackends]);
    for (const { device } of this.set.devices) device?.powerOn?.();
    this.reset();
  }

  /** Main runs a vCPU itself, and what that prints waits for main's event loop. */
  get isOutputStuck(): boolean {
    return this.#isOutputStuck;
  }

  /** Interrupts that are levels, not edges. */
  get levelIrqs(): readonly number[] {
    return this.plan.irqs.filter(({ trigger }) => trigger === 'level').map(({ gsi }) => gsi);
  }

  /** The rest of the machine is not to be had: before a guest has run. */
  discard(): void {
    this.backends.close();
    if (!this.ioThreads.areStarted) this.#closeEventFds();
  }

  /** vCPUs are stopped. */
  reset(): void {
    for (const { device } of this.set.devices) device?.reset?.();
  }

  /** From a device in another thread. */
  receive(message: Exclude<IoMessage, { kind: 'quiet' | 'closed' }>): void {
    const { device } = message;
    switch (message.kind) {
      case 'timer':
        return this.#timers.arm(device, message.delayMs);
      case 'notify':
        return this.backends.onEvent(device, message.event, message.value);
      case 'tell':
        return this.#opened[device]?.onMessage?.(message.message);
    }
  }

  /** The rest of the machine is there. Throws UserError when the user wants an engine that is not. */
  startIoThreads(vmName: string, vmFd: number, ram: readonly RamSlot[]): void {
    const { plan, memory, doorbellFds } = this;
    const opened = new Map(this.#opened.map((it, device) => [device, it?.opened]));
    this.ioThreads.start(
      { vmName, vmFd, ram, plan, deviceMemory: memory, doorbellFds, opened, logLevel: log.level },
      this.set.devices,
    );
  }

  /**
   * vCPUs are about to run: while its output ring is full, one may sleep. A kick (vcpu/kick.ts) takes that
   * back.
   */
  letOutputWait(): void {
    for (const ring of this.set.rings) ring.hurried = false;
  }

  /** False when the guest has not enabled the button. */
  powerButton(): boolean {
    return this.set.devices.some(({ device }) => device?.powerButton?.() === true);
  }

  /** See Device. */
  get powersOffByReset(): boolean {
    return this.set.devices.some(({ device }) => device?.powersOffByReset?.() === true);
  }

  #closeEventFds(): void {
    for (const fd of [...this.doorbellFds, ...Object.values(this.ioThreads.wakeFds)]) closeFd(fd);
  }

  /** See IoThreads. */
  shutDown(): Promise<boolean> {
    return this.ioThreads.shutDown(() => this.backends.ended());
  }

  #built(device: number): BuiltDevice | undefined {
    return this.set.devices[device];
  }
}

/** Throws UserError: then none is left open. */
function openBackends(
  devices: readonly BuiltDevice[],
  ioThreads: IoThreads,
  host: BackendHost,
): readonly (Backend | undefined)[] {
  const opened: (Backend | undefined)[] = [];
  try {
    devices.forEach(({ deviceClass, planned, state, device }, index) => {
      const { name, instance, resources } = planned;
      const send = (message: unknown): void => ioThreads.send(resources.ioThread ?? '', index, message);
      const port = device && { name, state, device, send, ...host };
      opened.push(port && deviceClass.backend?.(instance, port));
    });
    return opened;
  } catch (error) {
    for (const backend of opened) backend?.close();
    throw error;
  }
}
