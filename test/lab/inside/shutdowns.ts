/**
 * Guests that triple faulted, as L1's own KVM saw them. Under AMD-V it resets the vCPU before it tells the
 * VMM (arch/x86/kvm/svm/svm.c, shutdown_interception); a kprobe there reads what the processor had left in
 * the VMCB (APM vol. 2, appendix B).
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { memberOffset } from './btf.ts';
import {
  emulatorLoss,
  functionRange,
  registersText,
  type VcpuState,
  VMRUN_FUNCTION,
} from './emulatorLoss.ts';

const TRACING = '/sys/kernel/tracing';
const BTF = '/sys/kernel/btf';
const EVENT = 'guest_shutdown';
/** Documentation/arch/x86/x86_64/mm.rst; without KASLR, as the lab boots it. */
const LINUX_TEXT = 0xffff_ffff_8100_0000n;
const LINUX_TEXT_END = 0xffff_ffff_8200_0000n;
const PAGE_FAULT = 14n;
/** Of its error code: I/D. */
const FETCH = 0x10n;
/** The VMCB's offsets, in bytes. */
const FIELDS = {
  ...{ rip: 0x578, rsp: 0x5d8, rflags: 0x570, cr0: 0x558, cr2: 0x640, cr3: 0x550, cr4: 0x548, efer: 0x4d0 },
  ...{ gs_base: 0x458, idtr: 0x488, exit_int_info: 0x88 },
};

/** Once, when L1 starts. Throws: this kernel of L1 does not have that. */
export function traceShutdowns(): void {
  const view = (name: string): DataView => {
    const { buffer, byteOffset, length } = readFileSync(`${BTF}/${name}`);
    return new DataView(buffer, byteOffset, length);
  };
  const vmcb = memberOffset(view('kvm_amd'), view('vmlinux'), 'vcpu_svm', 'vmcb');
  if (vmcb === undefined) throw new Error('kvm_amd has no vcpu_svm with a vmcb');
  const fields = Object.entries(FIELDS).map(([name, offset]) => `${name}=+${offset}(+${vmcb}(%di)):x64`);
  writeFileSync(`${TRACING}/kprobe_events`, `p:kprobes/${EVENT} shutdown_interception ${fields.join(' ')}\n`);
  writeFileSync(`${TRACING}/events/kprobes/${EVENT}/enable`, '1');
}

/** All of this L1, of whatever guest, the oldest first. None where nothing is traced. */
export function shutdowns(): readonly VcpuState[] {
  try {
    return shutdownsIn(readFileSync(`${TRACING}/trace`, 'latin1'));
  } catch {
    return []; // what KVM saw is missing in a report then, and no verdict hangs on it
  }
}

/** In the text of a trace, where it does not say which vCPU: 0 stands for all. */
export function shutdownsIn(trace: string): readonly VcpuState[] {
  const lines = trace.split('\n').filter((it) => it.includes(` ${EVENT}: `));
  return lines.map((line) => {
    const values = Array.from(line.matchAll(/ (\w+)=(0x[0-9a-f]+)/g), ([, name = '', value = '']) => [
      name,
      value,
    ]);
    return { cpu: 0, values: Object.fromEntries(values) as Record<string, string> };
  });
}

export function shutdownText(state: VcpuState): string {
  const more = ['cr2', 'idtr', 'exit_int_info'].map((name) => `${name} ${state.values[name] ?? '?'}`);
  return `${registersText(state)}, ${more.join(', ')}`;
}

/** A sentence when the emulator lost one of them: it ran with L1's own state, or without its kernel. */
export function shutdownLoss(seen: readonly VcpuState[], memoryEnd: bigint): string | undefined {
  const lost = seen.find(isTextGone);
  if (lost !== undefined)
    return `lost by the emulator: the text of the guest's Linux was not there any more: ${shutdownText(lost)}`;
  const vmrun = functionRange(readFileSync('/proc/kallsyms', 'utf8'), VMRUN_FUNCTION);
  return emulatorLoss(seen, { memoryEnd, vmrun });
}

/**
 * A page fault at the fetch of an instruction of Linux itself, which maps its text once and never unmaps it.
 * Seen with its first page tables, before any device had written to memory.
 */
export function isTextGone({ values }: VcpuState): boolean {
  const rip = BigInt(values['rip'] ?? '0x0');
  const info = BigInt(values['exit_int_info'] ?? '0x0');
  const isFetch = (info & 0xffn) === PAGE_FAULT && ((info >> 32n) & FETCH) !== 0n;
  return isFetch && rip >= LINUX_TEXT && rip < LINUX_TEXT_END;
}
