/**
 * Background work as the editor shows it: a DAP progress with a button that cancels it. Work that is over
 * within a second is not shown, nor is anything to a client that does not know progress.
 */
import type { SessionState } from './sessionState.ts';

const SHOWN_AFTER_MS = 1000;
/** An editor does not redraw more often. */
const UPDATE_INTERVAL_MS = 250;

export interface Progress {
  /** From 0 to 1. */
  report(fraction: number): void;
  end(): void;
}

export function beginProgress(state: SessionState, title: string, cancel: () => void): Progress {
  if (state.client.supportsProgressReporting !== true)
    return { report: () => undefined, end: () => undefined };
  const progressId = state.cancellable.add(cancel);
  const startedMs = performance.now();
  let shown: { percentage: number; atMs: number } | undefined;
  return {
    report(fraction) {
      const nowMs = performance.now();
      const percentage = Math.floor(fraction * 100);
      if (shown === undefined) {
        if (nowMs - startedMs < SHOWN_AFTER_MS) return;
        state.send('progressStart', { progressId, title, cancellable: true, percentage });
      } else {
        if (nowMs - shown.atMs < UPDATE_INTERVAL_MS || percentage === shown.percentage) return;
        state.send('progressUpdate', { progressId, percentage });
      }
      shown = { percentage, atMs: nowMs };
    },
    end() {
      state.cancellable.delete(progressId);
      if (shown !== undefined) state.send('progressEnd', { progressId });
    },
  };
}
