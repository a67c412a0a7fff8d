/** Events that must not overtake a response: the stop that a request leads to comes after its response. */
import type { RequestCall } from '../dapConnection.ts';

export class HeldEvents {
  #held = 0;
  #waiting: (() => void)[] = [];

  /** Until the response of `call` is out. */
  hold(call: RequestCall): void {
    this.#held += 1;
    call.after(() => {
      this.#held -= 1;
      if (this.#held > 0) return;
      const waiting = this.#waiting;
      this.#waiting = [];
      for (const action of waiting) action();
    });
  }

  /** Runs `action` now, or after the responses that hold it. */
  whenReleased(action: () => void): void {
    if (this.#held === 0) action();
    else this.#waiting.push(action);
  }
}
