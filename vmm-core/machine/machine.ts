/**
 * Assembles a machine from a VmConfig: memory, KVM's VM and vCPUs, devices, the booted image. Main thread.
 * Owns everything the VM holds of the host; what runs when, and what a stop means, is run control's business
 * (debug/runControl.ts).
 */
import { existsSync } from 'node:fs';
import { KVM_CAP, KVM_GUESTDBG_BLOCKIRQ } from '../abi/kvm.ts';
import type { DiskDrive, MemoryBalloon, NetworkInterface, SerialLine } from '../backends/backend.ts';
import type { BootState } from '../boot/bootState.ts';
import type { VmConfig } from '../config/vmConfig.ts';
import type { PanicEvent } from '../devices/guestPower.ts';
import type { Kvm } from '../kvm/kvm.ts';
import { trimHeaps } from '../kvm/libc.ts';
import type { VcpuState } from '../kvm/vcpuState.ts';
import type { ChipState, KvmVm } from '../kvm/vm.ts';
import { log } from '../log.ts';
import type { GuestMemory } from '../memory/guestMemory.ts';
import { ArmedBreakpoints } from '../vcpu/armedBreakpoints.ts';
import { kicker } from '../vcpu/kick.ts';
import { Mailbox } from '../vcpu/mailbox.ts';
import type { VcpuMessage } from '../vcpu/messages.ts';
import { guestPower } from '../vcpu/powerEvents.ts';
import { RunLoop } from '../vcpu/runLoop.ts';
import { StopBoard } from '../vcpu/stopBoard.ts';
import type { VcpuFacilities } from '../vcpu/vcpuFacilities.ts';
import { VcpuSet } from '../vcpu/vcpuSet.ts';
import { VcpuThread } from '../vcpu/vcpuThread.ts';
import { startVcpuWorkers, VcpuWorker } from '../vcpu/vcpuWorker.ts';
import { describeBoard } from './board.ts';
import { checkHost, reserveMemory } from './hostLimits.ts';
import { closeImages, type Images, openImages } from './images.ts';
import { loadKernel } from './loadKernel.ts';
import { MachineDevices } from './machineDevices.ts';
import { type MachineVcpu, MachineVcpus } from './machineVcpus.ts';
import type { WarmParts } from './warmParts.ts';

/** AMD-V: see lastExit.ts. */
const AMD_MODULE = '/sys/module/kvm_amd';
/** By then its threads have started, and who wants to talk to it does. */
const STARTED_MS = 2000;

/** Called on the main thread, outside any guest's time. */
export interface MachineEvents {
  /** Something the guest writes is lost from here on; it runs on. `message` is a sentence for the user. */
  onOutputLost(message: string): void;
  /** The host fails the guest, which runs on; `message` is a sentence for the user. */
  onTrouble(message: string): void;
  /** The guest was to end and does not; `message` is a sentence for the user. */
  onStuck(message: string): void;
  /** The guest has shut down, but cannot power off. */
  onHalted(): void;
  onPanic(event: PanicEvent): void;
  /** A vCPU's thread died: a bug of ours. */
  onCrash(error: Error): void;
  /** An I/O thread died: likewise, but the vCPUs do not know it yet. */
  onIoCrash(error: Error): void;
}

export class Machine {
  readonly config: VmConfig;
  readonly kvm: Kvm;
  readonly memory: GuestMemory;
  readonly vcpus: VcpuSet;
  readonly breakpoints = new ArmedBreakpoints();
  boot: BootState;
  readonly #vm: KvmVm;
  readonly #events: MachineEvents;
  readonly #devices: MachineDevices;
  readonly #kvmVcpus: MachineVcpus;
  readonly #stopBoard: StopBoard;
  #images: Images;
  /** Runs vCPU 0 on this thread until its own has started. */
  #ahead: RunLoop | undefined;

