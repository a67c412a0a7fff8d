/**
 * The seam in front of a vCPU's exits (exits.ts), for observers on the vCPU's thread. Costs one check per
 * exit while there are none.
 */
export interface ExitObserver {
  /** The vCPU is about to run or step; its registers are in the mirror. */
  onRun(): void;
  /** An exit has come in and has not been answered yet. */
  onExit(reason: number): void;
}
