/** What is known of a triple fault: where it was, or that KVM has discarded that. Main thread. */
import { CR0_PE } from '../abi/x86.ts';
import type { KvmRun } from '../kvm/kvmRun.ts';
import { type Hex, hex } from '../protocol/hex.ts';

/** Registers after INIT: SDM 3A table 10-1. */
const RESET_CS_BASE = 0xffff_0000n;
const RESET_RIP = 0xfff0n;
const CAUSE = 'an exception could not be delivered, look at its IDT and stack';
const CELLS_A_LINE = 4;

/** The general registers at the last exit, by name, if they were kept (vcpu/lastExit.ts). */
type KeptRegisters = Readonly<Record<string, Hex>>;

/** KVM has re-initialised the vCPU: its registers are not those of the fault. */
export function isReset(run: KvmRun): boolean {
  const { cr0, cs } = run.readSystem();
  return run.rip === RESET_RIP && cs.base === RESET_CS_BASE && (cr0 & CR0_PE) === 0n;
}

/** One sentence. */
export function tripleFaultMessage(cpu: number, run: KvmRun, before?: KeptRegisters): string {
  if (!isReset(run)) return `the guest triple faulted on vCPU ${cpu} at ${hex(run.linearRip)}: ${CAUSE}`;
  const last = before?.rip === undefined ? '' : ` after its last exit at RIP ${before.rip}`;
  return `the guest triple faulted on vCPU ${cpu}${last}: ${CAUSE} (where it was is lost: this host's KVM resets the CPU at a triple fault)`;
}

/** For a vCPU that KVM has reset. */
export function lostRegistersReport(cpu: number, before?: KeptRegisters): string {
  const lost = `vCPU ${cpu} was reset by KVM at the triple fault: the registers of that moment, control and segment registers are lost`;
  if (before === undefined) return lost;
  const cells = Object.entries(before).map(
    ([name, value]) => `${name.padStart(9)}=${value.slice('0x'.length).padStart(16, '0')}`,
  );
  const lines: string[] = [];
  for (let i = 0; i < cells.length; i += CELLS_A_LINE) lines.push(cells.slice(i, i + CELLS_A_LINE).join(' '));
  return [`${lost}; the general registers at its last exit before:`, ...lines].join('\n');
}
