/**
 * A folder of the host that the guest mounts by 9P2000.L (virtio device 9, which virtio 1.2 names and does
 * not describe: Linux's <linux/virtio_9p.h> and its driver do). Each share has an I/O thread of its own
 * (ninepService.ts), because the host's file system is asked synchronously: a slow one holds up nobody else.
 */
import * as abi from '../../../abi/ninep.ts';
import { VIRTIO_9P_CONFIG_TAG, VIRTIO_9P_MOUNT_TAG } from '../../../abi/ninep.ts';
import { VIRTIO_ID_9P } from '../../../abi/virtioIds.ts';
import { tagOf } from '../../../config/settings/shares.ts';
import { featureNames } from '../featureNames.ts';
import { LateCode } from '../lateCode.ts';
import type { VirtioClass } from '../virtioClass.ts';
import { virtioDevice } from '../virtioDevice.ts';
import { NINEP_STATE, type NinepInstance, type NinepState } from './ninepState.ts';

/** As many as Linux's driver has segments for in a request. */
const QUEUE_SIZE = 128;
/** Mass storage that is no disk. */
const CLASS_CODE = 0x01_80_00;
const U32 = 2 ** 32;

/** On main and on the I/O thread of a machine that has a share. */
const code = new LateCode('shared folders', async () => ({
  ...(await import('./ninepBackend.ts')),
  ...(await import('./ninepService.ts')),
}));

export const ninepClass: VirtioClass<NinepInstance, NinepState> = {
  id: 'virtio-9p',
  deviceType: VIRTIO_ID_9P,
  classCode: CLASS_CODE,
  state: NINEP_STATE,
  instances: ({ shares = [], virtio }) =>
    shares.map((share, i) => ({
      name: `9p${i}`,
      transport: virtio ?? 'pci',
      tag: tagOf(share),
      share,
    })),
  nameOf: ({ name }) => name,
  features: () => [VIRTIO_9P_MOUNT_TAG],
  featureNames: featureNames(abi, 'VIRTIO_9P_MOUNT_'),
  queueSizes: () => [QUEUE_SIZE],
  reset: ({ tag: name }, { regs }) => {
    const tag = new TextEncoder().encode(name);
    regs.config.fill(0);
    regs.config[0] = tag.length;
    regs.config.set(tag, VIRTIO_9P_CONFIG_TAG);
  },
  ioThread: ({ name }) => name,
  inspect: ({ share, tag }, { regs }) => ({
    folder: share.path,
    tag,
    access: share.readonly === false ? 'read and write' : 'read-only',
    msize: regs.msize,
    messages: regs.messages,
    errors: regs.errors,
    readBytes: regs.readLow + regs.readHigh * U32,
    writtenBytes: regs.writtenLow + regs.writtenHigh * U32,
    fids: regs.fids,
    openFiles: regs.openFiles,
    places: regs.places,
  }),
  load: () => code.load(),
  serve: (instance, port) => new code.loaded.NinepService(instance, port),
  backend: (instance) => new code.loaded.NinepBackend(instance.share),
};

export const virtio9p = virtioDevice(ninepClass);
