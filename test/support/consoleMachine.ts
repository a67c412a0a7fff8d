/** A correct driver of a virtio console with named ports: control messages, and the ports' own queues. */
import assert from 'node:assert/strict';
import {
  VIRTIO_CONSOLE_DEVICE_READY,
  VIRTIO_CONSOLE_PORT_OPEN,
  VIRTIO_CONSOLE_PORT_READY,
  VirtioConsoleControl,
} from '../../vmm-core/abi/virtioConsole.ts';
import { VIRTIO_CONFIG_S_DRIVER_OK } from '../../vmm-core/abi/virtioConfig.ts';
import type { SerialLine } from '../../vmm-core/backends/backend.ts';
import type { ConsoleConfig } from '../../vmm-core/config/settings/consoles.ts';
import {
  CONSOLE_STATE,
  CONTROL_RECEIVEQ,
  CONTROL_TRANSMITQ,
  receiveqOf,
  transmitqOf,
} from '../../vmm-core/devices/virtio/console/consoleState.ts';
import { virtioConsole } from '../../vmm-core/devices/virtio/console/virtioConsole.ts';
import { allocateGuestMemory, type GuestMemory } from '../../vmm-core/memory/guestMemory.ts';
import { MockDriver, OFF_START, readable, writable } from './mockDriver.ts';
import { MmioDriver, VirtioMachine } from './virtioMachine.ts';

const CONTROL_BYTES = 64;
const CONTROL_BUFFERS = 8;
const QUEUE_SPACE = 0x2_0000;

/** A message of the device, and what follows it. */
export interface ControlMessage {
  readonly id: number;
  readonly event: number;
  readonly value: number;
  readonly payload: string;
}

export class NamedConsoles {
  readonly machine: VirtioMachine;
  readonly driver: MmioDriver;
  readonly memory: GuestMemory;
  readonly #queues = new Map<number, MockDriver>();
  readonly #ports: number;

  /** Status and features are done; `begin` starts it. */
  constructor(ports: readonly ConsoleConfig[]) {
    this.memory = allocateGuestMemory([{ base: 0, sizeBytes: 0x40_0000 }], OFF_START);
    this.#ports = ports.length;
    const config = { virtio: 'mmio', consoles: ports } as const;
    this.machine = new VirtioMachine(virtioConsole, CONSOLE_STATE, this.memory, config);
    this.driver = new MmioDriver(this.machine);
    this.connect();
  }

  /** As at first, and again after a reset. */
  connect(without: readonly number[] = []): void {
    this.driver.negotiate(without);
    const ids = Array.from({ length: this.#ports }, (_, i) => i + 1);
    const indexes = [
      CONTROL_RECEIVEQ,
      CONTROL_TRANSMITQ,
      ...ids.flatMap((it) => [receiveqOf(it), transmitqOf(it)]),
    ];
    for (const index of indexes) this.#setQueue(index);
    for (let i = 0; i < CONTROL_BUFFERS; i++)
      this.queue(CONTROL_RECEIVEQ).addChain([writable(CONTROL_BYTES)]);
    this.driver.status |= VIRTIO_CONFIG_S_DRIVER_OK;
  }

  /** DEVICE_READY, and PORT_READY of each that was added. Returns what was said meanwhile. */
  begin(): ControlMessage[] {
    this.say(0xffff_ffff, VIRTIO_CONSOLE_DEVICE_READY, 1);
    const added = this.told();
    const more = added.flatMap(({ id }) => {
      this.say(id, VIRTIO_CONSOLE_PORT_READY, 1);
      return this.told();
    });
    return [...added, ...more];
  }

  open(id: number, isOpen = true): void {
    this.say(id, VIRTIO_CONSOLE_PORT_OPEN, isOpen ? 1 : 0);
  }

  say(id: number, event: number, value: number): void {
    this.sayBytes(VirtioConsoleControl.bytes({ id, event, value }));
  }

  /** In buffers of these lengths. */
  sayBytes(...parts: readonly Uint8Array[]): void {
    this.queue(CONTROL_TRANSMITQ).addChain(parts.map((it) => readable(it)));
    this.driver.kick(CONTROL_TRANSMITQ);
    this.queue(CONTROL_TRANSMITQ).used();
  }

  /** What the device has said; it has the buffers again afterwards. */
  told(): ControlMessage[] {
    const queue = this.queue(CONTROL_RECEIVEQ);
    const said: ControlMessage[] = [];
    for (let some = queue.used(); some.length > 0; some = queue.used()) {
      said.push(
        ...some.map(({ head, writtenBytes }) => messageIn(queue.bytesOf(head).slice(0, writtenBytes))),
      );
      for (let i = 0; i < some.length; i++) queue.addChain([writable(CONTROL_BYTES)]);
      this.driver.kick(CONTROL_RECEIVEQ);
    }
    return said;
  }

  queue(index: number): MockDriver {
    const found = this.#queues.get(index);
    if (found === undefined) throw new Error(`queue ${index} is not used`);
    return found;
  }

  /** Ids count from 1. */
  line(id: number): SerialLine {
    return this.machine.backend?.serial?.[id - 1] ?? assert.fail(`no line ${id}`);
  }

  /** All that the port has sent from now on. */
  hear(id: number): () => string {
    const heard: Buffer[] = [];
    this.line(id).port.attach((bytes) => void heard.push(Buffer.from(bytes)));
    return () => Buffer.concat(heard).toString('latin1');
  }

  #setQueue(index: number): void {
    const base = 0x1_0000 + index * QUEUE_SPACE;
    const queue = new MockDriver({ size: 16, base, memory: this.memory, hasEventIdx: true });
    queue.setAvailIdx(0);
    queue.view.setUint16(queue.rings.device + 2, 0, true);
    this.#queues.set(index, queue);
    this.driver.setQueue(index, queue.rings);
  }
}

function messageIn(bytes: Uint8Array): ControlMessage {
  const { id, event, value } = VirtioConsoleControl.read(new DataView(bytes.buffer));
  return {
    id,
    event,
    value,
    payload: Buffer.from(bytes.subarray(VirtioConsoleControl.size)).toString('latin1'),
  };
}
