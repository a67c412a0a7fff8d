/**
 * The virtio block device (virtio 1.2 §5.2): every disk of the machine. Its data is served on an I/O thread:
 * blkService.ts and, request by request, blkRequests.ts. Main opens the image and changes it while the guest
 * runs: blkBackend.ts.
 */
import * as abi from '../../../abi/virtioBlk.ts';
import {
  VIRTIO_BLK_F_BLK_SIZE,
  VIRTIO_BLK_F_CONFIG_WCE,
  VIRTIO_BLK_F_DISCARD,
  VIRTIO_BLK_F_FLUSH,
  VIRTIO_BLK_F_MQ,
  VIRTIO_BLK_F_RO,
  VIRTIO_BLK_F_SEG_MAX,
  VIRTIO_BLK_F_TOPOLOGY,
  VIRTIO_BLK_F_WRITE_ZEROES,
} from '../../../abi/virtioBlk.ts';
import { VIRTIO_ID_BLOCK } from '../../../abi/virtioIds.ts';
import type { DiskConfig } from '../../../config/settings/diskOptions.ts';
import { IO_THREAD } from '../../device.ts';
import { featureNames } from '../featureNames.ts';
import { LateCode } from '../lateCode.ts';
import type { VirtioClass } from '../virtioClass.ts';
import { virtioDevice } from '../virtioDevice.ts';
import { decodeConfig, QUEUE_SIZE, writeConfig } from './blkConfig.ts';
import { BLK_STATE, type BlkInstance, type BlkState, MAX_QUEUES } from './blkState.ts';

/** Mass storage, SCSI: what drivers of other disks do not take for theirs. */
const CLASS_CODE = 0x01_00_00;
const ALWAYS = [
  VIRTIO_BLK_F_SEG_MAX,
  VIRTIO_BLK_F_BLK_SIZE,
  VIRTIO_BLK_F_FLUSH,
  VIRTIO_BLK_F_TOPOLOGY,
  VIRTIO_BLK_F_CONFIG_WCE,
  VIRTIO_BLK_F_MQ,
];

/** On main and on the I/O thread of a machine that has a disk. Image formats come with it. */
const code = new LateCode('block devices', async () => ({
  ...(await import('./blkBackend.ts')),
  ...(await import('./blkService.ts')),
}));

export const blkClass: VirtioClass<BlkInstance, BlkState> = {
  id: 'blk',
  deviceType: VIRTIO_ID_BLOCK,
  classCode: CLASS_CODE,
  state: BLK_STATE,
  instances: ({ disks = [], cpus }) =>
    disks.map((disk, i) => ({
      name: `blk${i}`,
      transport: disk.transport ?? 'pci',
      disk,
      queues: Math.min(cpus, MAX_QUEUES),
    })),
  nameOf: ({ name }) => name,
  features: ({ disk }) => [...ALWAYS, ...writeFeatures(disk)],
  featureNames: featureNames(abi, 'VIRTIO_BLK_F_'),
  queueSizes: ({ queues }) => Array.from({ length: queues }, () => QUEUE_SIZE),
  reset: (_, { regs }) => regs.config.set(regs.medium),
  writeConfig: (_, { regs }, offset, sizeBytes, value) => writeConfig(regs.config, offset, sizeBytes, value),
  ioThread: ({ name, disk }) => (disk.iothread === true ? name : IO_THREAD),
  inspect: ({ disk }, { regs }) => ({ image: disk.path, ...decodeConfig(regs.config) }),
  load: () => code.load(),
  serve: (instance, port) => new code.loaded.BlkService(instance, port),
  backend: (instance, port) => new code.loaded.BlkBackend(instance, port),
};

export const blk = virtioDevice(blkClass);

function writeFeatures({ readonly, discard }: DiskConfig): readonly number[] {
  if (readonly === true) return [VIRTIO_BLK_F_RO];
  return discard === false ? [VIRTIO_BLK_F_WRITE_ZEROES] : [VIRTIO_BLK_F_DISCARD, VIRTIO_BLK_F_WRITE_ZEROES];
}
