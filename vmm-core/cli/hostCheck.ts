/** The findings behind `vmm check`; the extension shows the same as a page. */
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism, freemem, totalmem } from 'node:os';
import { KVM_CAP } from '../abi/kvm.ts';
import { whyNot as whyNoTap } from '../backends/net/tap/openTap.ts';
import { whyNoVhost } from '../backends/net/tap/openVhost.ts';
import { runningVms } from '../client/runningVms.ts';
import { formatSize } from '../config/size.ts';
import { probeDebugFacilities } from '../debug/probe.ts';
import { KvmError, KvmUnavailableError } from '../errors.ts';
import { EACCES, EPERM } from '../kvm/errno.ts';
import { chooseIoEngine, type IoEngineChoice } from '../kvm/io/openIoEngine.ts';
import { Kvm, kvmPath } from '../kvm/kvm.ts';
import { closeFd } from '../kvm/libc.ts';
import { tryTunDevice } from '../kvm/net/tun.ts';
import { openVhostNet } from '../kvm/net/vhostNet.ts';
import type { Finding, HostCheck } from '../protocol/hostCheck.ts';

export async function inspectHost(): Promise<HostCheck> {
  const findings = [virtualization(), nestedPaging()];
  const kvm = openKvm();
  if ('id' in kvm) findings.push(kvm);
  else {
    findings.push({ id: 'kvm', title: 'KVM', status: 'ok', detail: `${kvmPath()} opens, API version 12` });
    findings.push(capabilities(kvm), ...debugging(kvm));
    kvm.close();
  }
  findings.push(diskIo(chooseIoEngine()), networks(tryTunDevice(), tryVhostNet()), await resources());
  const usable = !findings.some(({ id, status }) => status === 'missing' && REQUIRED.has(id));
  return { usable, findings };
}

/** What the sysctl, a seccomp profile and a security module answer. */
const FORBIDDEN: readonly number[] = [EPERM, EACCES];

const REQUIRED = new Set(['kvm', 'capabilities']);

function virtualization(): Finding {
  const base = { id: 'virtualization', title: 'Hardware virtualization' };
  const flags = cpuFlags();
  if (flags.has('vmx')) return { ...base, status: 'ok', detail: 'Intel VT-x' };
  if (flags.has('svm')) return { ...base, status: 'ok', detail: 'AMD-V' };
  if (existsSync('/sys/module/kvm_pvm')) {
    return {
      ...base,
      status: 'warning',
      detail: 'none; KVM runs on PVM (software), where kernel code is emulated and slow',
      cure: 'for full speed use a machine with VT-x or AMD-V, or a VM with nested virtualization',
    };
  }
  return {
    ...base,
    status: 'missing',
    detail: 'the processor offers neither VT-x nor AMD-V',
    cure: 'enable it in the firmware setup (Intel: VT-x; AMD: SVM); in a VM, enable nested virtualization on its host',
  };
}

function nestedPaging(): Finding {
  const base = { id: 'nestedPaging', title: 'Nested paging' };
  const ept = readText('/sys/module/kvm_intel/parameters/ept');
  const npt = readText('/sys/module/kvm_amd/parameters/npt');
  const value = ept ?? npt;
  if (value === 'Y' || value === '1')
    return { ...base, status: 'ok', detail: ept === undefined ? 'NPT' : 'EPT' };
  if (value !== undefined) {
    const [module, parameter] = ept === undefined ? ['kvm_amd', 'npt'] : ['kvm_intel', 'ept'];
    return {
      ...base,
      status: 'warning',
      detail: 'switched off: guests are slow',
      cure: `reload ${module} with ${parameter}=1`,
    };
  }
  return {
    ...base,
    status: 'warning',
    detail: 'not available: shadow paging, guests that change page tables are slow',
  };
}

function openKvm(): Kvm | Finding {
  try {
    return Kvm.open();
  } catch (error) {
    if (!(error instanceof KvmUnavailableError)) throw error;
    const [detail = '', cure] = error.message.split(/: (.*)/s);
    return { id: 'kvm', title: 'KVM', status: 'missing', detail, ...(cure === undefined ? {} : { cure }) };
  }
}

const NEEDED = [
  'IRQCHIP',
  'USER_MEMORY',
  'PIT2',
  'SET_TSS_ADDR',
  'EXT_CPUID',
  'SYNC_REGS',
  'IMMEDIATE_EXIT',
  'SET_GUEST_DEBUG',
  'MP_STATE',
  'VCPU_EVENTS',
  'DEBUGREGS',
] as const;

