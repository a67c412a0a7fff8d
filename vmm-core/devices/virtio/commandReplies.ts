/** What main has asked a service for, and waits for: commands and replies have an id in common. */
export class CommandReplies<Reply> {
  #lastId = 0;
  readonly #waiting = new Map<number, (reply: Reply) => void>();

  /** `send` is given the id of the command. The reply comes when the service gives one, in whatever order. */
  ask(send: (id: number) => void): Promise<Reply> {
    const id = ++this.#lastId;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      send(id);
    });
  }

  /** The service has replied. One that nobody waits for is dropped. */
  settle(id: number, reply: Reply): void {
    this.#waiting.get(id)?.(reply);
    this.#waiting.delete(id);
  }
}
