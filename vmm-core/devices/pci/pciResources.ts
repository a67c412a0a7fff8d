/** What a PCI function is to the planner: plain data of a device's class. PCI Local Bus 3.0 §6. */

export interface PciResources {
  /** Where old guests expect it; absent: the planner takes the next free device number of bus 0. */
  readonly slot?: PciSlot;
  readonly ids: PciIds;
  /** But for that of MSI-X. */
  readonly bars?: readonly PciBar[];
  /** Has an interrupt pin (INTA#); the planner gives it a line. */
  readonly hasInterruptPin?: true;
  /** Vectors of its MSI-X capability. The planner gives table and pending bits the BAR `msixBar`. */
  readonly msixVectors?: number;
  readonly msixBar?: number;
  /**
   * Vendor-specific capabilities (id 09h), each from its third byte on; read-only to the guest, unless
   * Device.capabilities has something at the same index that answers instead.
   */
  readonly capabilities?: readonly Uint8Array[];
  /** Registers of its own, read-only to the guest. */
  readonly registers?: readonly PciRegister[];
}

export interface PciSlot {
  readonly device: number;
  readonly function: number;
}

/** On bus 0, as lspci writes it: 00:1f.2. */
export function slotName({ device, function: number }: PciSlot): string {
  return `00:${device.toString(16).padStart(2, '0')}.${number}`;
}

export interface PciIds {
  readonly vendorId: number;
  readonly deviceId: number;
  readonly revisionId: number;
  /** Base class, subclass, programming interface: 24 bits. */
  readonly classCode: number;
  readonly subsystemVendorId: number;
  readonly subsystemId: number;
}

export interface PciBar {
  readonly index: number;
  readonly kind: 'io' | 'memory' | 'memory64';
  /** A power of two; at least 4 of ports, 16 of memory. */
  readonly sizeBytes: number;
}

export interface PciRegister {
  readonly offset: number;
  readonly bytes: readonly number[];
}