function capabilities(kvm: Kvm): Finding {
  const base = { id: 'capabilities', title: 'KVM capabilities' };
  const absent = NEEDED.filter((name) => kvm.checkExtension(KVM_CAP[name]) === 0);
  const vcpus = kvm.checkExtension(KVM_CAP.MAX_VCPUS);
  if (absent.length === 0)
    return { ...base, status: 'ok', detail: `all that is needed; up to ${vcpus} vCPUs` };
  const names = absent.map((name) => `KVM_CAP_${name}`).join(', ');
  return {
    ...base,
    status: 'missing',
    detail: `this kernel lacks ${names}`,
    cure: 'update the host kernel (Linux 5.8 or newer)',
  };
}

function debugging(kvm: Kvm): Finding[] {
  const found = probeDebugFacilities(kvm);
  const finding = (id: string, title: string, works: boolean, without: string): Finding => ({
    id,
    title,
    status: works ? 'ok' : 'warning',
    detail: works ? 'works (tried)' : `does not work on this host: ${without}`,
  });
  return [
    finding('int3', 'Software breakpoints', found.int3, 'breakpoints use the four debug registers'),
    finding(
      'hardwareBreakpoints',
      'Hardware breakpoints',
      found.hardware,
      'breakpoints are int3s in guest memory',
    ),
    finding('watchpoints', 'Data watchpoints', found.watch, 'none can be set'),
    finding('singleStep', 'Single step', found.step, 'stepping is not possible'),
    finding(
      'blockIrq',
      'Stepping without interrupts',
      found.blockIrq,
      'a step may land in an interrupt handler',
    ),
  ];
}

/** Of what this host has for disks. */
export function diskIo({ kind, refused: [best] }: IoEngineChoice): Finding {
  const base = { id: 'diskIo', title: 'Disk I/O' };
  if (kind === 'uring') return { ...base, status: 'ok', detail: 'by io_uring' };
  const why = whyNotBest(best?.error);
  if (kind === 'uring-mapped')
    return { ...base, status: 'ok', detail: `by io_uring with mapped rings: ${why.reason}` };
  const detail = `without io_uring, one request after the other: ${why.reason}`;
  return { ...base, status: 'warning', detail, cure: why.cure };
}

function whyNotBest(error: Error | undefined): { readonly reason: string; readonly cure: string } {
  if (error === undefined) return { reason: 'TRAPFRAME_IO asks for that', cure: 'unset TRAPFRAME_IO' };
  if (error instanceof KvmError && FORBIDDEN.includes(error.errno))
    return {
      reason: `this host forbids it (${error.message})`,
      cure: 'sudo sysctl kernel.io_uring_disabled=0; in a container, allow io_uring in its seccomp profile',
    };
  return {
    reason: `this kernel does not have it (${error.message})`,
    cure: 'update the host kernel (Linux 6.5 or newer)',
  };
}

/** By what the two devices answer: 0 or -errno. A guest has a network without them, so nothing is amiss. */
export function networks(tun: number, vhost: number): Finding {
  const kernel = vhost === 0 ? '"vhost" works' : `no "vhost": ${whyNoVhost(-vhost)}`;
  const taps = tun === 0 ? `taps too; ${kernel}` : `no taps: ${whyNoTap(undefined, -tun)}`;
  return {
    id: 'hostNetwork',
    title: 'Networks',
    status: 'ok',
    detail: `"user" and switches always; ${taps}`,
  };
}

function tryVhostNet(): number {
  const fd = openVhostNet();
  if (fd < 0) return fd;
  closeFd(fd);
  return 0;
}

async function resources(): Promise<Finding> {
  const vms = await runningVms('vmm check');
  const used = vms.reduce((sum, vm) => sum + vm.config.memoryBytes, 0);
  const cpus = vms.reduce((sum, vm) => sum + vm.config.cpus, 0);
  const running =
    vms.length === 0
      ? 'no VM is running'
      : `${vms.length} VM(s) hold ${formatSize(used)} and ${cpus} vCPU(s)`;
  const detail = `${formatSize(freemem())} of ${formatSize(totalmem())} free, ${availableParallelism()} CPUs; ${running}`;
  return { id: 'resources', title: 'Memory and CPUs', status: 'ok', detail };
}

function cpuFlags(): Set<string> {
  const line = /^flags\s*:(.*)$/m.exec(readText('/proc/cpuinfo') ?? '');
  return new Set(line?.[1]?.trim().split(/\s+/) ?? []);
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined; // absent: that is the answer
  }
}
