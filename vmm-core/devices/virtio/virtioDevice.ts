/** A virtio device as the machine has it: what its class says, behind a transport. Built on every thread. */
import { VIRTIO_F_RING_RESET, VIRTIO_F_VERSION_1 } from '../../abi/virtioConfig.ts';
import { VIRTIO_RING_F_EVENT_IDX, VIRTIO_RING_F_INDIRECT_DESC } from '../../abi/virtioRing.ts';
import type { BusDevice } from '../../bus/busDevice.ts';
import { ServiceGate } from '../../bus/serviceGate.ts';
import type { StateBlock } from '../../bus/stateBlock.ts';
import type { Backend } from '../../backends/backend.ts';
import type { BackendPort, Device, DeviceClass, DeviceHost, Resources } from '../device.ts';
import type { ServicePort } from '../deviceService.ts';
import { isRunning } from './deviceStatus.ts';
import { KICK_EVENT, MainService, markKicked } from './mainService.ts';
import { MmioTransport } from './mmioTransport.ts';
import { hasLegacyInterface, vectorsOf, virtioPciResources } from './pciLayout.ts';
import { PciTransport } from './pciTransport.ts';
import { QueueServer } from './queueServer.ts';
import type { VirtioBackendPort, VirtioClass, VirtioInstance, VirtioPort } from './virtioClass.ts';
import type { VirtioKind } from './virtioKind.ts';
import { virtioFirmware } from './virtioFirmware.ts';
import { VirtioRegisters } from './virtioRegisters.ts';
import { type VirtioState, virtioState } from './virtioState.ts';
import type { VirtioTransportDevice } from './virtioTransport.ts';

/** What the queues and the transports here can do, for every device. */
const COMMON_FEATURES = [
  VIRTIO_RING_F_INDIRECT_DESC,
  VIRTIO_RING_F_EVENT_IDX,
  VIRTIO_F_VERSION_1,
  VIRTIO_F_RING_RESET,
];

export function virtioDevice<C extends VirtioInstance, S extends VirtioState>(
  virtioClass: VirtioClass<C, S>,
): DeviceClass<C, S> {
  const { queueSize, config } = virtioClass.state;
  const shape = virtioState(queueSize.length, config.length);
  const built = new WeakMap<BusDevice, VirtioDevice<C, S>>();
  const deviceOf = (it: BusDevice): VirtioDevice<C, S> => {
    const device = built.get(it);
    if (device === undefined) throw new Error(`${it.name} is not a ${virtioClass.id}`);
    return device;
  };
  return {
    id: virtioClass.id,
    state: virtioClass.state,
    instances: (config) => virtioClass.instances(config),
    nameOf: (instance) => virtioClass.nameOf(instance),
    resources: (instance) => resourcesOf(virtioClass, instance),
    firmware: (_, resources) => virtioFirmware(resources),
    build: (instance, host) => {
      const device = new VirtioDevice({ virtioClass, shape, instance, host });
      built.set(device, device);
      return device;
    },
    load: async (instances) => virtioClass.load?.(instances),
    backend: (instance, port) => {
      const device = deviceOf(port.device);
      if (virtioClass.ioThread?.(instance) === undefined) return device.serveOnMain(port);
      return virtioClass.backend?.(instance, device.lendTo(port)) ?? NO_BACKEND;
    },
    service: (_, port) => deviceOf(port.device).serve(port),
    virtio: kindOf(virtioClass),
    inspect: (instance, state, memory) => virtioClass.inspect?.(instance, state, memory),
  };
}

function kindOf<C extends VirtioInstance, S extends VirtioState>(it: VirtioClass<C, S>): VirtioKind {
  const { deviceType, state, featureNames } = it;
  return {
    deviceType,
    state,
    ...(featureNames === undefined ? {} : { featureNames }),
    features: (instance: C) => featuresOf(it, instance),
    queueSizes: (instance: C) => it.queueSizes(instance),
  };
}

/** All that an instance offers. */
function featuresOf<C extends VirtioInstance, S extends VirtioState>(
  it: VirtioClass<C, S>,
  instance: C,
): readonly number[] {
  return [...COMMON_FEATURES, ...it.features(instance)];
}

const NO_BACKEND: Backend = { onEvent: () => undefined, close: () => undefined };

function resourcesOf<C extends VirtioInstance, S extends VirtioState>(
  virtioClass: VirtioClass<C, S>,
  instance: C,
): Resources {
  const { deviceType, classCode } = virtioClass;
  const queues = virtioClass.queueSizes(instance).length;
  const ioThread = virtioClass.ioThread?.(instance);
  const service = ioThread === undefined ? {} : { doorbells: queues, ioThread };
  if (instance.transport === 'mmio') return { platform: true, ...service };
  return { pci: virtioPciResources(deviceType, classCode, queues), ...service };
}

interface VirtioDeviceOptions<C extends VirtioInstance, S extends VirtioState> {
  readonly virtioClass: VirtioClass<C, S>;
  /** The start of the class's. */
  readonly shape: VirtioState;
  readonly instance: C;
  readonly host: DeviceHost<S>;
}

class VirtioDevice<C extends VirtioInstance, S extends VirtioState> implements Device {
  readonly name: string;
  readonly #virtioClass: VirtioClass<C, S>;
  readonly #instance: C;
  readonly #state: StateBlock<VirtioState>;
  readonly #gate: ServiceGate;
  readonly #registers: VirtioRegisters;
  readonly #transport: VirtioTransportDevice;
  /** From the driver to the thread that serves the queues. */
  readonly #kick: (queue: number) => void;
  readonly #placeDoorbells: (isReady: boolean) => void;

