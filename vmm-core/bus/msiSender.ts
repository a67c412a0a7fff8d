/** Interrupts that a PCI function sends as memory writes. machine.ts supplies KVM's; tests a recorder. */
export interface MsiSender {
  /** To the local APICs that the address names; where it names none, nothing happens. Any thread. */
  send(addressLow: number, addressHigh: number, data: number): void;
}
