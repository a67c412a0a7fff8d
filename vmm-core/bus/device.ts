/**
 * What the bus knows of a device. A device sees offsets into its window, never absolute addresses, KVM or threads.
 * `read` and `write` run on whichever thread touched the register (vCPU worker, or main), under the device's lock.
 * They must not throw: what the guest does wrong reads as all ones or is dropped (and logged by log.guest()).
 */
export interface Device {
  readonly name: string;
  /** `sizeBytes` is 1, 2, 4 or 8; the result is masked to that size by the bus. */
  read(offset: number, sizeBytes: number): number;
  write(offset: number, sizeBytes: number, value: number): void;
}
