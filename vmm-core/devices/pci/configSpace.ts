/**
 * The configuration space of a function: what it holds after a reset, and which bits a guest may change. PCI
 * 3.0 §6.1 to §6.2.
 */
import * as abi from '../../abi/pci.ts';
import { layoutMsixBar } from './msixBar.ts';
import type { PlannedBar, PlannedFunction } from './pciPlan.ts';
import type { PciResources } from './pciResources.ts';

export interface ConfigSpace {
  readonly initial: Uint8Array;
  readonly writable: Uint8Array;
  /** Written as ones they become zeros (RW1C). */
  readonly clearable: Uint8Array;
  /** Where the MSI-X capability is; 0: there is none. */
  readonly msix: number;
  /** Where each vendor-specific capability is, and how long. */
  readonly vendor: readonly CapabilityPlace[];
}

export interface CapabilityPlace {
  readonly offset: number;
  readonly sizeBytes: number;
}

/** One register. */
interface Row {
  readonly offset: number;
  readonly sizeBytes: number;
  readonly initial: number;
  readonly writable?: number;
  readonly clearable?: number;
}

interface Capability {
  readonly id: number;
  readonly bytes: Uint8Array;
  readonly writable?: Uint8Array;
}

const INTA = 1;
/** Of a capability: its id and the link are before it. */
const BODY = 2;
const BITS_OF_ERRORS =
  abi.PCI_STATUS_PARITY |
  abi.PCI_STATUS_SIG_TARGET_ABORT |
  abi.PCI_STATUS_REC_TARGET_ABORT |
  abi.PCI_STATUS_REC_MASTER_ABORT |
  abi.PCI_STATUS_SIG_SYSTEM_ERROR |
  abi.PCI_STATUS_DETECTED_PARITY;

export function configSpace(resources: PciResources, planned: PlannedFunction): ConfigSpace {
  const space = {
    initial: new Uint8Array(abi.PCI_CFG_SPACE_SIZE),
    writable: new Uint8Array(abi.PCI_CFG_SPACE_SIZE),
    clearable: new Uint8Array(abi.PCI_CFG_SPACE_SIZE),
  };
  for (const row of [...header(resources, planned), ...planned.bars.flatMap(barRows)]) fill(space, row);
  const places = placeCapabilities(space, capabilities(resources));
  for (const { offset, bytes } of resources.registers ?? []) {
    space.initial.set(bytes, offset);
    space.writable.fill(0, offset, offset + bytes.length);
  }
  const hasMsix = resources.msixVectors !== undefined;
  return {
    ...space,
    msix: hasMsix ? (places[0]?.offset ?? 0) : 0,
    vendor: hasMsix ? places.slice(1) : places,
  };
}

/** What the guest can switch on, and firmware has: the kinds of BARs that there are. */
export function decodeBits({ bars }: PlannedFunction): number {
  const io = bars.some(({ kind }) => kind === 'io') ? abi.PCI_COMMAND_IO : 0;
  return bars.some(({ kind }) => kind !== 'io') ? io | abi.PCI_COMMAND_MEMORY : io;
}

function header(resources: PciResources, planned: PlannedFunction): Row[] {
  const { ids } = resources;
  const hasCapabilities = capabilities(resources).length > 0;
  const decode = decodeBits(planned);
  const command =
    decode |
    abi.PCI_COMMAND_MASTER |
    abi.PCI_COMMAND_PARITY |
    abi.PCI_COMMAND_SERR |
    abi.PCI_COMMAND_INTX_DISABLE;
  const status = hasCapabilities ? abi.PCI_STATUS_CAP_LIST : 0;
  const type = planned.isMultifunction ? abi.PCI_HEADER_TYPE_MFD : 0;
  const pin = planned.gsi === undefined ? 0 : INTA;
  return [
    { offset: abi.PCI_VENDOR_ID, sizeBytes: 2, initial: ids.vendorId },
    { offset: abi.PCI_DEVICE_ID, sizeBytes: 2, initial: ids.deviceId },
    { offset: abi.PCI_COMMAND, sizeBytes: 2, initial: decode, writable: command },
    { offset: abi.PCI_STATUS, sizeBytes: 2, initial: status, clearable: BITS_OF_ERRORS },
    { offset: abi.PCI_CLASS_REVISION, sizeBytes: 4, initial: ids.classCode * 2 ** 8 + ids.revisionId },
    { offset: abi.PCI_CACHE_LINE_SIZE, sizeBytes: 1, initial: 0, writable: 0xff },
    { offset: abi.PCI_LATENCY_TIMER, sizeBytes: 1, initial: 0, writable: 0xff },
    { offset: abi.PCI_HEADER_TYPE, sizeBytes: 1, initial: type },
    { offset: abi.PCI_SUBSYSTEM_VENDOR_ID, sizeBytes: 2, initial: ids.subsystemVendorId },
    { offset: abi.PCI_SUBSYSTEM_ID, sizeBytes: 2, initial: ids.subsystemId },
    { offset: abi.PCI_INTERRUPT_LINE, sizeBytes: 1, initial: planned.gsi ?? 0, writable: 0xff },
    { offset: abi.PCI_INTERRUPT_PIN, sizeBytes: 1, initial: pin },
  ];
}

