/**
 * What a guest can do to its machine's power. machine.ts supplies it; called on the vCPU thread of the
 * access, no lock held.
 */

export type PanicEvent = 'panicked' | 'crash-loaded';

export interface GuestPower {
  /** ACPI S5. */
  powerOff(): void;
  /** `by`: the device's name. */
  reset(by: string): void;
  /**
   * isa-debug-exit: `code` is `(value << 1) | 1`, unsigned 32-bit; a process exit status keeps its low byte.
   */
  debugExit(code: number): void;
  panic(event: PanicEvent): void;
}
