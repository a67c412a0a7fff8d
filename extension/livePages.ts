/** Pages of text that are read again every second while they are visible. Knows no editor. */

const RENEW_MS = 1000;

export interface PageHost {
  /** Rejects with an Error for the user: it is shown above what was read last. */
  read(key: string): Promise<string>;
  isVisible(key: string): boolean;
  /** Has `text` called. */
  changed(key: string): void;
}

interface Page {
  text: string;
  isBeingRead: boolean;
  /** Absent: it is being read, was hidden when its time came, or could not be read. */
  timer: NodeJS.Timeout | undefined;
}

export class LivePages {
  readonly #host: PageHost;
  readonly #pages = new Map<string, Page>();

  constructor(host: PageHost) {
    this.#host = host;
  }

  async text(key: string): Promise<string> {
    const page = this.#pages.get(key) ?? { text: '', isBeingRead: false, timer: undefined };
    this.#pages.set(key, page);
    clearTimeout(page.timer);
    page.timer = undefined;
    page.isBeingRead = true;
    try {
      page.text = await this.#host.read(key);
    } catch (error) {
      return `${error instanceof Error ? error.message : String(error)}\n\n${page.text}`;
    } finally {
      page.isBeingRead = false;
    }
    if (this.#pages.get(key) !== page) return page.text;
    clearTimeout(page.timer); // of whoever asked meanwhile
    page.timer = setTimeout(() => this.#renew(key, page), RENEW_MS);
    return page.text;
  }

  /** Other pages than before are visible. */
  looked(): void {
    for (const [key, { isBeingRead, timer }] of this.#pages)
      if (!isBeingRead && timer === undefined && this.#host.isVisible(key)) this.#host.changed(key);
  }

  close(key: string): void {
    clearTimeout(this.#pages.get(key)?.timer);
    this.#pages.delete(key);
  }

  dispose(): void {
    for (const key of [...this.#pages.keys()]) this.close(key);
  }

  #renew(key: string, page: Page): void {
    page.timer = undefined;
    if (this.#host.isVisible(key)) this.#host.changed(key);
  }
}
