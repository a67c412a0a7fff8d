/**
 * A virtio device for tests of what all of them share. It has two queues, and answers a request with what is
 * in it. Its configuration space is 8 bytes, of which the driver may write the second four.
 */
import { u32 } from '../../vmm-core/bus/stateBlock.ts';
import { gpa } from '../../vmm-core/memory/guestMemory.ts';
import { DescriptorChain } from '../../vmm-core/devices/virtio/descriptorChain.ts';
import type {
  VirtioClass,
  VirtioInstance,
  VirtioPort,
  VirtioService,
  VirtioTransport,
} from '../../vmm-core/devices/virtio/virtioClass.ts';
import { virtioState } from '../../vmm-core/devices/virtio/virtioState.ts';

export const ECHO_QUEUES = 2;
export const ECHO_QUEUE_SIZE = 8;
export const ECHO_F_LOUD = 3;
/** A type that virtio 0.9 had. */
export const ECHO_TYPE = 4;

export const ECHO_STATE = { ...virtioState(ECHO_QUEUES, 8), writes: u32 };
type State = typeof ECHO_STATE;

export class EchoService implements VirtioService {
  readonly log: string[] = [];
  readonly port: VirtioPort<State>;
  /** Chains that are under way, as with I/O that takes its time. */
  held = 0;
  isHolding = false;
  readonly #chain = new DescriptorChain();

  constructor(port: VirtioPort<State>) {
    this.port = port;
  }

  onKick(index: number): boolean {
    const queue = this.port.queue(index);
    for (let done = 0; done < 4; done++) {
      if (!queue.pop(this.#chain)) {
        this.port.notifyUsed(queue);
        return false;
      }
      if (this.isHolding) this.held++;
      else queue.push(this.#chain.head, this.#answer());
    }
    this.port.notifyUsed(queue);
    return true;
  }

  onDone(): void {
    this.held--;
  }

  get isIdle(): boolean {
    return this.held === 0;
  }

  pause(): void {
    this.log.push('pause');
  }

  resume(): void {
    this.log.push('resume');
  }

  reset(): void {
    this.log.push('reset');
  }

  resetQueue(index: number): void {
    this.log.push(`reset of queue ${index}`);
  }

  #answer(): number {
    const { readable, gpa: at, length } = this.#chain;
    const from = this.port.memory.slice(gpa(at[0] ?? 0), length[0] ?? 0);
    const room = length[readable] ?? 0;
    this.port.memory.write(gpa(at[readable] ?? 0), from.subarray(0, room));
    return Math.min(from.length, room);
  }
}

export interface EchoOptions {
  readonly transport?: VirtioTransport;
  readonly ioThread?: string;
  readonly deviceType?: number;
}

/** `services` gets the service when it is made. */
export function echoClass(
  services: EchoService[],
  { transport = 'mmio', ioThread, deviceType = ECHO_TYPE }: EchoOptions = {},
): VirtioClass<VirtioInstance, State> {
  return {
    id: 'echo',
    deviceType,
    classCode: 0xff_00_00,
    state: ECHO_STATE,
    instances: () => [{ transport }],
    nameOf: () => 'echo',
    features: () => [ECHO_F_LOUD],
    queueSizes: () => Array<number>(ECHO_QUEUES).fill(ECHO_QUEUE_SIZE),
    reset: (_, { regs }) => regs.config.set([1, 2, 3, 4, 5, 6, 7, 8]),
    writeConfig: (_, { regs }, offset, sizeBytes, value) => {
      if (offset < 4) return;
      for (let i = 0; i < sizeBytes; i++) regs.config[offset + i] = value >>> (8 * i);
      regs.writes++;
    },
    ioThread: () => ioThread,
    serve: (_, port) => {
      const service = new EchoService(port);
      services.push(service);
      return service;
    },
  };
}
