/** Background work that the editor has a button to cancel: what ends it, by the id of its progress. */
export class CancellableWork {
  readonly #cancels = new Map<string, () => void>();
  #next = 1;

  get size(): number {
    return this.#cancels.size;
  }

  /** The id of its progress. */
  add(cancel: () => void): string {
    const progressId = `progress-${this.#next++}`;
    this.#cancels.set(progressId, cancel);
    return progressId;
  }

  delete(progressId: string): void {
    this.#cancels.delete(progressId);
  }

  /** Work that is over can no longer be ended. */
  cancel(progressId: string): void {
    this.#cancels.get(progressId)?.();
  }
}
