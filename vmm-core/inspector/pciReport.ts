/** A function of the PCI bus, from its shared registers. PCI Local Bus 3.0 §6. */
import * as abi from '../abi/pci.ts';
import type { Registers } from '../bus/stateBlock.ts';
import type { FunctionState } from '../devices/pci/functionState.ts';
import type { PlannedBar, PlannedFunction } from '../devices/pci/pciPlan.ts';
import { slotName } from '../devices/pci/pciResources.ts';
import type { BarReport, BitsReport, MsixReport, PciReport, VectorReport } from '../protocol/devices.ts';
import { type Hex, hex } from '../protocol/hex.ts';
import { type BitNames, bitsReport, hex64, namesIn } from './bits.ts';

const COMMAND_BITS = namesIn(abi, 'PCI_COMMAND_');
const STATUS_BITS = namesIn(abi, 'PCI_STATUS_');
/** A list longer than this is a loop. */
const MAX_CAPABILITIES = 48;

export function pciReport(planned: PlannedFunction, regs: Registers<FunctionState>): PciReport {
  const config = viewOf(regs.config.slice()); // one state, as far as the guest lets us
  const u16 = (offset: number): string => digits(config.getUint16(offset, true), 4);
  const msix = msixReport(config, regs);
  return {
    address: slotName(planned.slot),
    vendorId: u16(abi.PCI_VENDOR_ID),
    deviceId: u16(abi.PCI_DEVICE_ID),
    subsystemVendorId: u16(abi.PCI_SUBSYSTEM_VENDOR_ID),
    subsystemId: u16(abi.PCI_SUBSYSTEM_ID),
    classCode: digits(config.getUint32(abi.PCI_CLASS_REVISION, true) >>> 8, 6),
    revisionId: config.getUint8(abi.PCI_CLASS_REVISION),
    command: bits(config, abi.PCI_COMMAND, COMMAND_BITS),
    status: bits(config, abi.PCI_STATUS, STATUS_BITS),
    bars: planned.bars.map((bar) => barReport(bar, config, viewOf(regs.bases))),
    ...(planned.gsi === undefined
      ? {}
      : {
          pin: {
            gsi: planned.gsi,
            isAsserted: regs.isPinAsserted !== 0,
            isLineAsserted: regs.isLineAsserted !== 0,
          },
        }),
    ...(msix === undefined ? {} : { msix }),
  };
}

/** As such numbers are written: with their zeroes. */
function digits(value: number, count: number): Hex {
  return `0x${value.toString(16).padStart(count, '0')}`;
}

function bits(config: DataView, offset: number, names: BitNames): BitsReport {
  return bitsReport(config.getUint16(offset, true), names);
}

function barReport({ index, kind, sizeBytes }: PlannedBar, config: DataView, bases: DataView): BarReport {
  const offset = abi.PCI_BASE_ADDRESS_0 + 4 * index;
  const low = (config.getUint32(offset, true) & (2 ** 32 - sizeBytes)) >>> 0;
  const high = kind === 'memory64' ? config.getUint32(offset + 4, true) : 0;
  const isDecoded = bases.getUint32(4 * index, true) !== 0;
  return { index, kind, sizeBytes, base: hex64(low, high), isDecoded };
}

function msixReport(
  config: DataView,
  { msixTable, msixPending }: Registers<FunctionState>,
): MsixReport | undefined {
  const at = findCapability(config, abi.PCI_CAP_ID_MSIX);
  if (at === undefined) return undefined;
  const flags = config.getUint16(at + abi.PCI_MSIX_FLAGS, true);
  const table = viewOf(msixTable);
  const vectors = Math.floor(msixTable.length / abi.PCI_MSIX_ENTRY_SIZE);
  return {
    isEnabled: (flags & abi.PCI_MSIX_FLAGS_ENABLE) !== 0,
    isFunctionMasked: (flags & abi.PCI_MSIX_FLAGS_MASKALL) !== 0,
    vectors: Array.from({ length: vectors }, (_, vector) => vectorReport(vector, table, msixPending)),
  };
}

function vectorReport(vector: number, table: DataView, pending: Uint8Array): VectorReport {
  const field = (offset: number): number => table.getUint32(vector * abi.PCI_MSIX_ENTRY_SIZE + offset, true);
  return {
    vector,
    address: hex64(field(abi.PCI_MSIX_ENTRY_LOWER_ADDR), field(abi.PCI_MSIX_ENTRY_UPPER_ADDR)),
    data: hex(field(abi.PCI_MSIX_ENTRY_DATA)),
    isMasked: (field(abi.PCI_MSIX_ENTRY_VECTOR_CTRL) & abi.PCI_MSIX_ENTRY_CTRL_MASKBIT) !== 0,
    isPending: ((pending[vector >> 3] ?? 0) & (1 << (vector & 7))) !== 0,
  };
}

/** §6.7: where in the list. */
function findCapability(config: DataView, id: number): number | undefined {
  let at = config.getUint8(abi.PCI_CAPABILITY_LIST);
  for (let steps = 0; at >= abi.PCI_STD_HEADER_SIZEOF && steps < MAX_CAPABILITIES; steps++) {
    if (config.getUint8(at + abi.PCI_CAP_LIST_ID) === id) return at;
    at = config.getUint8(at + abi.PCI_CAP_LIST_NEXT);
  }
  return undefined;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