/** §6.2.5.1: the bits below its size are not there, which tells the guest the size. */
function barRows({ index, kind, sizeBytes, base }: PlannedBar): Row[] {
  const offset = abi.PCI_BASE_ADDRESS_0 + 4 * index;
  const initial = base + typeBits(kind);
  const low = { offset, sizeBytes: 4, initial, writable: 2 ** 32 - sizeBytes };
  const high = { offset: offset + 4, sizeBytes: 4, initial: 0, writable: 0xffff_ffff };
  return kind === 'memory64' ? [low, high] : [low];
}

function typeBits(kind: PlannedBar['kind']): number {
  if (kind === 'io') return abi.PCI_BASE_ADDRESS_SPACE_IO;
  return kind === 'memory64' ? abi.PCI_BASE_ADDRESS_MEM_TYPE_64 : 0;
}

function fill(space: Omit<ConfigSpace, 'msix' | 'vendor'>, row: Row): void {
  for (let i = 0; i < row.sizeBytes; i++) {
    space.initial[row.offset + i] = byteOf(row.initial, i);
    space.writable[row.offset + i] = byteOf(row.writable ?? 0, i);
    space.clearable[row.offset + i] = byteOf(row.clearable ?? 0, i);
  }
}

function byteOf(value: number, index: number): number {
  return (value >>> (8 * index)) & 0xff;
}

function capabilities({ msixVectors, msixBar, capabilities: vendor = [] }: PciResources): Capability[] {
  const own = vendor.map((bytes) => ({ id: abi.PCI_CAP_ID_VNDR, bytes }));
  if (msixVectors === undefined || msixBar === undefined) return own;
  return [msixCapability(msixVectors, msixBar), ...own];
}

/** §6.8.2.2. */
function msixCapability(vectors: number, bar: number): Capability {
  const bytes = new Uint8Array(abi.PCI_CAP_MSIX_SIZEOF - abi.PCI_MSIX_FLAGS);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, vectors - 1, true);
  view.setUint32(abi.PCI_MSIX_TABLE - abi.PCI_MSIX_FLAGS, bar, true);
  view.setUint32(abi.PCI_MSIX_PBA - abi.PCI_MSIX_FLAGS, layoutMsixBar(vectors).pendingOffset + bar, true);
  const writable = new Uint8Array(bytes.length);
  new DataView(writable.buffer).setUint16(0, abi.PCI_MSIX_FLAGS_ENABLE | abi.PCI_MSIX_FLAGS_MASKALL, true);
  return { id: abi.PCI_CAP_ID_MSIX, bytes, writable };
}

/** §6.7: a linked list, each at a multiple of four bytes. */
function placeCapabilities(
  { initial, writable }: Pick<ConfigSpace, 'initial' | 'writable'>,
  list: readonly Capability[],
): CapabilityPlace[] {
  let link = abi.PCI_CAPABILITY_LIST;
  let end = abi.PCI_STD_HEADER_SIZEOF;
  return list.map(({ id, bytes, writable: mask }) => {
    const offset = end;
    const body = offset + BODY;
    if (body + bytes.length > abi.PCI_CFG_SPACE_SIZE) throw new RangeError('capabilities do not fit');
    initial[link] = offset;
    initial[offset + abi.PCI_CAP_LIST_ID] = id;
    initial.set(bytes, body);
    if (mask !== undefined) writable.set(mask, body);
    link = offset + abi.PCI_CAP_LIST_NEXT;
    end = Math.ceil((body + bytes.length) / abi.PCI_CAP_SIZEOF) * abi.PCI_CAP_SIZEOF;
    return { offset, sizeBytes: body + bytes.length - offset };
  });
}
