/** The list of long-running tests: each runs for the time it is given and counts its rounds. */

export interface SoakCount {
  readonly passed: number;
  /** Rounds that QEMU lost, with what was seen: not our failures. */
  readonly lost: readonly string[];
  /** The failures, in full; empty when all is well. */
  readonly failures: readonly string[];
}

export interface Soak {
  readonly name: string;
  readonly what: string;
  /** Returns a sentence when this machine cannot run it. */
  readonly run: (ms: number) => Promise<SoakCount | string>;
}

/** The line of a soak that ran. */
export function countLine(name: string, { passed, lost, failures }: SoakCount): string {
  const parts = [
    `${passed} rounds passed`,
    `${lost.length} lost by the emulator`,
    `${failures.length} FAILED`,
  ];
  return `${name}: ${parts.join(', ')}`;
}
