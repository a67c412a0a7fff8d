/** What the guest prints at a debug console goes into our log. Main thread. */
import type { ByteRing } from '../bus/byteRing.ts';
import type { Backend } from './backend.ts';
import { GuestText } from './guestText.ts';

export class GuestLog implements Backend {
  readonly #output: ByteRing;
  readonly #text: GuestText;

  constructor(tag: string, output: ByteRing) {
    this.#output = output;
    this.#text = new GuestText(tag);
  }

  /** Its ring has something. */
  onEvent(): void {
    this.flush();
  }

  poll(): void {
    this.flush();
  }

  flush(): void {
    const bytes = this.#output.drain();
    if (bytes.length > 0) this.#text.write(bytes);
  }

  close(): void {}
}
