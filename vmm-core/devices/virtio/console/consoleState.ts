/** What a virtio console is to every thread: an instance, its registers, its queues. */
import { VirtioConsoleConfig } from '../../../abi/virtioConsole.ts';
import { u16 } from '../../../bus/stateBlock.ts';
import type { SerialBackend } from '../../../config/serialBackend.ts';
import type { ConsoleConfig } from '../../../config/settings/consoles.ts';
import type { VirtioInstance } from '../virtioClass.ts';
import { virtioState } from '../virtioState.ts';

/** Main's set of kicked queues has 32 bits. Port 0 has two of them, and so has the control of all. */
export const MAX_QUEUES = 32;
export const QUEUE_SIZE = 64;

export type ConsoleInstance = SinglePort | NamedPorts;

/** hvc0, as each driver knows it: without MULTIPORT, its size in the configuration space. */
interface SinglePort extends VirtioInstance {
  readonly kind: 'single';
  readonly title: string;
  readonly target: SerialBackend;
}

/**
 * All named ports in one more device, with MULTIPORT. They are not hvc0's neighbours there, because then the
 * size of hvc0 would go by RESIZE, of whose two halves drivers differ in which is first. Ids begin at 1: of
 * port 0 a driver without MULTIPORT would make a console.
 */
interface NamedPorts extends VirtioInstance {
  readonly kind: 'named';
  readonly ports: readonly ConsoleConfig[];
}

export const CONSOLE_STATE = {
  ...virtioState(MAX_QUEUES, VirtioConsoleConfig.size),
  columns: u16, // of hvc0's terminal; 0: not known
  rows: u16,
};
export type ConsoleState = typeof CONSOLE_STATE;

// §5.3.2.
export const CONTROL_RECEIVEQ = 2;
export const CONTROL_TRANSMITQ = 3;

export function receiveqOf(id: number): number {
  return id === 0 ? 0 : 2 + 2 * id;
}

export function transmitqOf(id: number): number {
  return receiveqOf(id) + 1;
}

/** Of a queue that is not one of control's. */
export function portIdOf(queue: number): number {
  return queue < CONTROL_RECEIVEQ ? 0 : (queue >> 1) - 1;
}

export function queuesOf(instance: ConsoleInstance): number {
  return instance.kind === 'single' ? 2 : transmitqOf(instance.ports.length) + 1;
}
