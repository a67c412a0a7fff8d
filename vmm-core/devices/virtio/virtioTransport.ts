/** What a transport is to the device behind it: where registers are, and how the driver is interrupted. */
import type { DoorbellPlace } from '../../bus/doorbell.ts';
import type { Device } from '../device.ts';

/** Any thread. */
export interface VirtioInterrupts {
  /** §2.3: used buffers of that queue. */
  usedBuffers(queue: number): void;
  /** §2.3: the configuration space has changed, or the device needs a reset. */
  configChange(): void;
}

export interface VirtioTransportDevice
  extends VirtioInterrupts, Pick<Device, 'read' | 'write' | 'bars' | 'capabilities'> {
  /** Where the driver's kick of that queue is a write; undefined: nowhere at present. */
  kickPlace(queue: number): DoorbellPlace | undefined;
  /** No cause of an interrupt is left. With the device's lock held. */
  lowerInterrupt(): void;
}
