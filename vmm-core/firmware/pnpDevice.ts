/** A device of the DSDT that an operating system finds by its id (_HID) and uses where _CRS says. */
import { type Aml, device, integer, name, resourceTemplate } from './aml.ts';

// §6.3.7: present, enabled, shown, functioning.
const STA_WORKING = 0x0f;

/** `uid` tells devices of the same id apart. */
export function pnpDevice(deviceName: string, hid: Aml, resources: readonly Aml[], uid?: number): Aml {
  return device(
    deviceName,
    name('_HID', hid),
    ...(uid === undefined ? [] : [name('_UID', integer(uid))]),
    name('_STA', integer(STA_WORKING)),
    name('_CRS', resourceTemplate(...resources)),
  );
}