  /**
   * Created stopped at the guest's first instruction. Throws UserError, BootError, KvmError: nothing is left
   * behind but `warm`. What can be wrong with the user's files comes before what costs time.
   */
  constructor(config: VmConfig, warm: WarmParts, events: MachineEvents) {
    this.config = config;
    this.kvm = warm.kvm;
    this.#vm = warm.vm;
    this.#events = events;
    const undo: (() => void)[] = [];
    try {
      checkHost(config, warm.kvm);
      this.memory = reserveMemory(config.memoryBytes); // costs nothing before it is written to
      this.#devices = this.#makeDevices();
      undo.push(() => this.#devices.discard());
      this.#images = openImages(config);
      undo.push(() => closeImages(this.#images));
      this.#vm.setMemory(this.memory);
      this.#vm.setLevelTriggered(this.#devices.levelIrqs);
      this.#kvmVcpus = new MachineVcpus(warm, config.cpus);
      undo.push(() => this.#kvmVcpus.close());
      const others = startVcpuWorkers(config.cpus - 1); // they start while the image is loaded
      undo.push(() => others.forEach((it) => it.dismiss()));
      this.boot = this.#load();
      this.#kvmVcpus.powerOn(this.boot);
      this.#stopBoard = this.#makeStopBoard();
      this.#devices.startIoThreads(config.name, this.#vm.fd, this.memory.slots);
      this.vcpus = this.#startVcpus(warm.worker, others);
      setTimeout(trimHeaps, STARTED_MS).unref();
    } catch (error) {
      for (const step of undo.reverse()) step();
      throw error;
    }
  }

  get threads(): readonly VcpuThread[] {
    return this.vcpus.threads;
  }

  /** As the configuration lists them, then the CD-ROM. */
  get disks(): readonly DiskDrive[] {
    return this.#devices.backends.disks;
  }

  /** As the configuration lists them. */
  get networks(): readonly NetworkInterface[] {
    return this.#devices.backends.networks;
  }

  /** Undefined: the guest has none. */
  get balloon(): MemoryBalloon | undefined {
    return this.#devices.backends.balloon;
  }

  /** COM1 first. */
  get serial(): readonly SerialLine[] {
    return this.#devices.backends.serial;
  }

  /** For the inspector. */
  get devices(): MachineDevices {
    return this.#devices;
  }

  /** By index: the kernel's id of the thread that runs the vCPU, 0 before there is one. */
  get threadIds(): readonly number[] {
    return this.threads.map(({ index }) => this.#stopBoard.threadOf(index));
  }

  /** The interrupt controllers and the timer that KVM has; while the guest runs, too. */
  saveChips(): ChipState {
    return this.#vm.saveChips();
  }

  /** Everything the guest can change in a vCPU. They are stopped. Throws RangeError. */
  saveVcpu(cpu: number): VcpuState {
    return this.#kvmVcpus.save(cpu);
  }

  /**
   * Before a reset or the end, while vCPUs may still run: resolves once no back end has I/O under way in
   * guest memory. Undefined: none ever has.
   */
  quiesce(): Promise<unknown> | undefined {
    return this.#devices.backends.quiesce();
  }

  /**
   * Back to the first instruction, the image loaded again. All vCPUs stopped, back ends quiet, which end that
   * here. Throws UserError, nothing
   * having changed, when a file is gone; BootError when the new image cannot be loaded: there is no guest any
   * more.
   */
  reset(): void {
    try {
      this.#startAgain();
    } finally {
      this.#devices.backends.resume();
    }
  }

  #startAgain(): void {
    const images = openImages(this.config); // the path again: a rebuild makes a new file
    this.#vm.zeroMemory(this.memory);
    this.#kvmVcpus.resetChips();
    this.#devices.reset();
    closeImages(this.#images);
    this.#images = images;
    this.boot = this.#load();
    this.#kvmVcpus.reset(this.boot);
  }

  /** False when the guest has not enabled the button. */
  powerButton(): boolean {
    return this.#devices.powerButton();
  }

  /** The guest is about to end: its next reset is that. */
  get powersOffByReset(): boolean {
    return this.#devices.powersOffByReset;
  }

  /**
   * Everything the guest wrote and nobody took yet goes where it belongs, whether its destination keeps up or
   * not.
   */
  flushOutput(): void {
    this.#devices.backends.flush();
  }

  /**
   * The VM has ended: back ends give up what their services have of the host. Resolves with false when a disk
   * does not answer.
   */
  shutDown(): Promise<boolean> {
    return this.#devices.shutDown();
  }

  #makeDevices(): MachineDevices {
    return new MachineDevices({
      config: this.config,
      vmFd: this.#vm.fd,
      memory: this.memory,
      power: guestPower(
        (cause) => this.#ahead?.raisePower(cause),
        (event) => this.#events.onPanic(event),
      ),
      holdGuest: (isOver) => this.#ahead?.hold(isOver),
      onLost: (message) => this.#events.onOutputLost(message),
      onTrouble: (message) => this.#events.onTrouble(message),
      onStuck: (message) => this.#events.onStuck(message),
      onHalted: () => this.#events.onHalted(),
      onIoCrash: (error) => this.#events.onIoCrash(error),
    });
  }

  #load(): BootState {
    const { kernel, initrd } = this.#images;
    const { cmdline, protocol, cpus } = this.config;
    return loadKernel({
      kernel,
      initrd: initrd?.source,
      initrdArguments: initrd?.arguments,
      cmdline,
      protocol,
      memory: this.memory,
      board: describeBoard(this.#devices.plan, cpus),
    });
  }

  /** While a vCPU shall stop, it cannot wait for somebody to read what it prints: see kick.ts. */
  #makeStopBoard(): StopBoard {
    const { rings } = this.#devices.set;
    return new StopBoard(StopBoard.allocate(this.config.cpus), kicker(this.#vm.runPages, rings));
  }

  /** `first`: of vCPU 0, when it is there. */
  #startVcpus(first: VcpuWorker | undefined, others: readonly VcpuWorker[]): VcpuSet {
    const threads = this.#kvmVcpus.all.map((it, i) => this.#startThread(it, i === 0 ? first : others[i - 1]));
    return new VcpuSet(threads, this.#stopBoard, {
      onRun: () => this.#devices.letOutputWait(),
      onMeeting: () => this.#devices.backends.poll(),
    });
  }

  #startThread({ vcpu, handle }: MachineVcpu, warm: VcpuWorker | undefined): VcpuThread {
    const mailbox = new Mailbox();
    const blockIrq = (this.kvm.checkExtension(KVM_CAP.SET_GUEST_DEBUG2) & KVM_GUESTDBG_BLOCKIRQ) !== 0;
    const facilities = { blockIrq, resetsAtShutdown: existsSync(AMD_MODULE) };
    const head = vcpu.index === 0 && warm === undefined;
    if (head) this.#ahead = this.#runLoop({ vcpu, handle }, mailbox, facilities);
    return new VcpuThread(
      warm ?? new VcpuWorker(),
      vcpu,
      {
        vmName: this.config.name,
        vmFd: this.#vm.fd,
        vcpu: handle,
        mailbox: mailbox.buffer,
        stopBoard: this.#stopBoard.buffer,
        ram: this.memory.slots,
        breakpoints: this.breakpoints.buffer,
        plan: this.#devices.plan,
        deviceMemory: this.#devices.memory,
        doorbellFds: this.#devices.doorbellFds,
        ioWakeFds: this.#devices.ioThreads.wakeFds,
        facilities,
        logLevel: log.level,
      },
      this.#stopBoard,
      {
        onMessage: (message) => this.#receiveMessage(message),
        onCrash: (error) => this.#events.onCrash(error),
      },
      head ? this.#ahead : undefined,
    );
  }

  #runLoop({ vcpu }: MachineVcpu, mailbox: Mailbox, facilities: VcpuFacilities): RunLoop {
    const { memory, breakpoints } = this;
    const { ports, mmio } = this.#devices.set;
    const board = this.#stopBoard;
    const post = (message: VcpuMessage): void => this.#receiveMessage(message);
    const isOutputStuck = (): boolean => this.#devices.isOutputStuck;
    return new RunLoop({
      vcpu,
      memory,
      ports,
      mmio,
      mailbox,
      board,
      breakpoints,
      facilities,
      post,
      isOutputStuck,
    });
  }

  #receiveMessage(message: VcpuMessage): void {
    if (message.kind === 'panic') this.#events.onPanic(message.event);
    else if (message.kind !== 'stopped') this.#devices.receive(message);
  }
}
