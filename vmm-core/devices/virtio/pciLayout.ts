/** How a virtio function on the PCI bus looks: ids, BARs, capabilities (virtio 1.2 §4.1.2 to §4.1.4). */
import {
  VIRTIO_ID_9P,
  VIRTIO_ID_BALLOON,
  VIRTIO_ID_BLOCK,
  VIRTIO_ID_CONSOLE,
  VIRTIO_ID_NET,
  VIRTIO_ID_RNG,
  VIRTIO_ID_SCSI,
  VIRTIO_TRANS_ID_9P,
  VIRTIO_TRANS_ID_BALLOON,
  VIRTIO_TRANS_ID_BLOCK,
  VIRTIO_TRANS_ID_CONSOLE,
  VIRTIO_TRANS_ID_NET,
  VIRTIO_TRANS_ID_RNG,
  VIRTIO_TRANS_ID_SCSI,
} from '../../abi/virtioIds.ts';
import * as abi from '../../abi/virtioPci.ts';
import type { PciBar, PciIds, PciResources } from '../pci/pciResources.ts';

/** §4.1.2.3: types that had a legacy interface keep it, and the device id of that. */
const TRANSITIONAL_IDS: Readonly<Record<number, number>> = {
  [VIRTIO_ID_NET]: VIRTIO_TRANS_ID_NET,
  [VIRTIO_ID_BLOCK]: VIRTIO_TRANS_ID_BLOCK,
  [VIRTIO_ID_BALLOON]: VIRTIO_TRANS_ID_BALLOON,
  [VIRTIO_ID_CONSOLE]: VIRTIO_TRANS_ID_CONSOLE,
  [VIRTIO_ID_SCSI]: VIRTIO_TRANS_ID_SCSI,
  [VIRTIO_ID_RNG]: VIRTIO_TRANS_ID_RNG,
  [VIRTIO_ID_9P]: VIRTIO_TRANS_ID_9P,
};
/** §4.1.2.1: a subsystem id of 40h or more tells a driver of 0.9 to keep away. */
const MODERN_SUBSYSTEM_ID = 0x40;
const MODERN_REVISION = 1;

/** By what is in them. */
export const BAR = { LEGACY: 0, MSIX: 1, MODERN: 4 } as const;
const LEGACY_BAR_BYTES = 0x80;

/** What is where in the modern BAR: a page each. */
export const REGION = {
  COMMON: { offset: 0x0000, lengthBytes: abi.VIRTIO_PCI_COMMON_BYTES },
  ISR: { offset: 0x1000, lengthBytes: 1 },
  DEVICE: { offset: 0x2000, lengthBytes: 0x1000 },
  NOTIFY: { offset: 0x3000, lengthBytes: 0x1000 },
} as const;
const MODERN_BAR_BYTES = 0x4000;
/** §4.1.4.4: bytes from the address of a queue's kicks to that of the next. */
export const NOTIFY_MULTIPLIER = 4;

export interface Region {
  readonly offset: number;
  readonly lengthBytes: number;
}

export function hasLegacyInterface(deviceType: number): boolean {
  return TRANSITIONAL_IDS[deviceType] !== undefined;
}

/** A vector for each queue, and one for changes of the configuration. */
export function vectorsOf(queues: number): number {
  return queues + 1;
}

export function virtioPciResources(deviceType: number, classCode: number, queues: number): PciResources {
  const legacy: PciBar = { index: BAR.LEGACY, kind: 'io', sizeBytes: LEGACY_BAR_BYTES };
  const modern: PciBar = { index: BAR.MODERN, kind: 'memory', sizeBytes: MODERN_BAR_BYTES };
  return {
    ids: idsOf(deviceType, classCode),
    bars: hasLegacyInterface(deviceType) ? [legacy, modern] : [modern],
    hasInterruptPin: true,
    msixVectors: vectorsOf(queues),
    msixBar: BAR.MSIX,
    capabilities: CAPABILITIES,
  };
}

function idsOf(deviceType: number, classCode: number): PciIds {
  const vendorId = abi.PCI_VENDOR_ID_REDHAT_QUMRANET;
  const transitional = TRANSITIONAL_IDS[deviceType];
  const isModern = transitional === undefined;
  return {
    vendorId,
    deviceId: transitional ?? abi.VIRTIO_PCI_MODERN_ID + deviceType,
    revisionId: isModern ? MODERN_REVISION : 0,
    classCode,
    subsystemVendorId: vendorId,
    subsystemId: isModern ? MODERN_SUBSYSTEM_ID : deviceType,
  };
}

/** struct virtio_pci_cap from its third byte on; `more` follows it. */
function capability(type: number, { offset, lengthBytes }: Region, more: readonly number[] = []): Uint8Array {
  const bytes = new Uint8Array(abi.VIRTIO_PCI_NOTIFY_CAP_MULT + 4 * more.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(abi.VIRTIO_PCI_CAP_LEN, bytes.length);
  view.setUint8(abi.VIRTIO_PCI_CAP_CFG_TYPE, type);
  view.setUint8(abi.VIRTIO_PCI_CAP_BAR, BAR.MODERN);
  view.setUint32(abi.VIRTIO_PCI_CAP_OFFSET, offset, true);
  view.setUint32(abi.VIRTIO_PCI_CAP_LENGTH, lengthBytes, true);
  more.forEach((it, i) => view.setUint32(abi.VIRTIO_PCI_NOTIFY_CAP_MULT + 4 * i, it, true));
  return bytes.subarray(abi.VIRTIO_PCI_CAP_LEN);
}

/** Its fields are the driver's; pciCfgWindow.ts answers for it. */
export const PCI_CFG_CAPABILITY = capability(abi.VIRTIO_PCI_CAP_PCI_CFG, { offset: 0, lengthBytes: 0 }, [0]);
const CAPABILITIES: readonly Uint8Array[] = [
  capability(abi.VIRTIO_PCI_CAP_COMMON_CFG, REGION.COMMON),
  capability(abi.VIRTIO_PCI_CAP_ISR_CFG, REGION.ISR),
  capability(abi.VIRTIO_PCI_CAP_DEVICE_CFG, REGION.DEVICE),
  capability(abi.VIRTIO_PCI_CAP_NOTIFY_CFG, REGION.NOTIFY, [NOTIFY_MULTIPLIER]),
  PCI_CFG_CAPABILITY,
];
/** Among the function's. */
export const PCI_CFG_INDEX = CAPABILITIES.indexOf(PCI_CFG_CAPABILITY);
