/**
 * A doorbell: an eventfd that a guest signals by a write to one address, without an exit where KVM has
 * ioeventfd. Whoever serves it waits for the eventfd.
 */
export interface DoorbellPlace {
  readonly kind: 'port' | 'mmio';
  readonly address: number;
  /** 0: a write of any size, and of any value. */
  readonly sizeBytes: 0 | 1 | 2 | 4;
  /** Absent: any value. */
  readonly value?: number;
}

/** The wires. Any thread. */
export interface DoorbellWire {
  /** Signals it, where the write came as an exit. */
  ring(): void;
  /** False: KVM has no ioeventfd, or refuses this one; writes come as exits. */
  connect(at: DoorbellPlace): boolean;
  disconnect(at: DoorbellPlace): void;
}
