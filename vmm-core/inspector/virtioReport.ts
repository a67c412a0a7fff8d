/** A virtio device, from the registers that all have (devices/virtio/virtioState.ts). Virtio 1.2 §2. */
import * as config from '../abi/virtioConfig.ts';
import { VIRTIO_MSI_NO_VECTOR } from '../abi/virtioPci.ts';
import * as ring from '../abi/virtioRing.ts';
import type { Registers } from '../bus/stateBlock.ts';
import type { VirtioKind } from '../devices/virtio/virtioKind.ts';
import { QUEUE_LENT, type VirtioState } from '../devices/virtio/virtioState.ts';
import type { GuestMemory } from '../memory/guestMemory.ts';
import type { BitsReport, QueueReport, VirtioReport } from '../protocol/devices.ts';
import { type BitNames, bitsReport, hex64, namesIn } from './bits.ts';
import { readRings } from './ringsReport.ts';
import { hexBytes } from './registerValues.ts';

const STATUS_BITS = namesIn(config, 'VIRTIO_CONFIG_S_');
/** Of every device: feature bits by their number. */
const COMMON_FEATURES: BitNames = new Map([
  ...namesIn(config, 'VIRTIO_F_'),
  ...namesIn(ring, 'VIRTIO_RING_F_'),
]);
const FEATURE_BITS = 64;

export function virtioReport(
  kind: VirtioKind,
  instance: unknown,
  regs: Registers<VirtioState>,
  memory: GuestMemory,
): VirtioReport {
  const names = featureNames(kind);
  const negotiated = takenFeatures(regs);
  const rule = brokenRule(regs);
  return {
    deviceType: kind.deviceType,
    status: bitsReport(regs.status, STATUS_BITS),
    isLegacy: regs.isLegacy !== 0,
    ...(rule === '' ? {} : { brokenRule: rule }),
    features: featuresReport(regs, negotiated, names),
    notTaken: kind
      .features(instance)
      .filter((bit) => !negotiated.includes(bit))
      .map((bit) => nameOf(bit, names)),
    isr: regs.isr,
    configGeneration: regs.configGeneration,
    config: hexBytes(regs.config),
    queues: kind.queueSizes(instance).map((maxSize, index) => queueReport(index, maxSize, regs, memory)),
  };
}

function featureNames({ featureNames: own = {} }: VirtioKind): BitNames {
  return new Map([
    ...COMMON_FEATURES,
    ...Object.entries(own).map(([bit, name]) => [Number(bit), name] as const),
  ]);
}

/** Numbers of the bits that the driver has written. */
function takenFeatures({ driverFeaturesLow, driverFeaturesHigh }: Registers<VirtioState>): number[] {
  const isTaken = (bit: number): boolean =>
    ((bit < 32 ? driverFeaturesLow : driverFeaturesHigh) & (1 << (bit & 31))) !== 0;
  return Array.from({ length: FEATURE_BITS }, (_, bit) => bit).filter(isTaken);
}

function featuresReport(
  { driverFeaturesLow, driverFeaturesHigh }: Registers<VirtioState>,
  taken: readonly number[],
  names: BitNames,
): BitsReport {
  return { value: hex64(driverFeaturesLow, driverFeaturesHigh), set: taken.map((bit) => nameOf(bit, names)) };
}

function nameOf(bit: number, names: BitNames): string {
  return names.get(bit) ?? `bit ${bit}`;
}

/** UTF-8 up to the first zero; set together with NEEDS_RESET. */
function brokenRule({ brokenRule: bytes }: Registers<VirtioState>): string {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(bytes.slice(0, end < 0 ? bytes.length : end));
}

function queueReport(
  index: number,
  maxSize: number,
  regs: Registers<VirtioState>,
  memory: GuestMemory,
): QueueReport {
  const at = (field: Uint32Array): number => field[index] ?? 0;
  const vector = at(regs.queueVector);
  const isEnabled = at(regs.queueEnabled) !== 0;
  const isTaken = (bit: number): boolean => (regs.driverFeaturesLow & (1 << bit)) !== 0;
  const places = {
    desc: address(at(regs.queueDescLow), at(regs.queueDescHigh)),
    driver: address(at(regs.queueDriverLow), at(regs.queueDriverHigh)),
    device: address(at(regs.queueDeviceLow), at(regs.queueDeviceHigh)),
  };
  const features = {
    hasEventIdx: isTaken(ring.VIRTIO_RING_F_EVENT_IDX),
    hasIndirect: isTaken(ring.VIRTIO_RING_F_INDIRECT_DESC),
  };
  const isLent = at(regs.queueNextAvail) === QUEUE_LENT;
  const progress = isLent ? {} : { nextAvail: at(regs.queueNextAvail), nextUsed: at(regs.queueNextUsed) };
  return {
    index,
    maxSize,
    size: at(regs.queueSize),
    isEnabled,
    ...(vector === VIRTIO_MSI_NO_VECTOR ? {} : { vector }),
    descriptorTable: hex64(at(regs.queueDescLow), at(regs.queueDescHigh)),
    availableRing: hex64(at(regs.queueDriverLow), at(regs.queueDriverHigh)),
    usedRing: hex64(at(regs.queueDeviceLow), at(regs.queueDeviceHigh)),
    kicks: at(regs.queueKicks),
    interrupts: at(regs.queueInterrupts),
    ...(isEnabled
      ? { rings: readRings({ ...places, ...progress, ...features, size: at(regs.queueSize) }, memory) }
      : {}),
  };
}

/** One above 2^53 is rounded, and not RAM either way. */
function address(low: number, high: number): number {
  return high * 2 ** 32 + low;
}
