/**
 * What the bus knows of a device. A device sees offsets into its window, never absolute addresses, KVM or
 * threads. `read` and `write` run on whichever thread touched the register (vCPU worker, or main); a device
 * with registers takes its StateBlock's lock. They must not throw: what the guest does wrong reads as all
 * ones or is dropped (and is logged by log.guest()).
 */
export interface BusDevice {
  readonly name: string;
  /**
   * The widest access the device decodes; 4 when absent. The bus splits a wider one, low address first, as
   * the ISA bridge splits a word access to an 8-bit chip.
   */
  readonly accessBytes?: 1 | 2 | 4;
  /** `sizeBytes` is 1, 2 or 4, at most `accessBytes`; the bus masks the result to that size. */
  read(offset: number, sizeBytes: number): number;
  /** `value` is an unsigned integer of `sizeBytes` bytes. */
  write(offset: number, sizeBytes: number, value: number): void;
}
