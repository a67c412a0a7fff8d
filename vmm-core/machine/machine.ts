/**
 * Assembles a machine from a VmConfig: memory, KVM's VM and vCPUs, devices, the booted image. Main thread. Owns everything the VM holds
 * of the host; what runs when, and what a stop means, is run control's business (debug/runControl.ts).
 */
import { existsSync } from 'node:fs';
import { KVM_CAP, KVM_GUESTDBG_BLOCKIRQ } from '../abi/kvm.ts';
import type { BootState } from '../boot/bootState.ts';
import { loadKernel } from '../boot/loadKernel.ts';
import type { VmConfig } from '../config/vmConfig.ts';
import { hostClock } from '../devices/clock.ts';
import { allocateDevices, buildDevices, type DeviceSet } from '../devices/deviceSet.ts';
import type { Kvm } from '../kvm/kvm.ts';
import { KvmVcpu } from '../kvm/vcpu.ts';
import { type VcpuState, vcpuStateFormat } from '../kvm/vcpuState.ts';
import { type ChipState, type KvmVm, kvmIrqLine, type VcpuHandle } from '../kvm/vm.ts';
import { log } from '../log.ts';
import type { GuestMemory } from '../memory/guestMemory.ts';
import { HOLE_BASE } from '../memory/layout.ts';
import { ArmedBreakpoints } from '../vcpu/armedBreakpoints.ts';
import { kicker } from '../vcpu/kick.ts';
import { Mailbox } from '../vcpu/mailbox.ts';
import type { VcpuMessage } from '../vcpu/messages.ts';
import { guestPower } from '../vcpu/powerEvents.ts';
import { RunLoop } from '../vcpu/runLoop.ts';
import { StopBoard } from '../vcpu/stopBoard.ts';
import type { VcpuFacilities } from '../vcpu/vcpuFacilities.ts';
import { powerOnVcpu, setupVcpu } from '../vcpu/vcpuSetup.ts';
import { VcpuSet } from '../vcpu/vcpuSet.ts';
import { VcpuThread } from '../vcpu/vcpuThread.ts';
import { VcpuWorker } from '../vcpu/vcpuWorker.ts';
import { checkHost, reserveMemory } from './hostLimits.ts';
import { closeImages, type Images, openImages } from './images.ts';
import type { WarmParts } from './warmParts.ts';
import { SerialInput } from '../backends/serial/serialInput.ts';

/** AMD-V: see lastExit.ts. */
const AMD_MODULE = '/sys/module/kvm_amd';

/** Called on the main thread, outside any guest's time. */
export interface MachineEvents {
  /** Bytes the guest wrote: 0..3 COM1..COM4, 4 debugcon, 5 firmware log. */
  onOutput(port: number, bytes: Uint8Array): void;
  /** False: no more output of this port for now; `takeOutput` brings it later, and the guest is held back when its ring is full. */
  wantsOutput(port: number): boolean;
  onPanic(event: 'panicked' | 'crash-loaded'): void;
  /** A vCPU's thread died: a bug of ours. */
  onCrash(error: Error): void;
}

export class Machine {
  readonly config: VmConfig;
  readonly memory: GuestMemory;
  readonly devices: DeviceSet;
  readonly vcpus: VcpuSet;
  readonly breakpoints = new ArmedBreakpoints();
  /** Keys for COM1 (0) to COM4 (3). */
  readonly serialInputs: readonly SerialInput[];
  readonly kvm: Kvm;
  boot: BootState;
  readonly #vm: KvmVm;
  readonly #stopBoard: StopBoard;
  #files: Images;
  readonly #events: MachineEvents;
  readonly #powerOn: { readonly chips: ChipState; readonly vcpus: readonly VcpuState[] };
  #ahead: RunLoop | undefined;
  /** Main runs a vCPU (`#ahead`) whose output waits for main. */
  #isOutputStuck = false;
  #rtcTimer: NodeJS.Timeout | undefined;
  #rtcDueMs = 0;

