/**
 * The virtio SCSI host (virtio 1.2 §5.6), with one unit: the machine's CD-ROM drive, as vmd has it. Served on
 * an I/O thread of its own (scsiService.ts), because its medium is read synchronously, and may be a drive of
 * the host. Main opens the medium and changes it: scsiBackend.ts.
 */
import { VIRTIO_ID_SCSI } from '../../../abi/virtioIds.ts';
import {
  VIRTIO_SCSI_CDB_DEFAULT_SIZE,
  VIRTIO_SCSI_SENSE_DEFAULT_SIZE,
  VirtioScsiConfig,
} from '../../../abi/virtioScsi.ts';
import { LateCode } from '../lateCode.ts';
import type { VirtioClass } from '../virtioClass.ts';
import { virtioDevice } from '../virtioDevice.ts';
import { MOST_READ_BYTES } from './cdrom.ts';
import { QUEUE_SIZE, QUEUES, SCSI_STATE, type ScsiInstance, type ScsiState } from './scsiState.ts';

/** Mass storage, SCSI. */
const CLASS_CODE = 0x01_00_00;
const CONFIG = VirtioScsiConfig.bytes({
  num_queues: 1,
  seg_max: QUEUE_SIZE - 2, // the header and the response have a descriptor each
  max_sectors: MOST_READ_BYTES / 512,
  cmd_per_lun: QUEUE_SIZE,
  event_info_size: 16,
  sense_size: VIRTIO_SCSI_SENSE_DEFAULT_SIZE,
  cdb_size: VIRTIO_SCSI_CDB_DEFAULT_SIZE,
});
/** Of both that a driver may set. */
const MOST_SIZE = 252;

/** On main and on the I/O thread of a machine that has a CD-ROM. Image formats come with it. */
const code = new LateCode('the CD-ROM', async () => ({
  ...(await import('./scsiBackend.ts')),
  ...(await import('./scsiService.ts')),
}));

export const scsiClass: VirtioClass<ScsiInstance, ScsiState> = {
  id: 'virtio-scsi',
  deviceType: VIRTIO_ID_SCSI,
  classCode: CLASS_CODE,
  state: SCSI_STATE,
  instances: ({ cdrom: path, virtio }) =>
    path === undefined ? [] : [{ name: 'scsi0', transport: virtio ?? 'pci', path }],
  nameOf: ({ name }) => name,
  features: () => [],
  queueSizes: () => Array.from({ length: QUEUES }, () => QUEUE_SIZE),
  reset: (_, { regs }) => regs.config.set(CONFIG),
  writeConfig: (_, { regs }, offset, sizeBytes, value) => {
    const { sense_size, cdb_size } = VirtioScsiConfig.fields;
    // By the legacy interface it comes byte by byte, of which the others are 0.
    const isWhole = sizeBytes === 4 || sizeBytes === 1;
    if (!isWhole || (offset !== sense_size.offset && offset !== cdb_size.offset)) return;
    if (value <= MOST_SIZE) regs.config.set([value, 0, 0, 0], offset);
  },
  ioThread: ({ name }) => name,
  inspect: ({ path }, { regs }) => ({
    path,
    blocks: regs.blocks,
    isEjected: regs.isEjected !== 0,
    isLocked: regs.isLocked !== 0,
    commands: regs.commands,
    failures: regs.failures,
    kibRead: regs.kibRead,
  }),
  load: () => code.load(),
  serve: (_, port) => new code.loaded.ScsiService(port),
  backend: (instance, port) => new code.loaded.ScsiBackend(instance, port),
};

export const virtioScsi = virtioDevice(scsiClass);
