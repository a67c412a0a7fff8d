/**
 * Registers that every virtio device has, whatever its type and transport: the start of its state, which its
 * class continues with its own (virtioClass.ts). vCPUs' threads write them with the block's lock held, but
 * for those that the thread which serves the queues writes alone.
 */
import { ServiceGate } from '../../bus/serviceGate.ts';
import { bytes, u16, u32, u32s, u8, words } from '../../bus/stateBlock.ts';

const OF_DEVICE = {
  status: u8, // §2.1
  isResetting: u8, // 1: the driver has reset the device, and the service is not done with that
  isr: u8, // causes of interrupts that are not acknowledged yet
  isLegacy: u8, // 1: the driver uses the legacy interface (§1.3.1)
  isEarly: u8, // 1: it has kicked, but not written DRIVER_OK yet, which only we see
  configGeneration: u8,
  configVector: u16,
  queueSelect: u16,
  deviceFeaturesSelect: u32,
  driverFeaturesSelect: u32,
  driverFeaturesLow: u32,
  driverFeaturesHigh: u32,
  changes: u32, // counts what the service has to look at: DRIVER_OK, queues that were enabled or reset
  kicked: u32, // a bit for each queue that was kicked and that main has not looked at since
  memoryBar: u32, // PCI: where its BARs are; 0: nowhere
  portBar: u16,
  pciCfgBar: u8, // PCI: the window into BARs of its configuration space
  pciCfgOffset: u32,
  pciCfgLength: u32,
  brokenRule: bytes(160), // UTF-8: why NEEDS_RESET is set
  gate: words(ServiceGate.WORDS),
};

// Of `queueEnabled`.
export const QUEUE_OFF = 0;
export const QUEUE_ON = 1;
/** The driver has taken it away, and the service is not done with that. */
export const QUEUE_RESETTING = 2;

/** In `queueNextAvail`: somebody else serves the queue, and the used ring alone says how far it has come. */
export const QUEUE_LENT = 0xffff_ffff;

type PerQueue = ReturnType<typeof u32s<number>>;

/** By the queue's index. Addresses in two halves. */
interface OfQueues {
  readonly queueSize: PerQueue;
  readonly queueVector: PerQueue;
  /** QUEUE_OFF, QUEUE_ON or QUEUE_RESETTING. */
  readonly queueEnabled: PerQueue;
  readonly queueDescLow: PerQueue;
  readonly queueDescHigh: PerQueue;
  /** The available ring. */
  readonly queueDriverLow: PerQueue;
  readonly queueDriverHigh: PerQueue;
  /** The used ring. */
  readonly queueDeviceLow: PerQueue;
  readonly queueDeviceHigh: PerQueue;
  /** How often it was enabled. */
  readonly queueGeneration: PerQueue;
  // From here on the service's, for the inspector.
  readonly queueNextAvail: PerQueue;
  readonly queueNextUsed: PerQueue;
  readonly queueKicks: PerQueue;
  readonly queueInterrupts: PerQueue;
}

export type VirtioState = typeof OF_DEVICE & {
  readonly [K in keyof OfQueues]: PerQueue;
} & {
  /** §2.5, the device-specific configuration space. */
  readonly config: ReturnType<typeof bytes<number>>;
};

export function virtioState(queues: number, configBytes: number): VirtioState {
  const perQueue = u32s(queues);
  return {
    ...OF_DEVICE,
    queueSize: perQueue,
    queueVector: perQueue,
    queueEnabled: perQueue,
    queueDescLow: perQueue,
    queueDescHigh: perQueue,
    queueDriverLow: perQueue,
    queueDriverHigh: perQueue,
    queueDeviceLow: perQueue,
    queueDeviceHigh: perQueue,
    queueGeneration: perQueue,
    queueNextAvail: perQueue,
    queueNextUsed: perQueue,
    queueKicks: perQueue,
    queueInterrupts: perQueue,
    config: bytes(configBytes),
  };
}
