/**
 * The inspector: what the machine consists of and the state of each part, while the guest runs or not. It
 * reads what is in shared and guest memory; no vCPU or device notices. What a running guest changes
 * meanwhile may be half old and half new.
 */
import { RequestType, RequestType0 } from 'vscode-jsonrpc';
import type { Hex } from './hex.ts';

/** Ports, or guest-physical addresses. */
export interface WindowReport {
  readonly base: Hex;
  readonly sizeBytes: number;
}

/** A global system interrupt. */
export interface InterruptReport {
  readonly gsi: number;
  readonly trigger: 'edge' | 'level';
  /** Devices that drive it. */
  readonly users: readonly string[];
  /** Those that assert it now; only of a level that several share. */
  readonly asserting?: readonly string[];
}

export interface VcpuSummary {
  readonly cpu: number;
  /** Kernel id of the thread that runs it, as in /proc/PID/task; 0: there is none yet. */
  readonly threadId: number;
}

export interface MachineReport {
  readonly vcpus: readonly VcpuSummary[];
  /** Guest RAM. */
  readonly memory: readonly WindowReport[];
  /** Names of devices, in the order of the plan. */
  readonly devices: readonly string[];
  readonly interrupts: readonly InterruptReport[];
  /** PICs, IOAPIC and PIT, which KVM has: their registers, by the names of its headers. */
  readonly chips: Decoded;
}

/** 64-bit registers are Hex, or decimal when they are signed. */
export type RegisterValue =
  | number
  | string
  | readonly number[]
  /** A table or a FIFO: the bytes in hex, at most the first 4096. */
  | { readonly lengthBytes: number; readonly bytes: string }
  /** A ring to or from the host's side. */
  | { readonly capacityBytes: number; readonly unreadBytes: number };

/** What a device's own decoder says of its registers; names are for people. */
export type DecodedValue =
  string | number | boolean | readonly DecodedValue[] | { readonly [name: string]: DecodedValue };
export type Decoded = Readonly<Record<string, DecodedValue>>;

export interface DeviceReport {
  readonly name: string;
  /** What kind of device: its id in the catalog. */
  readonly type: string;
  readonly ports: readonly WindowReport[];
  readonly mmio: readonly WindowReport[];
  /** Interrupts, by number. */
  readonly irqs: readonly number[];
  /** By name, in the order of its state block. Empty for what KVM emulates. */
  readonly registers: Readonly<Record<string, RegisterValue>>;
  readonly decoded?: Decoded;
  readonly pci?: PciReport;
  readonly virtio?: VirtioReport;
  /** Of a network interface: what its link says, as `networks/report`. The I/O thread is asked. */
  readonly link?: Decoded;
}

/** A register of bits: its value, and the names of those that are set as the specification spells them. */
export interface BitsReport {
  readonly value: Hex;
  readonly set: readonly string[];
}

/** A function of the PCI bus. */
export interface PciReport {
  /** `00:03.0`. */
  readonly address: string;
  readonly vendorId: Hex;
  readonly deviceId: Hex;
  readonly subsystemVendorId: Hex;
  readonly subsystemId: Hex;
  readonly classCode: Hex;
  readonly revisionId: number;
  readonly command: BitsReport;
  readonly status: BitsReport;
  readonly bars: readonly BarReport[];
  readonly pin?: PinReport;
  readonly msix?: MsixReport;
}

export interface BarReport {
  readonly index: number;
  readonly kind: 'io' | 'memory' | 'memory64';
  readonly sizeBytes: number;
  /** What the guest has written. */
  readonly base: Hex;
  /** False: switched off by the command register, or where the bus does not decode it. */
  readonly isDecoded: boolean;
}

export interface PinReport {
  /** The interrupt it is wired to. */
  readonly gsi: number;
  readonly isAsserted: boolean;
  /** What the interrupt controller sees: false while the guest has disabled the pin or uses MSI-X. */
  readonly isLineAsserted: boolean;
}

export interface MsixReport {
  readonly isEnabled: boolean;
  /** All vectors are masked. */
  readonly isFunctionMasked: boolean;
  readonly vectors: readonly VectorReport[];
}

export interface VectorReport {
  readonly vector: number;
  readonly address: Hex;
  readonly data: Hex;
  readonly isMasked: boolean;
  readonly isPending: boolean;
}

export interface VirtioReport {
  /** §5 of virtio 1.2: 2 is a block device. */
  readonly deviceType: number;
  readonly status: BitsReport;
  /** The driver uses the legacy interface. */
  readonly isLegacy: boolean;
  /** The rule that the driver broke, by section; only while NEEDS_RESET. */
  readonly brokenRule?: string;
  /** Negotiated, or being negotiated while FEATURES_OK is not set. */
  readonly features: BitsReport;
  /** The device offers them and the driver did not take them. */
  readonly notTaken: readonly string[];
  /** Causes of interrupts that are not acknowledged. */
  readonly isr: number;
  readonly configGeneration: number;
  /** The configuration space, in hex. */
  readonly config: string;
  readonly queues: readonly QueueReport[];
}

export interface QueueReport {
  readonly index: number;
  readonly maxSize: number;
  readonly size: number;
  readonly isEnabled: boolean;
  /** MSI-X vector; absent: none. */
  readonly vector?: number;
  readonly descriptorTable: Hex;
  readonly availableRing: Hex;
  readonly usedRing: Hex;
  readonly kicks: number;
  readonly interrupts: number;
  /** Absent: it is not enabled. A sentence: why the rings cannot be read. */
  readonly rings?: RingsReport | string;
}

/** What is in guest memory, and how far the device is. Indexes are 16 bits and wrap. */
export interface RingsReport {
  readonly availFlags: number;
  readonly availIdx: number;
  readonly usedFlags: number;
  readonly usedIdx: number;
  /** With VIRTIO_RING_F_EVENT_IDX. */
  readonly usedEvent?: number;
  readonly availEvent?: number;
  /** Of the next chain that the device takes. */
  readonly nextAvail: number;
  /** Chains that the device has taken and not returned. */
  readonly inFlight: number;
  /** Chains that the device has not taken yet. */
  readonly available: number;
  /** The first of those, decoded. */
  readonly chains: readonly ChainReport[];
  /** Chains wait, and the driver should have kicked for them: since which index it has not. */
  readonly noKickSince?: number;
}

export interface ChainReport {
  readonly head: number;
  readonly buffers: readonly BufferReport[];
  /** Why it ends where it does, when not at its end. */
  readonly problem?: string;
}

export interface BufferReport {
  readonly address: Hex;
  readonly lengthBytes: number;
  /** The device writes it; it reads the others. */
  readonly isWritable: boolean;
  /** From an indirect table. */
  readonly isIndirect: boolean;
}

export const inspectMachine = new RequestType0<MachineReport, void>('inspect/machine');

/** A name that no device has is a User error. */
export const inspectDevice = new RequestType<{ readonly name: string }, DeviceReport, void>('inspect/device');

/** All that KVM keeps of a vCPU, by part (`SREGS`, `LAPIC`, `MSRS` …). Only while paused. */
export const inspectVcpu = new RequestType<{ readonly cpu: number }, { readonly parts: Decoded }, void>(
  'inspect/vcpu',
);
