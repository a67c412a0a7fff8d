/**
 * Page numbers of a driver as runs of neighbours: one call of the host for each run. Linux's balloon takes
 * pages upwards or downwards, mostly. A number may be anything, and come twice.
 */
export class PageRuns {
  readonly #onRun: (first: number, pages: number) => void;
  #first = 0;
  #end = 0;

  constructor(onRun: (first: number, pages: number) => void) {
    this.#onRun = onRun;
  }

  add(page: number): void {
    if (page === this.#end && this.#end !== this.#first) this.#end++;
    else if (page === this.#first - 1 && this.#end !== this.#first) this.#first--;
    else {
      this.finish();
      this.#first = page;
      this.#end = page + 1;
    }
  }

  finish(): void {
    const [first, pages] = [this.#first, this.#end - this.#first];
    this.#first = this.#end = 0;
    if (pages > 0) this.#onRun(first, pages);
  }
}
