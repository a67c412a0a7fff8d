/**
 * OpenBSD's VM control interface, which asks a guest without ACPI to shut down, and tells it the time. Its
 * registers are touched by vCPU threads; powerButton() and onTimer() run on main. As on vmd the guest is
 * asked to reboot, and its reset is the end: a kernel without ACPI that powers down waits for a key.
 */
import * as virtio from '../../abi/virtioPci.ts';
import { VIRTIO_CONFIG_S_DRIVER_OK } from '../../abi/virtioConfig.ts';
import * as abi from '../../abi/vmmci.ts';
import type { Backend } from '../../backends/backend.ts';
import type { BusDevice } from '../../bus/busDevice.ts';
import { bytes, clearFields, type Registers, type StateBlock, u32, u64, u8 } from '../../bus/stateBlock.ts';
import type { VmConfig } from '../../config/vmConfig.ts';
import type { Clock } from '../clock.ts';
import type { BackendPort, Device, DeviceClass, DeviceHost } from '../device.ts';
import type { PciResources } from './pciResources.ts';

const TIME_BYTES = abi.VMMCI_CONFIG_BYTES - abi.VMMCI_CONFIG_TIME_SEC;

const STATE = {
  features: u32, // what the driver has taken
  status: u8,
  isr: u8,
  command: u32,
  isAcknowledged: u8, // 1: the driver has written `command` back
  isAsked: u8, // 1: the guest shall end, whatever its driver does: its next reset is that
  due: u64, // when the guest shall have reset the machine, on the monotonic clock; 0: it need not
  armed: u64, // when onTimer() comes, on that clock; 0: it does not
  time: bytes(TIME_BYTES), // of the host, at the last reading
};
type State = typeof STATE;

const OFFERED = (1 << abi.VMMCI_F_TIMESYNC) | (1 << abi.VMMCI_F_ACK);
/** There is no MSI-X. */
const CONFIG = virtio.VIRTIO_MSI_CONFIG_VECTOR;
const BAR_BYTES = 64;
/** As long as vmd waits: for the driver to say that it obeys, and then for the guest. */
const ACK_MS = 3000;
const SHUTDOWN_MS = 120_000;
/** And for the reset of a guest that was not asked. */
const HALT_MS = ACK_MS;

const OVERDUE = 'overdue';
const HALTED = 'halted';

const PCI: PciResources = {
  ids: {
    vendorId: abi.PCI_VENDOR_OPENBSD,
    deviceId: abi.PCI_PRODUCT_OPENBSD_CONTROL,
    revisionId: 0,
    classCode: 0x07_80_00, // a communication controller that is no other
    subsystemVendorId: abi.PCI_VENDOR_OPENBSD,
    subsystemId: abi.PCI_PRODUCT_VIRTIO_VMMCI,
  },
  bars: [{ index: 0, kind: 'io', sizeBytes: BAR_BYTES }],
  hasInterruptPin: true,
};

export const vmmci: DeviceClass<object, State> = {
  id: 'vmmci',
  state: STATE,
  instances: ({ guestControl }: VmConfig) => (guestControl === true ? [{}] : []),
  resources: () => ({ pci: PCI }),
  build: (_, host) => new Vmmci(host),
  backend: (_, port) => endsOverdueVm(port),
};

function endsOverdueVm(port: BackendPort<State>): Backend {
  return {
    onEvent: (event) => {
      if (event === OVERDUE) port.onStuck('the guest was asked to shut down, and did not');
      if (event === HALTED) port.onHalted();
    },
    close: () => undefined,
  };
}

export class Vmmci implements Device {
  readonly name: string;
  readonly bars: readonly BusDevice[];
  readonly #state: StateBlock<State>;
  readonly #regs: Registers<State>;
  readonly #host: DeviceHost<State>;
  readonly #clock: Clock;

  constructor(host: DeviceHost<State>) {
    this.name = host.name;
    this.#host = host;
    this.#state = host.state;
    this.#regs = host.state.regs;
    this.#clock = host.clock;
    this.bars = [
      {
        name: host.name,
        read: (offset, sizeBytes) => this.#read(offset, sizeBytes),
        write: (offset, _, value) => this.#write(offset, value),
      },
    ];
  }

  /** All of it is behind the BAR. */
  read(): number {
    return 0xffff_ffff;
  }

  write(): void {
    // see read()
  }

  reset(): void {
    this.#state.locked(() => this.#clear());
  }

