/**
 * The settings of a VM, one row each: see setting.ts for what a row says and who uses it. A new setting
 * needs its row, its line here and the code that uses it.
 */
import { bootDevice, cmdline, firmware, initrd, kernel, protocol } from './settings/boot.ts';
import { debugExit, gdbSocket } from './settings/debug.ts';
import { cpus, memoryBytes, memoryEncryption, name, onReset } from './settings/hardware.ts';
import { consoles } from './settings/consoles.ts';
import { networks } from './settings/network.ts';
import { serial } from './settings/serial.ts';
import { cdrom, disks } from './settings/storage.ts';
import { shares } from './settings/shares.ts';
import { balloon, guestControl, rng, virtio } from './settings/virtio.ts';
import { vsock } from './settings/vsock.ts';
import type { Rows } from './rows.ts';

/** By their names in a configuration, in the order in which they are listed everywhere. */
export const SETTINGS = {
  name,
  kernel,
  initrd,
  cmdline,
  protocol,
  memoryBytes,
  cpus,
  serial,
  debugExit,
  onReset,
  disks,
  cdrom,
  firmware,
  bootDevice,
  virtio,
  rng,
  balloon,
  guestControl,
  consoles,
  shares,
  networks,
  vsock,
  gdbSocket,
  memoryEncryption,
} as const satisfies Rows;
