/** Work done one at a time, in the order it was asked for. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();

  /** `work` begins when everything before it is over, however that ended. */
  take<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => undefined);
    return turn;
  }
}
