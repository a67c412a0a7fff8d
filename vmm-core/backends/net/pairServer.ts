/**
 * What a link has whose host can serve pairs of the guest's queues by itself (vhost): while it does, frames
 * come by neither the link nor the device. On the I/O thread.
 */
import type { GuestMemory } from '../../memory/guestMemory.ts';

/** A queue of the guest, on loan. Addresses are guest-physical and checked: all of each ring is in RAM. */
export interface LentQueue {
  readonly size: number;
  readonly desc: number;
  /** The available ring. */
  readonly driver: number;
  /** The used ring. */
  readonly device: number;
  /** The first chain that is not used yet. */
  readonly nextAvail: number;
  /** The eventfd that the driver's kicks signal. Nobody else waits for it. */
  readonly kickFd: number;
  /** Buffers were used, and the driver wants to know. */
  interrupt(): void;
}

export interface LentPair {
  readonly receive: LentQueue;
  readonly transmit: LentQueue;
  readonly memory: GuestMemory;
  /** Negotiated. Headers of frames are 12 bytes long. */
  hasFeature(bit: number): boolean;
  /** The driver has broken a rule, so that the host does no more: take the pair back, and look yourself. */
  onBroken(): void;
}

/** The first chains that are not used yet. */
export interface PairProgress {
  readonly receive: number;
  readonly transmit: number;
}

export interface PairServer {
  /** It has those below. */
  readonly pairs: number;
  /** That the driver uses so many pairs: of the others nothing comes. */
  usePairs(count: number): void;
  /** Gives the guest what waits in the link for that pair. False: it has no room for that now. */
  clear(pair: number): boolean;
  /** Serves a pair from now on. False: it cannot, the user knows why, and asking again is of no use. */
  start(pair: number, lent: LentPair): boolean;
  /** Nothing of the pair is under way when it returns; frames come by the link again. */
  stop(pair: number): PairProgress;
}
