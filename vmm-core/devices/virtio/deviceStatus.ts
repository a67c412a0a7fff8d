/** The device status field, virtio 1.2 §2.1: how it may change by a driver's write, as a table. */
import {
  VIRTIO_CONFIG_S_ACKNOWLEDGE as ACKNOWLEDGE,
  VIRTIO_CONFIG_S_DRIVER as DRIVER,
  VIRTIO_CONFIG_S_DRIVER_OK as DRIVER_OK,
  VIRTIO_CONFIG_S_FAILED as FAILED,
  VIRTIO_CONFIG_S_FEATURES_OK as FEATURES_OK,
  VIRTIO_CONFIG_S_NEEDS_RESET as NEEDS_RESET,
} from '../../abi/virtioConfig.ts';

/**
 * §3.1.1, from and to. FAILED may come at any time and stays. 0 is the reset, and not here. Drivers of small
 * kernels take the first two steps at once.
 */
const TRANSITIONS: readonly (readonly [number, number])[] = [
  [0, ACKNOWLEDGE],
  [0, ACKNOWLEDGE | DRIVER],
  [ACKNOWLEDGE, ACKNOWLEDGE | DRIVER],
  [ACKNOWLEDGE | DRIVER, ACKNOWLEDGE | DRIVER | FEATURES_OK],
  [ACKNOWLEDGE | DRIVER | FEATURES_OK, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK],
];

/** undefined: the driver may not write that. */
export function nextStatus(before: number, written: number): number | undefined {
  const kept = before & (NEEDS_RESET | FAILED);
  const [from, to] = [before, written].map((it) => it & ~(NEEDS_RESET | FAILED));
  const isStep = from === to || TRANSITIONS.some(([one, other]) => one === from && other === to);
  return isStep ? (to ?? 0) | kept | (written & FAILED) : undefined;
}

/**
 * §3.1.2: drivers of the legacy interface know no FEATURES_OK, and some write each bit alone. Nothing but a
 * reset takes one away.
 */
export function nextLegacyStatus(before: number, written: number): number {
  return before | (written & (ACKNOWLEDGE | DRIVER | DRIVER_OK | FAILED));
}

/** The driver is ready and the device works: queues are served. */
export function isRunning(status: number): boolean {
  return (status & (DRIVER_OK | NEEDS_RESET | FAILED)) === DRIVER_OK;
}
