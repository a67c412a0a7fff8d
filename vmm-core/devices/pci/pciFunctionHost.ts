/** What the PCI bus lends to a device that is a function on it, on every thread. */

export interface PciFunctionHost {
  /** The driver lets it read and write memory (command register). */
  readonly isBusMaster: boolean;
  readonly isMsixEnabled: boolean;
  /**
   * Sends the message of this MSI-X vector, or leaves it pending while it is masked. Does nothing when MSI-X
   * is off or there is no such vector. Any thread.
   */
  raise(vector: number): void;
  /** The interrupt pin; a level. The guest may have disabled it. Any thread. */
  setPin(asserted: boolean): void;
  /**
   * `listener` is told on this thread where a BAR is, and when the guest moves it (undefined: not decoded),
   * by a thread's own write to the configuration space. Once at the start, for each BAR. It is called with
   * the bus's lock held, so that places come in the order in which all threads set them: it must not access
   * configuration space.
   */
  onBarPlaced(listener: (bar: number, base: number | undefined) => void): void;
}
