/**
 * All vCPU state in KVM that the guest can change, in one table: for a reset, a snapshot, an inspector. Any
 * thread that knows no vCPU of the VM is in KVM_RUN.
 *
 * The table is in the order of restoring. State is saved in the opposite order, because some reads change
 * what is above them in the table: KVM_GET_MP_STATE lets the vCPU accept a pending INIT or SIPI, which sets
 * its registers, and KVM_GET_VCPU_EVENTS delivers a pending #DB's DR6 and a pending #PF's CR2. And a timer
 * that expires between the reads of its deadline (an MSR) and of the LAPIC fires twice after a restore,
 * instead of never.
 *
 * Not here: CPUID and KVM_SET_GUEST_DEBUG are ours, not the guest's; kvmclock belongs to the VM (vm.ts), only
 * its MSRs are the vCPU's. KVM ignores a TSC less than a second off the current one: it takes that for an
 * attempt to synchronise the vCPUs.
 */
import {
  KVM_CAP,
  KVM_GET_DEBUGREGS,
  KVM_GET_LAPIC,
  KVM_GET_MP_STATE,
  KVM_GET_MSRS,
  KVM_GET_NESTED_STATE,
  KVM_GET_ONE_REG,
  KVM_GET_REGS,
  KVM_GET_SREGS,
  KVM_GET_SREGS2,
  KVM_GET_TSC_KHZ,
  KVM_GET_VCPU_EVENTS,
  KVM_GET_XCRS,
  KVM_GET_XSAVE,
  KVM_GET_XSAVE2,
  KVM_SET_DEBUGREGS,
  KVM_SET_LAPIC,
  KVM_SET_MP_STATE,
  KVM_SET_MSRS,
  KVM_SET_NESTED_STATE,
  KVM_SET_ONE_REG,
  KVM_SET_REGS,
  KVM_SET_SREGS,
  KVM_SET_SREGS2,
  KVM_SET_TSC_KHZ,
  KVM_SET_VCPU_EVENTS,
  KVM_SET_XCRS,
  KVM_SET_XSAVE,
  KvmDebugregs,
  KvmLapicState,
  KvmMpState,
  KvmNestedState,
  KvmRegs,
  KvmSregs,
  KvmSregs2,
  KvmVcpuEvents,
  KvmXcrs,
  KvmXsave,
} from '../abi/kvm.ts';
import { log } from '../log.ts';
import type { Kvm } from './kvm.ts';
import { ioctl, ioctlStruct, mustIoctl } from './libc.ts';
import { getMsrs, msrName, readMsrs, setMsrs, stateMsrs, unreadMsrs, writeMsrs } from './msrs.ts';
import { decodeRegisters, encodeRegisters, listRegisters, readRegister, writeRegister } from './oneReg.ts';

/** One row: a pair of ioctls, and when to use it. */
interface StatePart {
  /** As in KVM_GET_…. */
  readonly name: string;
  readonly get: number;
  readonly set: number;
  /** In bytes; the value of the capability in `needs` when it is not given. */
  readonly size?: number;
  /** The KVM_CAP_* that it needs. */
  readonly needs?: number;
  /** The KVM_CAP_* with which another row covers it. */
  readonly unless?: number;
  /** How to read and write it when it is not a plain struct. */
  readonly as?: keyof typeof TRANSFERS;
}

const { SREGS2, NESTED_STATE, XSAVE2, XCRS, ONE_REG } = KVM_CAP;

const PARTS = [
  // Before the TSC itself, which is an MSR.
  { name: 'TSC_KHZ', get: KVM_GET_TSC_KHZ, set: KVM_SET_TSC_KHZ, size: 4, as: 'frequency' },
  // EFER, CR4 and the APIC's base: before nested state, LAPIC and MSRs, which KVM checks against them.
  { name: 'SREGS', get: KVM_GET_SREGS, set: KVM_SET_SREGS, size: KvmSregs.size, unless: SREGS2 },
  { name: 'SREGS2', get: KVM_GET_SREGS2, set: KVM_SET_SREGS2, size: KvmSregs2.size, needs: SREGS2 },
  {
    name: 'NESTED_STATE',
    get: KVM_GET_NESTED_STATE,
    set: KVM_SET_NESTED_STATE,
    needs: NESTED_STATE,
    as: 'nestedState',
  },
  // Drops a pending exception: before VCPU_EVENTS.
  { name: 'REGS', get: KVM_GET_REGS, set: KVM_SET_REGS, size: KvmRegs.size },
  { name: 'XSAVE', get: KVM_GET_XSAVE, set: KVM_SET_XSAVE, size: KvmXsave.size, unless: XSAVE2 },
  { name: 'XSAVE2', get: KVM_GET_XSAVE2, set: KVM_SET_XSAVE, needs: XSAVE2 },
  { name: 'XCRS', get: KVM_GET_XCRS, set: KVM_SET_XCRS, size: KvmXcrs.size, needs: XCRS },
  { name: 'DEBUGREGS', get: KVM_GET_DEBUGREGS, set: KVM_SET_DEBUGREGS, size: KvmDebugregs.size },
  // Stops the timer and sets its mode: before IA32_TSC_DEADLINE, an MSR.
  { name: 'LAPIC', get: KVM_GET_LAPIC, set: KVM_SET_LAPIC, size: KvmLapicState.size },
  { name: 'MSRS', get: KVM_GET_MSRS, set: KVM_SET_MSRS, size: 0, as: 'msrs' },
  { name: 'ONE_REG', get: KVM_GET_ONE_REG, set: KVM_SET_ONE_REG, size: 0, needs: ONE_REG, as: 'registers' },
  { name: 'VCPU_EVENTS', get: KVM_GET_VCPU_EVENTS, set: KVM_SET_VCPU_EVENTS, size: KvmVcpuEvents.size },
  { name: 'MP_STATE', get: KVM_GET_MP_STATE, set: KVM_SET_MP_STATE, size: KvmMpState.size },
] as const satisfies readonly StatePart[];

