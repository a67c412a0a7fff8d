/** Tries to hold the uplink of a switch while nobody does. On the I/O thread. */
import { log } from '../../../log.ts';
import type { GuestPort } from '../netLink.ts';
import { type HeldUplink, takeUplink, type UplinkRequest } from './holdUplink.ts';
import { Uplink } from './uplink.ts';

/** A process that ends closes one descriptor after the other: the lock is free a little after its socket. */
const TRY_AGAIN_MS = 50;
const TRIES = 100;

export class UplinkHolder {
  readonly #request: UplinkRequest | undefined;
  readonly #port: GuestPort;
  /** Of the link's poller. */
  readonly #onHeld: (uplink: Uplink) => void;
  #uplink: Uplink | undefined;
  #triesLeft = 0;

  /** `request`: absent where the switch has no uplink. `held`: what main has taken already. */
  constructor(
    request: UplinkRequest | undefined,
    held: HeldUplink | undefined,
    port: GuestPort,
    onHeld: (uplink: Uplink) => void,
  ) {
    this.#request = request;
    this.#port = port;
    this.#onHeld = onHeld;
    if (held !== undefined) this.#hold(held);
  }

  /** Undefined: another member holds it, or nobody. */
  get uplink(): Uplink | undefined {
    return this.#uplink;
  }

  /** A member has gone: it may have been the one that held it. */
  memberGone(): void {
    if (this.#request === undefined || this.#uplink !== undefined) return;
    this.#triesLeft = TRIES;
    this.tryAgain();
  }

  /** `memberGone` was a while ago. */
  tryAgain(): void {
    if (this.#request === undefined || this.#uplink !== undefined || this.#triesLeft === 0) return;
    this.#triesLeft--;
    try {
      const held = takeUplink(this.#request, this.#port);
      if (held !== undefined) this.#hold(held);
    } catch (error) {
      // Its tap is perhaps still the former holder's.
      if (this.#triesLeft === 0)
        this.#port.trouble(`the switch has no uplink any more: ${(error as Error).message}`);
    }
    if (this.#uplink === undefined && this.#triesLeft > 0) this.#port.arm(TRY_AGAIN_MS);
  }

  /** The interface was deleted. */
  lose(): void {
    const { name } = this.#uplink ?? {};
    this.close();
    this.#port.trouble(`the interface ${name ?? ''} was deleted: the switch has no uplink any more`);
  }

  close(): void {
    this.#uplink?.close();
    this.#uplink = undefined;
  }

  #hold(held: HeldUplink): void {
    this.#triesLeft = 0;
    this.#uplink = new Uplink(held);
    log.info(this.#port.name, 'holds the uplink of the switch', { interface: held.tap.name });
    this.#onHeld(this.#uplink);
  }
}
