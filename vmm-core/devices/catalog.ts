/** Every device that a machine can have. The order is the one in which the guest's ACPI tables list them. */
import type { DeviceClass } from './device.ts';
import { ioApic } from './inKernel/ioApic.ts';
import { localApic } from './inKernel/localApic.ts';
import { pic } from './inKernel/pic.ts';
import { pit } from './inKernel/pit.ts';
import { acpiPm } from './legacy/acpiPm.ts';
import { crtc } from './legacy/crtc.ts';
import { debugcon } from './legacy/debugcon.ts';
import { fwCfg } from './legacy/fwCfg.ts';
import { i8042 } from './legacy/i8042.ts';
import { isaDebugExit } from './legacy/isaDebugExit.ts';
import { pvpanic } from './legacy/pvpanic.ts';
import { resetControl } from './legacy/resetControl.ts';
import { rtcCmos } from './legacy/rtcCmos.ts';
import { uart16550 } from './legacy/uart16550.ts';
import { hostBridge } from './pci/hostBridge.ts';
import { isaBridge } from './pci/isaBridge.ts';
import { vmmci } from './pci/vmmci.ts';
import { blk } from './virtio/blk/blk.ts';
import { netDevice } from './virtio/net/netDevice.ts';
import { virtioBalloon } from './virtio/balloon/virtioBalloon.ts';
import { virtioConsole } from './virtio/console/virtioConsole.ts';
import { virtio9p } from './virtio/ninep/ninepDevice.ts';
import { virtioScsi } from './virtio/scsi/scsiHost.ts';
import { virtioRng } from './virtio/virtioRng.ts';
import { vsockDevice } from './virtio/vsock/vsockDevice.ts';

export const CATALOG: readonly DeviceClass[] = [
  localApic,
  ioApic,
  pic,
  pit,
  hostBridge,
  isaBridge,
  rtcCmos,
  i8042,
  uart16550,
  pvpanic,
  acpiPm,
  resetControl,
  crtc,
  fwCfg,
  debugcon,
  isaDebugExit,
  blk,
  netDevice,
  virtioScsi,
  virtioRng,
  virtioConsole,
  vsockDevice,
  virtioBalloon,
  vmmci,
  virtio9p,
];

export function classOf(id: string, catalog: readonly DeviceClass[] = CATALOG): DeviceClass {
  const found = catalog.find((it) => it.id === id);
  if (found === undefined) throw new Error(`the catalog has no device ${id}`);
  return found;
}
