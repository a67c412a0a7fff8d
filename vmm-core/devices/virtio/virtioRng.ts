/** The virtio entropy device (virtio 1.2 §5.4): fills the driver's buffers with the host's random bytes. */
import { VIRTIO_ID_RNG } from '../../abi/virtioIds.ts';
import { gpa } from '../../memory/guestMemory.ts';
import { DescriptorChain } from './descriptorChain.ts';
import type { VirtioClass, VirtioInstance, VirtioPort, VirtioService } from './virtioClass.ts';
import { virtioDevice } from './virtioDevice.ts';
import { virtioState } from './virtioState.ts';

const QUEUE_SIZE = 64;
/** "Other" of the class that nothing fits. */
const CLASS_CODE = 0xff_00_00;
/** A request gets no more, as getRandomValues gives no more; the specification asks for one byte at least. */
export const MAX_REQUEST_BYTES = 64 * 1024;
const REQUESTS_AT_ONCE = 16;

const STATE = virtioState(1, 0);
type State = typeof STATE;

const rngClass: VirtioClass<VirtioInstance, State> = {
  id: 'virtio-rng',
  deviceType: VIRTIO_ID_RNG,
  classCode: CLASS_CODE,
  state: STATE,
  instances: ({ rng, virtio }) => (rng === false ? [] : [{ transport: virtio ?? 'pci' }]),
  nameOf: () => 'virtio-rng',
  features: () => [],
  queueSizes: () => [QUEUE_SIZE],
  serve: (_, port) => new RngService(port),
};

export const virtioRng = virtioDevice(rngClass);

class RngService implements VirtioService {
  readonly #port: VirtioPort<State>;
  readonly #chain = new DescriptorChain();

  constructor(port: VirtioPort<State>) {
    this.#port = port;
  }

  onKick(index: number): boolean {
    const queue = this.#port.queue(index);
    let left = REQUESTS_AT_ONCE;
    while (left > 0 && queue.pop(this.#chain)) {
      queue.push(this.#chain.head, this.#fill());
      left--;
    }
    this.#port.notifyUsed(queue);
    return left === 0;
  }

  /** Returns how many bytes. */
  #fill(): number {
    const { readable, segments, gpa: address, length } = this.#chain;
    let filled = 0;
    for (let i = readable; i < segments && filled < MAX_REQUEST_BYTES; i++) {
      const size = Math.min(length[i] ?? 0, MAX_REQUEST_BYTES - filled);
      crypto.getRandomValues(this.#port.memory.slice(gpa(address[i] ?? 0), size)); // loads nothing before
      filled += size;
    }
    return filled;
  }
}
