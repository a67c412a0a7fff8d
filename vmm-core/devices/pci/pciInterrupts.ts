/**
 * Where the interrupt pins of bus 0 are wired, which _PRT, the MP table, the ISA bridge and the Interrupt
 * Line registers all tell. Two inputs that a PIC has, too, so that kernels without an I/O APIC have them; all
 * functions use INTA#.
 */

/** PIRQA to PIRQD of the ISA bridge. */
export const PIRQ_GSIS = [10, 11, 10, 11] as const;
export const PCI_GSIS = [10, 11] as const;

/** Of INTA#: neighbours have different lines. */
export function gsiOfSlot(device: number): number {
  return PCI_GSIS[device % 2 === 0 ? 0 : 1];
}
