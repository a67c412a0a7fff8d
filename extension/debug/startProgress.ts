/** "Starting …" while a session starts, when that takes noticeably long. Can be cancelled. */
import * as vscode from 'vscode';

const SHOW_AFTER_MS = 1000;

export class StartProgress {
  readonly #session: vscode.DebugSession;
  #timer: NodeJS.Timeout | undefined;
  #done: () => void = () => undefined;

  constructor(session: vscode.DebugSession) {
    this.#session = session;
  }

  begin(): void {
    const finished = new Promise<void>((resolve) => (this.#done = resolve));
    this.#timer = setTimeout(() => {
      const options = {
        location: vscode.ProgressLocation.Notification,
        title: `Starting ${this.#session.name}`,
        cancellable: true,
      };
      void vscode.window.withProgress(options, (_, cancelled) => {
        cancelled.onCancellationRequested(() => void vscode.debug.stopDebugging(this.#session));
        return finished;
      });
    }, SHOW_AFTER_MS);
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#done();
  }
}
