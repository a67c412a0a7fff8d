/**
 * What this host's KVM can do for a debugger, found by trying: a scratch VM of a few pages runs a few
 * instructions in 64-bit mode. Documentation does not say (host kernels that emulate, nested virtualization);
 * `auto` breakpoints use only what works here. About 10 ms; remembered for the process and, by host kernel,
 * on disk.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { cpus, homedir, release } from 'node:os';
import { dirname, join } from 'node:path';
import {
  KVM_CAP,
  KVM_EXIT,
  KVM_GUESTDBG_BLOCKIRQ,
  KVM_GUESTDBG_ENABLE,
  KVM_GUESTDBG_SINGLESTEP,
  KVM_GUESTDBG_USE_HW_BP,
  KVM_GUESTDBG_USE_SW_BP,
} from '../abi/kvm.ts';
import { RFLAGS_RESERVED1 } from '../abi/x86.ts';
import { BootArea } from '../boot/bootArea.ts';
import { enterLongMode } from '../boot/longMode.ts';
import type { Kvm } from '../kvm/kvm.ts';
import { type GuestDebugSettings, KvmVcpu } from '../kvm/vcpu.ts';
import { log } from '../log.ts';
import { allocateGuestMemory, gpa, type GuestMemory } from '../memory/guestMemory.ts';
import { dr7ForExecution } from '../vcpu/guestDebug.ts';

export interface DebugFacilities {
  /** Our int3 comes back to us (as KVM_EXIT_DEBUG, or as an emulation failure we recognise). */
  readonly int3: boolean;
  /** Execution breakpoints in the debug registers. */
  readonly hardware: boolean;
  /** Data watchpoints in the debug registers. */
  readonly watch: boolean;
  readonly step: boolean;
  /** Steps can block interrupts. */
  readonly blockIrq: boolean;
}

/** Changes with the probe itself: older results on disk are then ignored. */
const PROBE_VERSION = 1;
const SCRATCH_BYTES = 1 << 20; // reaches to the GDT of enterLongMode
const CODE = 0x40000;
const DATA = 0x50000;
const DR7_WRITE_4_BYTES = 0x400n | 2n | (1n << 16n) | (3n << 18n);

let known: DebugFacilities | undefined;

/** Never throws: if the probe itself fails, the host counts as one where nothing works. */
export function debugFacilities(kvm: Kvm): DebugFacilities {
  known ??= readCache() ?? probeAndRemember(kvm);
  return known;
}

function probeAndRemember(kvm: Kvm): DebugFacilities {
  const found = probeDebugFacilities(kvm);
  log.info('probe', 'debug facilities of this host', { ...found });
  writeCache(found);
  return found;
}

/** Always tries (for `vmm check` and tests). */
export function probeDebugFacilities(kvm: Kvm): DebugFacilities {
  const mask = kvm.checkExtension(KVM_CAP.SET_GUEST_DEBUG2);
  const blockIrq = (mask & KVM_GUESTDBG_BLOCKIRQ) !== 0;
  try {
    return {
      int3: trial(kvm, INT3, { control: KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP }) === CODE,
      hardware:
        trial(kvm, NOPS, {
          control: KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP,
          addresses: [BigInt(CODE + 1)],
        }) ===
        CODE + 1,
      watch:
        trial(kvm, STORE, {
          control: KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP,
          addresses: [BigInt(DATA)],
          dr7: DR7_WRITE_4_BYTES,
        }) ===
        CODE + STORE_BYTES,
      step: trial(kvm, NOPS, { control: KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP }) === CODE + 1,
      blockIrq,
    };
  } catch (error) {
    log.warn('probe', 'the debug facilities could not be probed', { reason: String(error) });
    return { int3: false, hardware: false, watch: false, step: false, blockIrq };
  }
}

// Each ends in out 0x80, al: an exit that tells "nothing stopped me".
const OUT = [0xe6, 0x80];
const INT3 = [0xcc, ...OUT];
const NOPS = [0x90, 0x90, 0x90, ...OUT];
const STORE_BYTES = 11;
// movl $1, DATA
const STORE = [0xc7, 0x04, 0x25, DATA & 0xff, (DATA >> 8) & 0xff, DATA >> 16, 0x00, 1, 0, 0, 0, ...OUT];

/** Runs `code`; the address at which a debug stop came, undefined when none did. */
function trial(kvm: Kvm, code: readonly number[], debug: Partial<GuestDebugSettings>): number | undefined {
  const vm = kvm.createVm();
  const memory = allocateGuestMemory([{ base: 0, sizeBytes: SCRATCH_BYTES }]);
  vm.setMemory(memory);
  const vcpu = new KvmVcpu(vm.createVcpu(0));
  try {
    vcpu.setCpuid(kvm.supportedCpuid());
    start(vcpu, memory, code);
    vcpu.setGuestDebug({
      control: 0,
      addresses: [],
      dr7: dr7ForExecution(debug.addresses?.length ?? 0),
      ...debug,
    });
    return stopAddress(vcpu);
  } finally {
    vcpu.close();
    vm.close();
  }
}

function start(vcpu: KvmVcpu, memory: GuestMemory, code: readonly number[]): void {
  memory.write(gpa(CODE), Uint8Array.from(code));
  vcpu.writeSystem(enterLongMode(memory, new BootArea('probe', [])));
  vcpu.writeGeneral({
    ...vcpu.readGeneral(),
    rip: BigInt(CODE),
    rsp: BigInt(DATA),
    rflags: RFLAGS_RESERVED1,
  });
}

function stopAddress(vcpu: KvmVcpu): number | undefined {
  if (vcpu.enter() < 0) return undefined;
  const { run } = vcpu;
  if (run.exitReason === KVM_EXIT.DEBUG) return Number(run.debug.pc);
  if (run.exitReason !== KVM_EXIT.INTERNAL_ERROR) return undefined;
  return Number(vcpu.readGeneral().rip);
}

/** One file per host kernel and processor: for these the result does not change. */
function cachePath(): string {
  const base = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');
  const host = `${release()}-${cpus()[0]?.model ?? 'cpu'}`.replace(/[^A-Za-z0-9.]+/g, '-');
  return join(base, 'trapframe', `kvm-${host}-v${PROBE_VERSION}.json`);
}

function readCache(): DebugFacilities | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(cachePath(), 'utf8'));
    return isFacilities(value) ? value : undefined;
  } catch {
    return undefined; // absent or damaged: probe again
  }
}

function isFacilities(value: unknown): value is DebugFacilities {
  if (typeof value !== 'object' || value === null) return false;
  const record = value as Record<string, unknown>;
  return ['int3', 'hardware', 'watch', 'step', 'blockIrq'].every((key) => typeof record[key] === 'boolean');
}

function writeCache(facilities: DebugFacilities): void {
  try {
    const path = cachePath();
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(`${path}.${process.pid}`, JSON.stringify(facilities));
    renameSync(`${path}.${process.pid}`, path);
  } catch {
    // A read-only home only costs the next process its 10 ms.
  }
}
