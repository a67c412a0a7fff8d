/**
 * Pairs of queues that the host's kernel serves in place of the interface's service, where its link has that
 * (backends/net/pairServer.ts): which of them are on loan now, and what that takes. On the thread that serves
 * the interface.
 */
import type { LentQueue, PairServer } from '../../../backends/net/pairServer.ts';
import type { IoSlots } from '../../deviceService.ts';
import type { VirtioPort } from '../virtioClass.ts';
import type { NetState } from './netState.ts';

export interface KernelPairsHost {
  readonly server: PairServer;
  readonly port: VirtioPort<NetState>;
  readonly doorbells: Pick<IoSlots, 'lendDoorbell' | 'takeBackDoorbell'>;
  /** Returns to the queues of a pair what was popped and is not used, and tells the driver of the rest. */
  readonly giveBack: (pair: number) => void;
}

export class KernelPairs {
  readonly #host: KernelPairsHost;
  readonly #isLent: boolean[];
  /** The kernel cannot: it was told once. */
  #isRefused = false;
  /** Until the driver resets the device: it has broken a rule, which the queue here finds and names. */
  #isBroken = false;

  constructor(host: KernelPairsHost) {
    this.#host = host;
    this.#isLent = Array.from({ length: host.server.pairs }, () => false);
  }

  isLent(pair: number): boolean {
    return this.#isLent[pair] === true;
  }

  /** Lends the first `count` pairs as far as the driver uses them, and takes back all others. */
  settle(count: number): void {
    for (let pair = 0; pair < this.#isLent.length; pair++) {
      const isWanted = pair < count && !this.#isRefused && !this.#isBroken && this.#isInUse(pair);
      if (isWanted === this.isLent(pair)) continue;
      if (isWanted) this.#lend(pair);
      else this.#takeBack(pair);
    }
  }

  /** The driver has reset the device; nothing is on loan. */
  reset(): void {
    this.#isBroken = false;
  }

  #isInUse(pair: number): boolean {
    const { port } = this.#host;
    return port.queue(2 * pair).isInUse && port.queue(2 * pair + 1).isInUse;
  }

  #lend(pair: number): void {
    const { server, port, giveBack } = this.#host;
    if (!server.clear(pair)) return; // a kick of the driver tells of room
    giveBack(pair);
    const [receive, transmit] = [this.#lendQueue(2 * pair), this.#lendQueue(2 * pair + 1)];
    const isServed = server.start(pair, {
      ...{ receive, transmit, memory: port.memory },
      hasFeature: (bit) => port.hasFeature(bit),
      onBroken: () => {
        this.#isBroken = true;
        this.settle(0);
      },
    });
    if (isServed) this.#isLent[pair] = true;
    else {
      this.#isRefused = true;
      this.#endLoan(2 * pair, receive.nextAvail);
      this.#endLoan(2 * pair + 1, transmit.nextAvail);
    }
    this.#kick(pair);
  }

  #takeBack(pair: number): void {
    const { receive, transmit } = this.#host.server.stop(pair);
    this.#isLent[pair] = false;
    this.#endLoan(2 * pair, receive);
    this.#endLoan(2 * pair + 1, transmit);
    this.#kick(pair);
  }

  #lendQueue(index: number): LentQueue {
    const { port, doorbells } = this.#host;
    const rings = port.lend(index);
    if (rings === undefined) throw new Error(`queue ${index} cannot be lent`);
    const kickFd = doorbells.lendDoorbell(index);
    return { ...rings, kickFd, interrupt: () => port.interruptLent(index) };
  }

  #endLoan(index: number, nextAvail: number): void {
    this.#host.doorbells.takeBackDoorbell(index);
    this.#host.port.takeBack(index, nextAvail);
  }

  /** Whoever has the queues now looks at what came while nobody had them. */
  #kick(pair: number): void {
    this.#host.port.kick(2 * pair);
    this.#host.port.kick(2 * pair + 1);
  }
}