  /** False: the guest has no driver for it that is ready. Asked twice is as once. */
  powerButton(): boolean {
    return this.#state.locked(() => {
      const regs = this.#regs;
      if ((regs.status & VIRTIO_CONFIG_S_DRIVER_OK) === 0) return false;
      if (regs.command === abi.VMMCI_REBOOT) return true;
      regs.command = abi.VMMCI_REBOOT;
      regs.isAsked = 1;
      regs.isr |= virtio.VIRTIO_PCI_ISR_CONFIG;
      this.#host.pci?.setPin(true);
      const saysSo = (regs.features & (1 << abi.VMMCI_F_ACK)) !== 0;
      this.#expect(saysSo ? ACK_MS : SHUTDOWN_MS);
      return true;
    });
  }

  powersOffByReset(): boolean {
    return this.#regs.isAsked !== 0;
  }

  onTimer(): void {
    const event = this.#state.locked(() => {
      const { due, isAsked } = this.#regs;
      this.#regs.armed = 0n;
      if (due === 0n) return undefined;
      const leftNs = due - this.#clock.monotonicNs();
      if (leftNs > 0n) {
        this.#arm(Number(leftNs / 1_000_000n) + 1);
        return undefined;
      }
      this.#regs.due = 0n;
      return isAsked !== 0 ? OVERDUE : HALTED;
    });
    if (event !== undefined) this.#host.notify(event);
  }

  #read(offset: number, sizeBytes: number): number {
    return this.#state.locked(() => {
      const view = this.#registers();
      if (offset === CONFIG + abi.VMMCI_CONFIG_TIME_SEC) this.#takeTime(view);
      if (offset === virtio.VIRTIO_PCI_ISR) {
        this.#regs.isr = 0;
        this.#host.pci?.setPin(false);
      }
      let value = 0;
      for (let i = sizeBytes - 1; i >= 0; i--) value = value * 256 + view.getUint8((offset + i) % BAR_BYTES);
      return value;
    });
  }

  /** As they read; there are no queues. */
  #registers(): DataView {
    const { features, status, isr, command, time } = this.#regs;
    const view = new DataView(new ArrayBuffer(BAR_BYTES));
    view.setUint32(virtio.VIRTIO_PCI_HOST_FEATURES, OFFERED, true);
    view.setUint32(virtio.VIRTIO_PCI_GUEST_FEATURES, features, true);
    view.setUint8(virtio.VIRTIO_PCI_STATUS, status);
    view.setUint8(virtio.VIRTIO_PCI_ISR, isr);
    view.setUint32(CONFIG + abi.VMMCI_CONFIG_COMMAND, command, true);
    new Uint8Array(view.buffer).set(time, CONFIG + abi.VMMCI_CONFIG_TIME_SEC);
    return view;
  }

  /** Drivers read it in four halves: all of one time. */
  #takeTime(view: DataView): void {
    const ms = BigInt(this.#clock.wallMs());
    view.setBigUint64(CONFIG + abi.VMMCI_CONFIG_TIME_SEC, ms / 1000n, true);
    view.setBigUint64(CONFIG + abi.VMMCI_CONFIG_TIME_USEC, (ms % 1000n) * 1000n, true);
    this.#regs.time.set(new Uint8Array(view.buffer, CONFIG + abi.VMMCI_CONFIG_TIME_SEC, TIME_BYTES));
  }

  #write(offset: number, value: number): void {
    this.#state.locked(() => {
      const regs = this.#regs;
      if (offset === virtio.VIRTIO_PCI_GUEST_FEATURES) regs.features = value & OFFERED;
      else if (offset === virtio.VIRTIO_PCI_STATUS && value === 0) this.#clear(regs.isAsked !== 0);
      else if (offset === virtio.VIRTIO_PCI_STATUS) regs.status = value & 0xff;
      else if (offset === CONFIG + abi.VMMCI_CONFIG_COMMAND) this.#hear(value); // Linux writes bytes
    });
  }

  /**
   * Of its own accord OpenBSD says SHUTDOWN before it resets the machine and before it halts alike: it has
   * halted when no reset comes soon.
   */
  #hear(command: number): void {
    const regs = this.#regs;
    if (regs.isAsked === 0) {
      if (command === abi.VMMCI_SHUTDOWN) this.#expect(HALT_MS);
    } else if (command === regs.command && regs.isAcknowledged === 0 && command !== abi.VMMCI_NONE) {
      regs.isAcknowledged = 1;
      this.#expect(SHUTDOWN_MS);
    }
  }

  /** With the lock held. */
  #expect(delayMs: number): void {
    this.#regs.due = this.#clock.monotonicNs() + BigInt(delayMs) * 1_000_000n;
    this.#arm(delayMs);
  }

  /** A guest that says SHUTDOWN in a loop does not fill main's queue of messages. */
  #arm(delayMs: number): void {
    const { armed } = this.#regs;
    const at = this.#clock.monotonicNs() + BigInt(delayMs) * 1_000_000n;
    if (armed !== 0n && armed <= at) return;
    this.#regs.armed = at;
    this.#host.arm(delayMs);
  }

  /** By its driver, which may do so while the guest shuts down: that is still due. */
  #clear(isEnding = false): void {
    clearFields(STATE, this.#regs, isEnding ? ['isAsked', 'due', 'armed'] : ['armed']);
    this.#host.pci?.setPin(false);
  }
}
