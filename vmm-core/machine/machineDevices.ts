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
import type { GuestMemory } from '../memory/guestMemory.ts';
import { kvmDoorbells } from '../kvm/doorbell.ts';
import { createEventFd } from '../kvm/libc.ts';
import { kvmMsi } from '../kvm/msi.ts';
import { kvmIrqLine } from '../kvm/vm.ts';
import type { VcpuMessage } from '../vcpu/messages.ts';
import { serviceWaker } from '../vcpu/serviceWaker.ts';

export interface MachineDevicesOptions {
  readonly config: VmConfig;
  readonly vmFd: number;
  readonly memory: GuestMemory;
  readonly power: GuestPower;
  /** Something the guest writes is lost from here on; `message` is a sentence for the user. */
  readonly onLost: (message: string) => void;
}

export class MachineDevices {
  readonly plan: MachinePlan;
  /** For the other threads, which build the same over it. */
  readonly memory: SharedArrayBuffer;
  /** The eventfds of the plan's doorbells. */
  readonly doorbellFds: readonly number[];
  /** The eventfd that wakes each I/O thread of the plan, by the thread's name. */
  readonly ioWakeFds: Readonly<Record<string, number>>;
  readonly set: DeviceSet;
  readonly backends: BackendSet;
  readonly #timers: DeviceTimers;
  #isOutputStuck = false;

  /** In power-on state. Throws UserError when a back end cannot be opened: then none is left open. */
  constructor({ config, vmFd, memory, power, onLost }: MachineDevicesOptions) {
    this.plan = planMachine(config);
    this.memory = allocateDevices(this.plan);
    this.doorbellFds = this.plan.doorbellStates.map(createEventFd);
    this.ioWakeFds = Object.fromEntries(ioThreadsOf(this.plan).map((name) => [name, createEventFd()]));
    this.#timers = new DeviceTimers((device) => this.#built(device)?.device?.onTimer?.());
    this.set = buildDevices(this.plan, this.memory, {
      clock: hostClock,
      power,
      irqLine: (gsi) => kvmIrqLine(vmFd, gsi),
      doorbell: kvmDoorbells(vmFd, this.doorbellFds),
      msi: kvmMsi(vmFd),
      arm: (device, delayMs) => this.#timers.arm(device, delayMs),
      notify: (device, event, value) => this.backends.onEvent(device, event, value),
      wakeService: serviceWaker(this.plan, this.ioWakeFds, (device) =>
        this.backends.onEvent(device, WAKE_EVENT, 0),
      ),
      outputWaitMs: 0,
    });
    this.backends = openBackends(this.set.devices, {
      memory,
      onBehind: () => (this.#isOutputStuck = true),
      onLost,
    });
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

  /** vCPUs are stopped. */
  reset(): void {
    for (const { device } of this.set.devices) device?.reset?.();
  }

  /** From a device in another thread. */
  receive(message: Extract<VcpuMessage, { kind: 'notify' | 'timer' }>): void {
    if (message.kind === 'timer') this.#timers.arm(message.device, message.delayMs);
    else this.backends.onEvent(message.device, message.event, message.value);
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

  #built(device: number): BuiltDevice | undefined {
    return this.set.devices[device];
  }
}

function ioThreadsOf({ devices }: MachinePlan): readonly string[] {
  return [...new Set(devices.flatMap(({ resources }) => resources.ioThread ?? []))];
}

function openBackends(devices: readonly BuiltDevice[], host: BackendHost): BackendSet {
  const opened: (Backend | undefined)[] = [];
  try {
    for (const { deviceClass, planned, state, device } of devices) {
      const { name, instance } = planned;
      const port = device && { name, state, device, ...host };
      opened.push(port && deviceClass.backend?.(instance, port));
    }
    return new BackendSet(opened);
  } catch (error) {
    for (const backend of opened) backend?.close();
    throw error;
  }
}
