/**
 * A machine's devices, as planner.ts lays them out: plain data, made once on the main thread, sent to all
 * others, printable.
 */
import type { Resources } from './device.ts';
import type { PlannedFunction } from './pci/pciPlan.ts';

export interface MachinePlan {
  readonly devices: readonly PlannedDevice[];
  readonly irqs: readonly PlannedIrq[];
  /** Of the shared memory that holds all registers and rings. */
  readonly stateBytes: number;
  /** Where the state of each doorbell is in the shared memory. */
  readonly doorbellStates: readonly number[];
  /** Where the state of the PCI bus is in the shared memory. */
  readonly pciBusState: number;
}

export interface PlannedDevice {
  /** In catalog.ts. */
  readonly classId: string;
  readonly name: string;
  /** What the class said of this instance. */
  readonly instance: unknown;
  /** With what the planner gave it. */
  readonly resources: Resources;
  /** Where its registers are in the shared memory. */
  readonly stateOffset: number;
  /** The place of its first among the machine's doorbells. */
  readonly firstDoorbell: number;
  /** As a function of the PCI bus. Its interrupt is the last of `resources`. */
  readonly pci?: PlannedFunction;
}

/** An interrupt and who drives it. */
export interface PlannedIrq {
  readonly gsi: number;
  readonly trigger: 'edge' | 'level';
  /** Names of devices. Several: the line is up while any of them asserts it. */
  readonly users: readonly string[];
  /** Where the state of the line is in the shared memory; used when there are several users. */
  readonly stateOffset: number;
}
