/**
 * Which of the host's name servers the guest's questions go to: the first, or the next while one does not
 * answer. Main is asked to look at resolv.conf again only while the guest asks: an idle network wakes nobody.
 */
import { LOOPBACK4, type SocketAddress } from '../../../bus/socketAddress.ts';
import { sameBytes } from './addresses.ts';

/** As resolver(3): after that a question is asked again. */
const PATIENCE_MS = 4000;
const LOOK_AGAIN_MS = 2000;

export class Nameservers {
  #list: readonly SocketAddress[];
  readonly #askMain: () => void;
  #current = 0;
  /** Of the first question that has no answer; Infinity: all have. */
  #askedMs = Infinity;
  #lookedMs = -Infinity;
  questions = 0;

  /** `list` is not empty. `askMain` has `use` called when the host's list has changed. */
  constructor(list: readonly SocketAddress[], askMain: () => void) {
    this.#list = list;
    this.#askMain = askMain;
  }

  get current(): SocketAddress {
    return this.#list[this.#current] ?? NO_NAMESERVER;
  }

  use(list: readonly SocketAddress[]): void {
    if (list.length === 0) return;
    this.#list = list;
    this.#current = 0;
    this.#askedMs = Infinity;
  }

  onQuestion(nowMs: number): void {
    this.questions++;
    if (nowMs - this.#lookedMs >= LOOK_AGAIN_MS) {
      this.#lookedMs = nowMs;
      this.#askMain();
    }
    if (nowMs - this.#askedMs >= PATIENCE_MS) this.#useNext();
    this.#askedMs = Math.min(this.#askedMs, nowMs);
  }

  onAnswer(): void {
    this.#askedMs = Infinity;
  }

  /** One cannot be reached. Of several questions to it the first to fail counts: the rest went there, too. */
  fails(address: Uint8Array): void {
    const { current } = this;
    if (current.family !== 'unix' && sameBytes(current.address, address)) this.#useNext();
  }

  /** Whether a datagram is of one of them. */
  has(address: Uint8Array, port: number): boolean {
    return this.#list.some(
      (it) => it.family !== 'unix' && it.port === port && sameBytes(it.address, address),
    );
  }

  #useNext(): void {
    this.#current = (this.#current + 1) % this.#list.length;
    this.#askedMs = Infinity;
  }
}

const NO_NAMESERVER: SocketAddress = { family: 'ipv4', address: LOOPBACK4, port: 53 };
