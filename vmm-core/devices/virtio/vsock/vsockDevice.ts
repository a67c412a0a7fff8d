/**
 * The virtio socket device (virtio 1.2 §5.10): connections between programs of the guest, by port, and unix
 * sockets of the host. Served on the I/O thread: vsockService.ts. Streams only: SOCK_SEQPACKET of AF_UNIX has
 * no room for a message of any length, as the guest's has.
 */
import { VIRTIO_ID_VSOCK } from '../../../abi/virtioIds.ts';
import * as abi from '../../../abi/virtioVsock.ts';
import { VirtioVsockConfig } from '../../../abi/virtioVsock.ts';
import { IO_THREAD } from '../../device.ts';
import { featureNames } from '../featureNames.ts';
import { LateCode } from '../lateCode.ts';
import type { VirtioClass } from '../virtioClass.ts';
import { virtioDevice } from '../virtioDevice.ts';
import { QUEUES, VSOCK_STATE, type VsockInstance, type VsockState } from './vsockState.ts';

/** A communication controller that is no other. */
const CLASS_CODE = 0x07_80_00;
const QUEUE_SIZE = 128;

/** On main and on the I/O thread of a machine that has one. */
const code = new LateCode('socket connections', async () => ({
  ...(await import('./vsockBackend.ts')),
  ...(await import('./vsockService.ts')),
  ...(await import('./vsockReport.ts')),
}));

export const vsockClass: VirtioClass<VsockInstance, VsockState> = {
  id: 'virtio-vsock',
  deviceType: VIRTIO_ID_VSOCK,
  classCode: CLASS_CODE,
  state: VSOCK_STATE,
  instances: ({ name, vsock, virtio }) =>
    vsock === undefined ? [] : [{ transport: virtio ?? 'pci', vmName: name, vsock }],
  nameOf: () => 'vsock',
  features: () => [],
  featureNames: featureNames(abi, 'VIRTIO_VSOCK_F_'),
  queueSizes: () => Array<number>(QUEUES).fill(QUEUE_SIZE),
  reset: ({ vsock }, { regs }) => regs.config.set(VirtioVsockConfig.bytes({ guest_cid: BigInt(vsock.cid) })),
  ioThread: () => IO_THREAD,
  inspect: (instance, { regs }) => code.loaded.vsockReport(instance, regs),
  load: () => code.load(),
  serve: (instance, port) => new code.loaded.VsockService(instance, port),
  backend: (instance, port) => new code.loaded.VsockBackend(instance, port),
};

export const vsockDevice = virtioDevice(vsockClass);
