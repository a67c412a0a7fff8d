/** The configuration space of a virtio console, virtio 1.2 §5.3.4. */
import { VirtioConsoleConfig } from '../../../abi/virtioConsole.ts';
import type { Decoded } from '../../../protocol/devices.ts';

const { cols, rows: rowsField } = VirtioConsoleConfig.fields;

export function configOf(values: {
  readonly cols: number;
  readonly rows: number;
  readonly max_nr_ports: number;
}): Uint8Array {
  return VirtioConsoleConfig.bytes(values);
}

export function setSize(config: Uint8Array, columns: number, rows: number): void {
  config.set(new Uint8Array(Uint16Array.of(columns).buffer), cols.offset);
  config.set(new Uint8Array(Uint16Array.of(rows).buffer), rowsField.offset);
}

/** For the inspector, by the names of the header. */
export function decodeConfig(config: Uint8Array): Decoded {
  return VirtioConsoleConfig.read(new DataView(config.slice().buffer));
}