  /** Created stopped at the guest's first instruction. Throws UserError, BootError, KvmError: nothing is left behind but `warm`. */
  constructor(config: VmConfig, warm: WarmParts, events: MachineEvents) {
    checkHost(config, warm.kvm);
    this.config = config;
    this.kvm = warm.kvm;
    this.#vm = warm.vm;
    this.#events = events;
    this.#files = openImages(config);
    const handles = [warm.vcpu];
    try {
      this.memory = reserveMemory(config.memoryBytes);
      this.#vm.setMemory(this.memory);
      for (let index = 1; index < config.cpus; index++) handles.push(this.#vm.createVcpu(index));
      const vcpus = handles.map((handle) => new KvmVcpu(handle));
      const cpuid = this.kvm.supportedCpuid();
      for (const vcpu of vcpus) setupVcpu(vcpu, cpuid, config.cpus);
      const format = vcpuStateFormat(this.kvm);
      this.#powerOn = { chips: this.#vm.saveChips(), vcpus: vcpus.map((vcpu) => vcpu.save(format)) };
      const deviceMemory = allocateDevices();
      this.devices = this.#buildDevices(deviceMemory);
      this.serialInputs = serialInputs(this.devices);
      this.boot = this.#load();
      for (const vcpu of vcpus) powerOnVcpu(vcpu, vcpu.index === 0 ? this.boot : undefined);
      const kick = kicker(
        vcpus.map(({ run }) => run),
        this.devices.outputs,
      );
      this.#stopBoard = new StopBoard(StopBoard.allocate(config.cpus), kick);
      const threads = vcpus.map((vcpu, i) =>
        this.#startThread(vcpu, handles, deviceMemory, i === 0 ? warm.worker : undefined),
      );
      this.vcpus = new VcpuSet(threads, this.#stopBoard, {
        onRun: () => this.#letOutputWait(),
        onMeeting: () => this.#drainAll(),
      });
    } catch (error) {
      for (const handle of handles.slice(1)) new KvmVcpu(handle).close();
      closeImages(this.#files);
      throw error;
    }
  }

  get threads(): readonly VcpuThread[] {
    return this.vcpus.threads;
  }

  /**
   * Back to the first instruction, the image loaded again. All vCPUs stopped. Throws UserError, nothing having changed, when a file is
   * gone; BootError when the new image cannot be loaded: there is no guest any more.
   */
  reset(): void {
    const files = openImages(this.config); // the path again: a rebuild makes a new file
    this.#vm.zeroMemory(this.memory);
    this.#vm.restoreChips(this.#powerOn.chips);
    this.devices.reset();
    closeImages(this.#files);
    this.#files = files;
    this.boot = this.#load();
    this.threads.forEach(({ vcpu, index }) => {
      const state = this.#powerOn.vcpus[index];
      if (state !== undefined) vcpu.restore(state);
      powerOnVcpu(vcpu, index === 0 ? this.boot : undefined);
      vcpu.refreshMirror();
    });
  }

  /** False when the guest has not enabled the button. */
  powerButton(): boolean {
    return this.devices.acpiPm.powerButton();
  }

  /** Everything the guest wrote and nobody took yet, wanted or not. */
  drainOutputs(): void {
    this.devices.outputs.forEach((_, port) => this.takeOutput(port));
  }

  /** What the guest wrote to this port since. */
  takeOutput(port: number): void {
    const bytes = this.devices.outputs[port]?.drain();
    if (bytes !== undefined && bytes.length > 0) this.#events.onOutput(port, bytes);
  }

  #load(): BootState {
    const { kernel, initrd } = this.#files;
    const { cmdline, protocol, cpus } = this.config;
    return loadKernel({
      kernel,
      initrd: initrd?.source,
      initrdArguments: initrd?.arguments,
      cmdline,
      protocol,
      cpus,
      memory: this.memory,
    });
  }

  #buildDevices(memory: SharedArrayBuffer): DeviceSet {
    const devices = buildDevices(memory, {
      debugExit: this.config.debugExit,
      clock: hostClock,
      power: guestPower(
        (cause) => this.#ahead?.raisePower(cause),
        (event) => this.#events.onPanic(event),
      ),
      irqLine: (gsi) => kvmIrqLine(this.#vm.fd, gsi),
      rtcTimer: { arm: (delayMs) => this.#armRtc(delayMs) },
      onOutput: (port) => this.#drain(port),
      outputWaitMs: 0,
    });
    const low = Math.min(this.config.memoryBytes, HOLE_BASE);
    devices.rtc.powerOn({
      memoryBelow4G: low,
      memoryAbove4G: this.config.memoryBytes - low,
      cpus: this.config.cpus,
    });
    devices.fwCfg.powerOn({ cpus: this.config.cpus, memoryBytes: this.config.memoryBytes });
    devices.reset();
    return devices;
  }

  #startThread(
    vcpu: KvmVcpu,
    handles: readonly VcpuHandle[],
    devices: SharedArrayBuffer,
    warm: VcpuWorker | undefined,
  ): VcpuThread {
    const handle = handles[vcpu.index];
    if (handle === undefined) throw new Error('a vCPU without a handle');
    const mailbox = new Mailbox();
    const blockIrq = (this.kvm.checkExtension(KVM_CAP.SET_GUEST_DEBUG2) & KVM_GUESTDBG_BLOCKIRQ) !== 0;
    const facilities = { blockIrq, resetsAtShutdown: existsSync(AMD_MODULE) };
    vcpu.refreshMirror(); // registers can be read before the first run
    const head = vcpu.index === 0 && warm === undefined;
    if (head) this.#ahead = this.#runLoop(vcpu, mailbox, facilities);
    return new VcpuThread(
      warm ?? new VcpuWorker(),
      vcpu,
      {
        vmName: this.config.name,
        vmFd: this.#vm.fd,
        vcpu: handle,
        vcpus: handles,
        mailbox: mailbox.buffer,
        stopBoard: this.#stopBoard.buffer,
        ram: this.memory.slots,
        breakpoints: this.breakpoints.buffer,
        devices,
        debugExit: this.config.debugExit,
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

  /** Runs vCPU 0 on this thread until its own has started (VcpuThread). */
  #runLoop(vcpu: KvmVcpu, mailbox: Mailbox, facilities: VcpuFacilities): RunLoop {
    const { memory, breakpoints } = this;
    const { ports, mmio } = this.devices;
    const board = this.#stopBoard;
    const post = (message: VcpuMessage): void => this.#receiveMessage(message);
    const isOutputStuck = (): boolean => this.#isOutputStuck;
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
    if (message.kind === 'output') this.#drain(message.port);
    else if (message.kind === 'rtcTimer') this.#armRtc(message.delayMs);
    else if (message.kind === 'panic') this.#events.onPanic(message.event);
  }

  #drain(port: number): void {
    if (this.#events.wantsOutput(port)) this.takeOutput(port);
    else this.#isOutputStuck = true; // the event loop has to turn before it is
  }

  /** What the guest printed on any vCPU before a stop is told before the stop. */
  #drainAll(): void {
    this.devices.outputs.forEach((_, port) => this.#drain(port));
  }

  /** While a vCPU shall stop, it cannot wait for somebody to read what it prints (kick.ts). */
  #letOutputWait(): void {
    for (const ring of this.devices.outputs) ring.hurried = false;
  }

  /** The earlier of what is pending and `delayMs`: messages of two vCPUs may come in either order, and a tick too early is harmless. */
  #armRtc(delayMs: number): void {
    const due = performance.now() + delayMs;
    if (this.#rtcTimer !== undefined && this.#rtcDueMs <= due) return;
    clearTimeout(this.#rtcTimer);
    this.#rtcDueMs = due;
    this.#rtcTimer = setTimeout(() => {
      this.#rtcTimer = undefined;
      this.devices.rtc.tick();
    }, delayMs);
    this.#rtcTimer.unref();
  }
}

function serialInputs({ uarts, inputs }: DeviceSet): SerialInput[] {
  return uarts.flatMap((uart, port) => {
    const ring = inputs[port];
    return ring === undefined ? [] : [new SerialInput(uart.name, uart, ring)];
  });
}
