/**
 * What L1's own KVM saw of guests that triple faulted. Under AMD-V it resets the vCPU before it tells the VMM
 * (arch/x86/kvm/svm/svm.c, shutdown_interception); its tracepoint kvm_exit comes before that. l1Init.sh has
 * it on for shutdowns alone.
 */
import { readFileSync } from 'node:fs';
import { type CodeRange, functionRange, VMRUN_FUNCTION } from './emulatorLoss.ts';

const TRACE = '/sys/kernel/tracing/trace';

export interface Shutdown {
  readonly rip: bigint;
  /** The tracepoint's line, for the report. */
  readonly text: string;
}

/** All of this L1, of whatever guest, the oldest first. None where nothing is traced. */
export function shutdowns(): readonly Shutdown[] {
  try {
    return shutdownsIn(readFileSync(TRACE, 'latin1'));
  } catch {
    return []; // the reason is missing in a report then, and no verdict hangs on it
  }
}

/** In the text of a trace. */
export function shutdownsIn(trace: string): readonly Shutdown[] {
  return trace.split('\n').flatMap((line) => {
    const [text, rip] = /vcpu \d+ reason shutdown rip (0x[0-9a-f]+).*/.exec(line) ?? [];
    return text === undefined || rip === undefined ? [] : [{ rip: BigInt(rip), text: text.trim() }];
  });
}

/** A sentence when the emulator lost one of them: it ran with L1's own state (emulatorLoss.ts). */
export function shutdownLoss(
  seen: readonly Shutdown[],
  vmrun: CodeRange | undefined = functionRange(readFileSync('/proc/kallsyms', 'utf8'), VMRUN_FUNCTION),
): string | undefined {
  const lost = seen.find(({ rip }) => vmrun !== undefined && rip >= vmrun.start && rip < vmrun.end);
  return lost && `lost by the emulator: a triple fault in L1's own code around VMRUN: ${lost.text}`;
}
