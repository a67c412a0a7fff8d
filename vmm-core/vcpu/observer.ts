/**
 * The seam in front of a vCPU's exits (exits.ts): whoever wants to see them, on the vCPU's thread. Costs one
 * check an exit while nobody does.
 */
export interface ExitObserver {
  /** The vCPU is about to run or step; its registers are in the mirror. */
  onRun(): void;
  /** An exit has come in, which has not been answered yet. */
  onExit(reason: number): void;
}
