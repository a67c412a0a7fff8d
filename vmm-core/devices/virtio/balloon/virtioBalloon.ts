/**
 * The memory balloon (virtio 1.2 §5.5): the guest gives memory back to the host, as much as it is asked for,
 * and, with a driver that reports free pages, whatever it does not use. Main serves the queues
 * (balloonService.ts).
 */
import * as abi from '../../../abi/virtioBalloon.ts';
import {
  VIRTIO_BALLOON_F_DEFLATE_ON_OOM,
  VIRTIO_BALLOON_F_REPORTING,
  VIRTIO_BALLOON_F_STATS_VQ,
} from '../../../abi/virtioBalloon.ts';
import { VIRTIO_ID_BALLOON } from '../../../abi/virtioIds.ts';
import type { VmConfig } from '../../../config/vmConfig.ts';
import { featureNames } from '../featureNames.ts';
import { LateCode } from '../lateCode.ts';
import type { VirtioClass, VirtioInstance } from '../virtioClass.ts';
import { virtioDevice } from '../virtioDevice.ts';
import {
  BALLOON_STATE,
  type BalloonState,
  decodeConfig,
  QUEUE_SIZES,
  setTargetPages,
  writeConfig,
} from './balloonState.ts';

/** What Linux and others call a memory controller that is no other: no driver takes it for its own. */
const CLASS_CODE = 0x05_80_00;

/** On main of a machine that has one. */
const code = new LateCode('the balloon', () => import('./balloonService.ts'));

const balloonClass: VirtioClass<VirtioInstance, BalloonState> = {
  id: 'virtio-balloon',
  deviceType: VIRTIO_ID_BALLOON,
  classCode: CLASS_CODE,
  state: BALLOON_STATE,
  instances: ({ balloon, virtio }: VmConfig) => (balloon === true ? [{ transport: virtio ?? 'pci' }] : []),
  nameOf: () => 'virtio-balloon',
  features: () => [VIRTIO_BALLOON_F_STATS_VQ, VIRTIO_BALLOON_F_DEFLATE_ON_OOM, VIRTIO_BALLOON_F_REPORTING],
  featureNames: featureNames(abi, 'VIRTIO_BALLOON_F_'),
  queueSizes: () => QUEUE_SIZES,
  reset: (_, { regs }) => {
    regs.config.fill(0);
    setTargetPages(regs.config, regs.targetPages);
  },
  writeConfig: (_, { regs }, offset, sizeBytes, value) => writeConfig(regs.config, offset, sizeBytes, value),
  inspect: (_, { regs }) => decodeConfig(regs.config),
  load: () => code.load(),
  serve: (_, port) => new code.loaded.BalloonService(port),
};

export const virtioBalloon = virtioDevice(balloonClass);
