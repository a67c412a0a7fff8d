/**
 * The virtio network device (virtio 1.2 §5.1): every network interface of the machine. Frames are moved on an
 * I/O thread, by netService.ts; main opens what the interface is wired to: netBackend.ts. What is offered to
 * the driver depends on the kind of that.
 */
import * as abi from '../../../abi/virtioNet.ts';
import { VIRTIO_ID_NET } from '../../../abi/virtioIds.ts';
import { MAX_PAIRS } from '../../../backends/net/linkKind.ts';
import { linkCode, loadLinks } from '../../../backends/net/openLink.ts';
import type { NetworkConfig } from '../../../config/settings/networkOptions.ts';
import { nameOfKernel } from '../../../config/settings/hardware.ts';
import type { VmConfig } from '../../../config/vmConfig.ts';
import { IO_THREAD } from '../../device.ts';
import { featureNames } from '../featureNames.ts';
import { LateCode } from '../lateCode.ts';
import type { VirtioClass } from '../virtioClass.ts';
import { virtioDevice } from '../virtioDevice.ts';
import { decodeFilter } from './macFilter.ts';
import { decodeConfig, ownLladdr, writeConfig } from './netConfig.ts';
import { featuresOf, refusalOf } from './netFeatures.ts';
import { NET_STATE, type NetInstance, type NetState } from './netState.ts';

/** Ethernet. */
const CLASS_CODE = 0x02_00_00;
const QUEUE_SIZE = 256;
const CONTROL_QUEUE_SIZE = 64;

/** On main and on the I/O thread of a machine that has an interface. */
const code = new LateCode('network interfaces', async () => ({
  ...(await import('./netBackend.ts')),
  ...(await import('./netService.ts')),
}));

export const netClass: VirtioClass<NetInstance, NetState> = {
  id: 'virtio-net',
  deviceType: VIRTIO_ID_NET,
  classCode: CLASS_CODE,
  state: NET_STATE,
  instances: (config) => (config.networks ?? []).map((it, index) => instanceOf(config, it, index)),
  nameOf: ({ name }) => name,
  features: (instance) => featuresOf(instance),
  refusal: (_, has) => refusalOf(has),
  featureNames: featureNames(abi, 'VIRTIO_NET_F_'),
  // Where the control queue is of a driver without MQ, that is a receiveq of one with it.
  queueSizes: ({ pairs }) => [...Array.from({ length: 2 * pairs }, () => QUEUE_SIZE), CONTROL_QUEUE_SIZE],
  reset: (_, { regs }) => regs.config.set(regs.powerOn),
  writeConfig: ({ network }, { regs }, offset, sizeBytes, value) => {
    if (regs.isLegacy === 0 || network.isLocked === true) return;
    writeConfig(regs.config, offset, sizeBytes, value);
  },
  ioThread: ({ name, network }) => (network.iothread === true ? name : IO_THREAD),
  inspect: ({ network }, { regs }) => ({
    kind: network.kind,
    ...decodeConfig(regs.config),
    pairsInUse: regs.pairs,
    filter: decodeFilter(regs),
  }),
  load: async (instances) => {
    await Promise.all([code.load(), loadLinks(instances.map(({ network }) => network.kind))]);
  },
  serve: (instance, port) => {
    const { attach } = linkCode(instance.network.kind);
    return new code.loaded.NetService(instance, port, attach);
  },
  backend: (instance, port) => {
    const { open } = linkCode(instance.network.kind);
    return new code.loaded.NetBackend(instance, port, open);
  },
};

export const netDevice = virtioDevice(netClass);

function instanceOf(
  { name, kernel, cpus, networks = [] }: VmConfig,
  network: NetworkConfig,
  index: number,
): NetInstance {
  // VMs that are named after their kernel may be several.
  const owner = name === nameOfKernel(kernel) ? `${name} ${process.pid}` : name;
  return {
    name: `net${index}`,
    index,
    vmName: name,
    transport: network.transport ?? 'pci',
    network,
    lladdr: network.lladdr ?? madeLladdr(owner, index, networks),
    pairs: Math.min(network.queues ?? cpus, MAX_PAIRS),
  };
}

/** None that another interface of the VM was given. */
function madeLladdr(owner: string, index: number, networks: readonly NetworkConfig[]): string {
  const made = ownLladdr(owner, index);
  const isGiven = networks.some(({ lladdr }) => lladdr === made);
  return isGiven ? madeLladdr(`${owner} again`, index, networks) : made;
}
