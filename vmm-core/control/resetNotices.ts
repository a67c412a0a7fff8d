/**
 * Tells clients that the machine was reset: at once, but at most ten times a second, because a guest may
 * reset in a loop. The last reset is always reported, before anything that happens after it. Main thread.
 */
export const RESET_NOTICE_MS = 100;

export class ResetNotices {
  readonly #send: (message: string) => void;
  #pause: NodeJS.Timeout | undefined;
  #untold: string | undefined;

  constructor(send: (message: string) => void) {
    this.#send = send;
  }

  reset(message: string): void {
    if (this.#pause === undefined) this.#tell(message);
    else this.#untold = message;
  }

  /** Before another notification goes out. */
  flush(): void {
    if (this.#untold !== undefined) this.#tell(this.#untold);
  }

  #tell(message: string): void {
    this.#untold = undefined;
    clearTimeout(this.#pause);
    this.#pause = setTimeout(() => {
      this.#pause = undefined;
      this.flush();
    }, RESET_NOTICE_MS);
    this.#pause.unref();
    this.#send(message);
  }
}