export type StatePartName = (typeof PARTS)[number]['name'];

/** Plain data, fit for restoring, copying to another thread or writing to a file. */
export interface VcpuState {
  /** In the order of restoring. */
  readonly parts: readonly { readonly name: StatePartName; readonly bytes: Uint8Array }[];
}

/** What this host's KVM supports. */
export type HostKvm = Pick<Kvm, 'checkExtension' | 'msrIndices'>;

type Part = StatePart & { readonly name: StatePartName };

/** The rows that apply to this host, each with what to read it into. The same for all vCPUs. */
export type VcpuStateFormat = readonly { readonly part: Part; readonly blank: Uint8Array }[];

export function vcpuStateFormat(kvm: HostKvm): VcpuStateFormat {
  const has = (capability: number): boolean => kvm.checkExtension(capability) > 0;
  const rows: readonly Part[] = PARTS;
  return rows
    .filter(({ needs }) => needs === undefined || has(needs))
    .filter(({ unless }) => unless === undefined || !has(unless))
    .map((part) => ({ part, blank: blankOf(part, kvm) }));
}

export function saveVcpuState(fd: number, format: VcpuStateFormat): VcpuState {
  const parts = [...format].reverse().map(({ part, blank }) => ({
    name: part.name,
    bytes: transferOf(part).read(fd, part, blank.slice()),
  }));
  return { parts: parts.reverse() };
}

/** Throws KvmError when KVM finds the state impossible. */
export function restoreVcpuState(fd: number, state: VcpuState): void {
  const rows: readonly Part[] = PARTS;
  for (const part of rows) {
    const saved = state.parts.find(({ name }) => name === part.name);
    if (saved !== undefined) transferOf(part).write(fd, part, saved.bytes);
  }
}

interface Transfer {
  /** What to read it into; a buffer of zeroes by default. */
  blank?(sizeBytes: number, kvm: HostKvm): Uint8Array;
  /** Fills `blank` in; what it returns may be shorter. */
  read(fd: number, part: StatePart, blank: Uint8Array): Uint8Array;
  write(fd: number, part: StatePart, bytes: Uint8Array): void;
}

const STRUCT: Transfer = {
  read(fd, { name, get }, blank) {
    ioctlStruct(`KVM_GET_${name}`, fd, get, blank);
    return blank;
  },
  write(fd, { name, set }, bytes) {
    ioctlStruct(`KVM_SET_${name}`, fd, set, bytes);
  },
};

const TRANSFERS = {
  /** The ioctls return and take the number itself; 0: the host's TSC has no constant frequency (EIO). */
  frequency: {
    read(fd, { get }, blank) {
      viewOf(blank).setUint32(0, Math.max(0, ioctl(fd, get)), true);
      return blank;
    },
    write(fd, { name, get, set }, bytes) {
      const khz = viewOf(bytes).getUint32(0, true);
      const isSo = khz === 0 || khz === ioctl(fd, get); // not every host can set another
      if (!isSo) mustIoctl(`KVM_SET_${name}`, fd, set, khz);
    },
  },

  /** KVM is told the size of the buffer and returns how much of it is used. */
  nestedState: {
    ...STRUCT,
    blank(sizeBytes) {
      const blank = new Uint8Array(sizeBytes);
      KvmNestedState.write(viewOf(blank), { size: sizeBytes });
      return blank;
    },
    read(fd, part, blank) {
      const bytes = STRUCT.read(fd, part, blank);
      return bytes.slice(0, KvmNestedState.read(viewOf(bytes)).size);
    },
  },

  /** Read by index. What KVM refuses to take back is logged: better a guest without it than no guest. */
  msrs: {
    blank: (_, kvm) => unreadMsrs(stateMsrs(kvm.msrIndices())),
    read: (fd, _, blank) => readMsrs(blank, getMsrs(fd)),
    write(fd, _, bytes) {
      const refused = writeMsrs(bytes, setMsrs(fd));
      if (refused.length === 0) return;
      const msrs = refused.map(({ index, data }) => `${msrName(index)}=0x${data.toString(16)}`).join(' ');
      log.warn('kvm', 'MSRs that this host does not take back', { msrs });
    },
  },

  /** As many as the vCPU has. */
  registers: {
    read: (fd) => encodeRegisters(listRegisters(fd).map((id) => readRegister(fd, id))),
    write: (fd, _, bytes) => decodeRegisters(bytes).forEach((register) => writeRegister(fd, register)),
  },
} as const satisfies Readonly<Record<string, Transfer>>;

function transferOf({ as }: StatePart): Transfer {
  return as === undefined ? STRUCT : TRANSFERS[as];
}

function blankOf(part: StatePart, kvm: HostKvm): Uint8Array {
  const sizeBytes = part.size ?? kvm.checkExtension(part.needs ?? 0);
  return transferOf(part).blank?.(sizeBytes, kvm) ?? new Uint8Array(sizeBytes);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
