/** Pairs of queues that the host's kernel serves, between the guest and a tap (vhost). On the I/O thread. */
import { EPOLLET, EPOLLIN } from '../../../abi/epoll.ts';
import { errnoText } from '../../../errors.ts';
import { useTapQueue } from '../../../kvm/net/tun.ts';
import { RINGS, VhostPair } from '../../../kvm/net/vhostNet.ts';
import type { GuestPort } from '../netLink.ts';
import type { LentPair, PairProgress, PairServer } from '../pairServer.ts';

/** Of each pair: that the driver is to be told of either ring, and that the guest has broken a rule. */
const TAGS = { receive: 0, transmit: 1, broken: 2 } as const;
const TAGS_OF_PAIR = 3;

export interface VhostHost {
  /** One a pair, of openVhostNet; owned from now on. */
  readonly vhostFds: readonly number[];
  /** The queues of the tap, as many. */
  readonly tapFds: readonly number[];
  readonly port: GuestPort;
  /** Tags of the poller from there on are free. */
  readonly firstTag: number;
  /** See PairServer. */
  readonly clear: (queue: number) => boolean;
  /** Nobody else may read that queue of the tap, or may again. */
  readonly setReading: (queue: number, isReading: boolean) => void;
}

export class VhostPairs implements PairServer {
  readonly #host: VhostHost;
  readonly #pairs: readonly VhostPair[];
  /** By pair: what is served. */
  readonly #lent: (LentPair | undefined)[];

  /** Throws KvmError when there is no descriptor left. */
  constructor(host: VhostHost) {
    const { vhostFds, port, firstTag } = host;
    this.#host = host;
    this.#pairs = vhostFds.map((fd) => new VhostPair(fd));
    this.#lent = vhostFds.map(() => undefined);
    this.#pairs.forEach(({ callFds, errFd }, pair) => {
      [...callFds, errFd].forEach((fd, i) => {
        port.poller.add(fd, firstTag + pair * TAGS_OF_PAIR + i, EPOLLIN | EPOLLET);
      });
    });
  }

  get pairs(): number {
    return this.#pairs.length;
  }

  /** How many are served now. */
  get served(): number {
    return this.#lent.filter((it) => it !== undefined).length;
  }

  /** The kernel would deal frames to queues that nobody reads. What is written to those goes all the same. */
  usePairs(count: number): void {
    const { tapFds } = this.#host;
    if (tapFds.length > 1) tapFds.forEach((fd, queue) => useTapQueue(fd, queue < count));
  }

  clear(pair: number): boolean {
    return this.#host.clear(pair);
  }

  start(pair: number, lent: LentPair): boolean {
    const { tapFds, port, setReading } = this.#host;
    const { receive, transmit, memory } = lent;
    setReading(pair, false);
    const result = this.#pair(pair).start(memory.slots, [receive, transmit], tapFds[pair] ?? -1, (bit) =>
      lent.hasFeature(bit),
    );
    if (result >= 0) {
      this.#lent[pair] = lent;
      return true;
    }
    setReading(pair, true);
    port.trouble(
      `the kernel's vhost does not serve ${port.name} (${errnoText(-result)}): the VMM moves its frames itself`,
    );
    return false;
  }

  stop(pair: number): PairProgress {
    const vhost = this.#pair(pair);
    const lent = this.#lent[pair];
    const [receive, transmit] = vhost.stop();
    this.#lent[pair] = undefined;
    // What the kernel has signalled and this thread has not been told of yet.
    for (const ring of RINGS) if (vhost.takeCalls(ring)) queueOf(lent, ring)?.interrupt();
    this.#host.setReading(pair, true);
    return { receive, transmit };
  }

  /** `tag`: from firstTag on. */
  onReady(tag: number): void {
    const lent = this.#lent[Math.floor(tag / TAGS_OF_PAIR)];
    switch (tag % TAGS_OF_PAIR) {
      case TAGS.receive:
        return lent?.receive.interrupt();
      case TAGS.transmit:
        return lent?.transmit.interrupt();
      case TAGS.broken:
        return lent?.onBroken();
    }
  }

  close(): void {
    const { poller } = this.#host.port;
    for (const it of this.#pairs) {
      [...it.callFds, it.errFd].forEach((fd) => poller.remove(fd));
      it.close();
    }
  }

  #pair(pair: number): VhostPair {
    const found = this.#pairs[pair];
    if (found === undefined) throw new RangeError(`no pair ${pair} of vhost`);
    return found;
  }
}

function queueOf(lent: LentPair | undefined, ring: (typeof RINGS)[number]) {
  return ring === TAGS.receive ? lent?.receive : lent?.transmit;
}
