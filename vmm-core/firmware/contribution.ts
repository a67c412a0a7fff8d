/**
 * What a chip adds to the tables that a PC's firmware leaves in memory: plain data. The tables' writers merge
 * what all chips of the board say, in their order, and know none of them.
 */
import type { AcpiFadt } from '../abi/acpiTables.ts';
import type { BiosData } from '../abi/biosData.ts';
import type { Aml } from './aml.ts';

/** What the tables describe. */
export interface Board {
  readonly cpus: number;
  readonly chips: readonly FirmwareContribution[];
}

/** A chip says what it has; what is absent it has nothing to do with. */
export interface FirmwareContribution {
  /** Terms of \_SB in the DSDT: the chip as a device (pnpDevice.ts). */
  readonly busTerms?: readonly Aml[];
  /** Terms of the DSDT's root. */
  readonly rootTerms?: readonly Aml[];
  /** Ports that belong to no device of the DSDT. */
  readonly motherboardPorts?: readonly PortRange[];
  /** Addresses that belong to no device of the DSDT, and where no operating system may put one. */
  readonly motherboardMemory?: readonly MemoryRange[];
  /** Memory that is configuration space of PCI buses. */
  readonly ecams?: readonly Ecam[];
  /** Interrupt pins of PCI slots, for the MP table. */
  readonly pciInterrupts?: readonly PciInterrupt[];
  /** Of `boot_flags` and `flags` each chip gives its bits. */
  readonly fadt?: FadtValues;
  /** What tells a Linux of the chip that was told to leave ACPI alone. */
  readonly kernelParameters?: readonly string[];
  /** Its bits of the MADT's flags. */
  readonly madtFlags?: number;
  readonly ioApics?: readonly IoApic[];
  readonly interruptOverrides?: readonly InterruptOverride[];
  /** Interrupts of the ISA bus that an interrupt controller takes, for the MP table. */
  readonly isaIrqs?: readonly number[];
  /** Of `equipment` each chip gives its bits. */
  readonly biosData?: BiosDataValues;
  /** A serial port, which the BIOS data lists: the first is COM1. */
  readonly comPort?: number;
}

export type FadtValues = Partial<ReturnType<typeof AcpiFadt.read>>;
export type BiosDataValues = Partial<ReturnType<typeof BiosData.read>>;

export interface PortRange {
  readonly port: number;
  readonly count: number;
}

export interface MemoryRange {
  readonly base: number;
  readonly sizeBytes: number;
}

/** Of segment 0. */
export interface Ecam {
  readonly base: number;
  readonly firstBus: number;
  readonly lastBus: number;
}

/** Of bus 0. */
export interface PciInterrupt {
  readonly device: number;
  /** 0 is INTA#. */
  readonly pin: number;
  readonly gsi: number;
}

export interface IoApic {
  readonly id: number;
  readonly version: number;
  readonly address: number;
  /** The global system interrupt of its first input. */
  readonly gsiBase: number;
}

/** An ISA interrupt that is not edge-triggered, or does not reach the input of its own number. */
export interface InterruptOverride {
  readonly irq: number;
  readonly gsi: number;
  /** MPS INTI flags: ACPI_MADT_POLARITY_…, ACPI_MADT_TRIGGER_… */
  readonly flags: number;
}
