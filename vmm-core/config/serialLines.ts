/** All that is a serial line of a VM: its serial ports, and then the ports of a virtio console with names. */
import { type SerialBackend, serialTitle } from './serialBackend.ts';
import type { VmConfig } from './vmConfig.ts';

export interface SerialLineConfig {
  /** By which the control protocol knows it: 0 is COM1. */
  readonly port: number;
  /** What it is called where users read. */
  readonly title: string;
  readonly target: SerialBackend;
}

export function serialLines({ serial, consoles = [] }: VmConfig): readonly SerialLineConfig[] {
  const lines = [
    ...serial.map((target, port) => ({ title: serialTitle(port), target })),
    ...consoles.map(({ name, target }) => ({ title: name, target })),
  ];
  return lines.map((it, port) => ({ port, ...it }));
}
