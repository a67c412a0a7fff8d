/**
 * The thread of one vCPU. One message (VcpuAssignment) gives it its vCPU; from then on it never returns to
 * its event loop: it waits in the mailbox or in KVM_RUN. A warm core starts this thread before there is a VM.
 */
import { isMainThread, parentPort } from 'node:worker_threads';
import { hostClock } from '../devices/clock.ts';
import { WAKE_EVENT } from '../devices/device.ts';
import { buildDevices } from '../devices/buildDevices.ts';
import { serviceWaker } from '../io/serviceWaker.ts';
import { kvmDoorbells } from '../kvm/doorbell.ts';
import { currentThreadId, KICK_SIGNAL, signalThread } from '../kvm/libc.ts';
import { kvmMsi } from '../kvm/msi.ts';
import { KvmVcpu } from '../kvm/vcpu.ts';
import { kvmIrqLine } from '../kvm/vm.ts';
import { log } from '../log.ts';
import { GuestMemory } from '../memory/guestMemory.ts';
import { ArmedBreakpoints } from './armedBreakpoints.ts';
import { kicker } from './kick.ts';
import { Mailbox } from './mailbox.ts';
import type { VcpuAssignment, VcpuMessage } from './messages.ts';
import { guestPower } from './powerEvents.ts';
import { RunLoop } from './runLoop.ts';
import { StopBoard } from './stopBoard.ts';

/** Runs the vCPU for as long as the process lives. */
export function runVcpu(assignment: VcpuAssignment, post: (message: VcpuMessage) => void): never {
  log.setThread(`vm/${assignment.vmName}/vcpu${assignment.vcpu.index}`);
  log.setLevel(assignment.logLevel);
  const mailbox = new Mailbox(assignment.mailbox);
  const vcpu = new KvmVcpu(assignment.vcpu);
  const devices = buildDevices(assignment.plan, assignment.deviceMemory, {
    clock: hostClock,
    irqLine: (gsi) => kvmIrqLine(assignment.vmFd, gsi),
    doorbell: kvmDoorbells(assignment.vmFd, assignment.doorbellFds),
    msi: kvmMsi(assignment.vmFd),
    power: guestPower(
      (cause) => loop.raisePower(cause),
      (event) => post({ kind: 'panic', event }),
    ),
    holdGuest: (isOver) => loop.hold(isOver),
    arm: (device, delayMs) => post({ kind: 'timer', device, delayMs }),
    notify: (device, event, value) => post({ kind: 'notify', device, event, value }),
    wakeService: serviceWaker(assignment.plan, assignment.ioWakeFds, (device) =>
      post({ kind: 'notify', device, event: WAKE_EVENT, value: 0 }),
    ),
  });
  const board = new StopBoard(assignment.stopBoard, kicker(assignment.vcpu.runPages, devices.rings));
  const loop = new RunLoop({
    vcpu,
    memory: new GuestMemory(assignment.ram),
    ports: devices.ports,
    mmio: devices.mmio,
    mailbox,
    board,
    breakpoints: new ArmedBreakpoints(assignment.breakpoints),
    facilities: assignment.facilities,
    post,
  });
  mailbox.claim(() => {
    vcpu.run.immediateExit = true;
    signalThread(process.pid, KICK_SIGNAL); // the main thread's id is the process's
  });
  board.announce(vcpu.index, currentThreadId());
  return loop.serve();
}

if (!isMainThread) {
  parentPort?.once('message', (assignment: VcpuAssignment | 'dismissed') => {
    if (assignment !== 'dismissed') runVcpu(assignment, (message) => parentPort?.postMessage(message));
  });
}
