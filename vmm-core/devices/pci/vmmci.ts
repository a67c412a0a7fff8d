/**
 * OpenBSD's VM control interface, which asks a guest without ACPI to shut down, and tells it the time. Its
 * registers are touched by vCPU threads; powerButton() and onTimer() run on main. A guest that agrees ends
 * with a reset, as on vmd: see powersOffByReset().
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
  due: u64, // when the guest shall have obeyed, on the monotonic clock; 0: nothing is asked of it
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

const OVERDUE = 'overdue';

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
        write: (offset, sizeBytes, value) => this.#write(offset, sizeBytes, value),
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
      if (regs.command === abi.VMMCI_SHUTDOWN) return true;
      regs.command = abi.VMMCI_SHUTDOWN;
      regs.isAcknowledged = 0;
      regs.isr |= virtio.VIRTIO_PCI_ISR_CONFIG;
      this.#host.pci?.setPin(true);
      const saysSo = (regs.features & (1 << abi.VMMCI_F_ACK)) !== 0;
      this.#expect(saysSo ? ACK_MS : SHUTDOWN_MS);
      return true;
    });
  }

  /** The guest shuts down, as it was asked to: what it does at the end of that is a reset. */
  powersOffByReset(): boolean {
    return this.#regs.isAcknowledged !== 0;
  }

  onTimer(): void {
    const isOverdue = this.#state.locked(() => {
      const { due } = this.#regs;
      if (due === 0n) return false;
      const leftNs = due - this.#clock.monotonicNs();
      if (leftNs > 0n) this.#host.arm(Number(leftNs / 1_000_000n) + 1);
      else this.#regs.due = 0n;
      return leftNs <= 0n;
    });
    if (isOverdue) this.#host.notify(OVERDUE);
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

  #write(offset: number, sizeBytes: number, value: number): void {
    this.#state.locked(() => {
      const regs = this.#regs;
      if (offset === virtio.VIRTIO_PCI_GUEST_FEATURES) regs.features = value & OFFERED;
      else if (offset === virtio.VIRTIO_PCI_STATUS && value === 0) this.#clear();
      else if (offset === virtio.VIRTIO_PCI_STATUS) regs.status = value & 0xff;
      else if (offset === CONFIG + abi.VMMCI_CONFIG_COMMAND && sizeBytes === 4) this.#obeyed(value);
    });
  }

  /** A guest that shuts down of its own accord says so as well. */
  #obeyed(command: number): void {
    const regs = this.#regs;
    if (command !== abi.VMMCI_SHUTDOWN || regs.isAcknowledged !== 0) return;
    const wasAsked = regs.command === command;
    regs.isAcknowledged = 1;
    if (wasAsked) this.#expect(SHUTDOWN_MS);
  }

  /** With the lock held. */
  #expect(delayMs: number): void {
    this.#regs.due = this.#clock.monotonicNs() + BigInt(delayMs) * 1_000_000n;
    this.#host.arm(delayMs);
  }

  #clear(): void {
    clearFields(STATE, this.#regs);
    this.#host.pci?.setPin(false);
  }
}
