/** Virtio consoles, as <linux/virtio_console.h> spells them. Virtio 1.2 §5.3. */
import { struct, u16, u32 } from './struct.ts';

// Feature bits, §5.3.3.
export const VIRTIO_CONSOLE_F_SIZE = 0;
export const VIRTIO_CONSOLE_F_MULTIPORT = 1;

/** §5.3.4. */
export const VirtioConsoleConfig = struct('virtio_console_config', 12, {
  cols: u16(0),
  rows: u16(2),
  max_nr_ports: u32(4), // with MULTIPORT: port 0 counts
  emerg_wr: u32(8), // W
});

/** A message of the control queues, §5.3.6.2. */
export const VirtioConsoleControl = struct('virtio_console_control', 8, {
  id: u32(0), // of the port
  event: u16(4),
  value: u16(6),
});

// Events. D: the driver sends it; the others the device.
export const VIRTIO_CONSOLE_DEVICE_READY = 0; // D
export const VIRTIO_CONSOLE_PORT_ADD = 1; // DEVICE_ADD in the text
export const VIRTIO_CONSOLE_PORT_READY = 3; // D
export const VIRTIO_CONSOLE_CONSOLE_PORT = 4;
export const VIRTIO_CONSOLE_RESIZE = 5; // VirtioConsoleResize follows
export const VIRTIO_CONSOLE_PORT_OPEN = 6; // both
export const VIRTIO_CONSOLE_PORT_NAME = 7; // UTF-8 follows, without a NUL