  constructor({ virtioClass, shape, instance, host }: VirtioDeviceOptions<C, S>) {
    this.name = host.name;
    this.#virtioClass = virtioClass;
    this.#instance = instance;
    const state = host.state.startingWith(shape);
    this.#state = state;
    this.#gate = new ServiceGate(state.regs.gate, host.wakeService);
    const queueSizes = virtioClass.queueSizes(instance);
    const isServedByMain = virtioClass.ioThread?.(instance) === undefined;
    this.#kick = isServedByMain ? mainKick(state, host) : (queue) => host.doorbell(queue).ring();
    this.#placeDoorbells = (isReady) => {
      if (isServedByMain) return;
      queueSizes.forEach((_, queue) =>
        host.doorbell(queue).place(isReady ? this.#transport.kickPlace(queue) : undefined),
      );
    };
    this.#registers = new VirtioRegisters({
      name: this.name,
      shape,
      state,
      features: featuresOf(virtioClass, instance),
      queueSizes,
      gate: this.#gate,
      holdGuest: host.holdGuest,
      kick: this.#kick,
      onReady: this.#placeDoorbells,
      refusal: (has) => virtioClass.refusal?.(instance, has),
      lowerInterrupt: () => this.#transport.lowerInterrupt(),
      resetConfig: () => virtioClass.reset?.(instance, host.state),
      writeConfig: (offset, sizeBytes, value) =>
        virtioClass.writeConfig?.(instance, host.state, offset, sizeBytes, value),
    });
    this.#transport = this.#makeTransport(host, queueSizes.length);
  }

  get bars(): Device['bars'] {
    return this.#transport.bars;
  }

  get capabilities(): Device['capabilities'] {
    return this.#transport.capabilities;
  }

  read(offset: number, sizeBytes: number): number {
    return this.#transport.read(offset, sizeBytes);
  }

  write(offset: number, sizeBytes: number, value: number): void {
    this.#transport.write(offset, sizeBytes, value);
  }

  reset(): void {
    this.#registers.powerOn();
  }

  serviceEnded(): void {
    this.#gate.break();
  }

  /** On the I/O thread. */
  serve(port: ServicePort<S>): QueueServer {
    return this.#serve(port);
  }

  serveOnMain(port: BackendPort<S>): MainService {
    const { name, state, memory } = port;
    return new MainService(this.#state, this.#serve({ name, state, memory, opened: undefined, main: port }));
  }

  /** To the back end of a device that the I/O thread serves. */
  lendTo(port: BackendPort<S>): VirtioBackendPort<S> {
    return { ...port, changeConfig: (write) => this.#changeConfig(write) };
  }

  #serve(lent: Omit<VirtioPort<S>, keyof ServiceFunctions>): QueueServer {
    return new QueueServer({
      name: this.name,
      state: this.#state,
      memory: lent.memory,
      queueSizes: this.#virtioClass.queueSizes(this.#instance),
      gate: this.#gate,
      finishResets: () => this.#registers.finishResets(),
      interrupts: this.#transport,
      hasFeature: (bit) => this.#registers.hasFeature(bit),
      kick: this.#kick,
      serve: (server) => this.#virtioClass.serve(this.#instance, { ...lent, ...this.#functionsOf(server) }),
    });
  }

  #functionsOf(server: QueueServer): ServiceFunctions {
    return {
      hasFeature: (bit) => this.#registers.hasFeature(bit),
      kick: this.#kick,
      queue: (index) => server.queue(index),
      notifyUsed: (queue) => server.notifyUsed(queue),
      lend: (queue) => server.lend(queue),
      takeBack: (queue, nextAvail) => server.takeBack(queue, nextAvail),
      interruptLent: (queue) => server.interruptLent(queue),
      changeConfig: (write) => this.#changeConfig(write),
      fail: (rule) => server.fail(rule),
    };
  }

  #changeConfig(write: (config: Uint8Array) => void): void {
    const { regs } = this.#state;
    const isToBeTold = this.#state.locked(() => {
      write(regs.config);
      regs.configGeneration++;
      return isRunning(regs.status);
    });
    if (isToBeTold) this.#transport.configChange();
  }

  #makeTransport({ name, pci, irq, resources }: DeviceHost<S>, queues: number): VirtioTransportDevice {
    const { deviceType } = this.#virtioClass;
    const registers = this.#registers;
    if (pci === undefined) {
      const base = resources.mmio?.[0]?.base ?? 0;
      return new MmioTransport({ deviceType, registers, irq: irq(), base });
    }
    return new PciTransport({
      name,
      registers,
      pci,
      vectors: vectorsOf(queues),
      hasLegacy: hasLegacyInterface(deviceType),
      onMoved: () => this.#placeDoorbells(isRunning(this.#state.regs.status)),
    });
  }
}

type ServiceFunctions = Pick<
  VirtioPort,
  | 'hasFeature'
  | 'kick'
  | 'queue'
  | 'notifyUsed'
  | 'lend'
  | 'takeBack'
  | 'interruptLent'
  | 'changeConfig'
  | 'fail'
>;

function mainKick(state: StateBlock<VirtioState>, host: Pick<DeviceHost, 'notify'>) {
  return (queue: number): void => {
    if (markKicked(state, queue)) host.notify(KICK_EVENT);
  };
}
