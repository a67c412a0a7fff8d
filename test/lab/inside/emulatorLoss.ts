/**
 * Tells a guest (L2) that the emulator under L1 lost from one that failed by itself or because of our VMM.
 * QEMU 10's emulation of AMD-V sometimes resumes an L2 vCPU with L1's own state: the registers at the
 * instruction after L1's VMRUN. Nothing a guest or a VMM does looks like that. Pure.
 */

/** Of one vCPU, with the names of the control protocol. */
export interface VcpuState {
  readonly cpu: number;
  readonly values: Readonly<Record<string, string>>;
}

/** In kvm-amd (arch/x86/kvm/svm/vmenter.S). */
export const VMRUN_FUNCTION = '__svm_vcpu_run';

/** L1's function around VMRUN: the only address to which the emulator leaves a guest. */
export interface CodeRange {
  readonly start: bigint;
  readonly end: bigint;
}

const CR0_PG = 1n << 31n;
/** CR3's page number: bits 0 to 11 are flags or a PCID, and 52 to 63 are reserved (APM vol. 2, 5.3.2). */
const CR3_ADDRESS = 0x000f_ffff_ffff_f000n;
const SHOWN = ['rip', 'rsp', 'rflags', 'cr0', 'cr3', 'cr4', 'efer', 'gs_base'];

/** A failure that is not the test's fault. `message` names the registers. */
export class EmulatorLostError extends Error {
  override readonly name = 'EmulatorLostError';
}

/**
 * A sentence when the emulator lost one of the vCPUs, with its registers. `memoryEnd`: the first address
 * above the guest's RAM.
 */
export function emulatorLoss(
  vcpus: readonly VcpuState[],
  { memoryEnd, vmrun }: { readonly memoryEnd: bigint; readonly vmrun: CodeRange | undefined },
): string | undefined {
  for (const vcpu of vcpus) {
    const rip = register(vcpu, 'rip');
    const isPaging = (register(vcpu, 'cr0') & CR0_PG) !== 0n;
    const signs: string[] = [];
    if (vmrun !== undefined && rip >= vmrun.start && rip < vmrun.end)
      signs.push("RIP is in L1's own code around VMRUN");
    if (isPaging && (register(vcpu, 'cr3') & CR3_ADDRESS) >= memoryEnd)
      signs.push(`CR3 is above the guest's memory, which ends at 0x${memoryEnd.toString(16)}`);
    if (signs.length > 0)
      return `lost by the emulator: vCPU ${vcpu.cpu}: ${signs.join(', ')}: ${registersText(vcpu)}`;
  }
  return undefined;
}

export function registersText({ values }: VcpuState): string {
  return SHOWN.flatMap((name) => (values[name] === undefined ? [] : [`${name} ${values[name]}`])).join(', ');
}

/**
 * Where a function is, from the text of /proc/kallsyms ("address type name\t[module]"); it ends where the
 * next symbol begins.
 */
export function functionRange(kallsyms: string, name: string): CodeRange | undefined {
  const symbols = kallsyms.split('\n').map((line) => line.split(/\s+/));
  const address = symbols.find(([, , it]) => it === name)?.[0];
  if (address === undefined || /^0*$/.test(address)) return undefined; // hidden from this user
  const start = BigInt(`0x${address}`);
  const later = symbols.flatMap(([it]) => {
    const value = it === undefined || it === '' ? 0n : BigInt(`0x${it}`);
    return value > start ? [value] : [];
  });
  return { start, end: later.reduce((least, it) => (it < least ? it : least), start + 0x1000n) };
}

function register({ values }: VcpuState, name: string): bigint {
  return BigInt(values[name] ?? '0x0');
}
