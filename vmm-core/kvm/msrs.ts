/**
 * Model-specific registers of a vCPU, many at a time (KVM_GET_MSRS and KVM_SET_MSRS in api.rst), and which
 * of them make up its state. Any thread that knows the vCPU is not in KVM_RUN.
 */
import { KVM_GET_MSRS, KVM_SET_MSRS, KvmMsrEntry, KvmMsrs } from '../abi/kvm.ts';
import {
  HV_X64_MSR_FIRST,
  HV_X64_MSR_LAST,
  KVM_MAX_MCE_BANKS,
  KVM_NR_VAR_MTRR,
  MSR,
  MSR_IA32_MC0_CTL,
  MTRR_PHYS_BASE_0,
} from '../abi/msr.ts';
import { ioctlStruct } from './libc.ts';

export interface MsrValue {
  readonly index: number;
  readonly data: bigint;
}

/**
 * Takes a struct kvm_msrs. Returns how many entries KVM got through: it stops at the first one it refuses.
 */
export type MsrIoctl = (msrs: Uint8Array) => number;

export function getMsrs(fd: number): MsrIoctl {
  return (msrs) => ioctlStruct('KVM_GET_MSRS', fd, KVM_GET_MSRS, msrs);
}
export function setMsrs(fd: number): MsrIoctl {
  return (msrs) => ioctlStruct('KVM_SET_MSRS', fd, KVM_SET_MSRS, msrs);
}

/** Per vCPU, but not in KVM_GET_MSR_INDEX_LIST: MTRRs and machine-check banks. */
const UNLISTED_MSRS: readonly number[] = [
  MSR.MTRRdefType,
  MSR.MTRRfix64K_00000,
  MSR.MTRRfix16K_80000,
  MSR.MTRRfix16K_A0000,
  ...range(MSR.MTRRfix4K_C0000, 8),
  ...range(MTRR_PHYS_BASE_0, 2 * KVM_NR_VAR_MTRR),
  ...range(MSR_IA32_MC0_CTL, 4 * KVM_MAX_MCE_BANKS),
];

/** Listed by KVM, but not state of our guests. */
const LEFT_OUT: readonly { readonly first: number; readonly last: number; readonly why: string }[] = [
  {
    first: HV_X64_MSR_FIRST,
    last: HV_X64_MSR_LAST,
    why: "the guest's CPUID has no Hyper-V leaf, and to write one of them starts KVM's emulation of Hyper-V",
  },
];

/** KVM copies at most this many entries at once (MAX_IO_MSRS in its x86.c). */
const MAX_ENTRIES = 255;

/**
 * The MSRs of a vCPU's state in the order to write them: IA32_TSC_DEADLINE after the TSC it is compared
 * with.
 */
export function stateMsrs(listed: readonly number[]): number[] {
  const isLeftOut = (index: number): boolean =>
    LEFT_OUT.some(({ first, last }) => first <= index && index <= last);
  const indices = new Set(UNLISTED_MSRS);
  for (const index of listed) if (!isLeftOut(index)) indices.add(index);
  if (indices.delete(MSR.IA32_TSC_DEADLINE)) indices.add(MSR.IA32_TSC_DEADLINE);
  return [...indices];
}

/** As the headers spell it; MSR_<0x…> for one that abi/msr.ts does not have. */
export function msrName(index: number): string {
  const [name] = Object.entries(MSR).find(([, number]) => number === index) ?? [];
  if (name !== undefined) return `MSR_${name}`;
  const mtrr = index - MTRR_PHYS_BASE_0;
  if (0 <= mtrr && mtrr < 2 * KVM_NR_VAR_MTRR) {
    return `MTRRphys${mtrr % 2 === 0 ? 'Base' : 'Mask'}${mtrr >> 1}`;
  }
  const bank = index - MSR_IA32_MC0_CTL;
  if (0 <= bank && bank < 4 * KVM_MAX_MCE_BANKS) {
    return `MSR_IA32_MC${bank >> 2}_${['CTL', 'STATUS', 'ADDR', 'MISC'][bank & 3]}`;
  }
  return `MSR_<0x${index.toString(16)}>`;
}

/** Entries as in struct kvm_msrs, without its head. */
export function encodeMsrs(msrs: readonly MsrValue[]): Uint8Array {
  const entries = new Uint8Array(msrs.length * KvmMsrEntry.size);
  const view = new DataView(entries.buffer);
  const { index, data } = KvmMsrEntry.fields;
  msrs.forEach((msr, i) => {
    view.setUint32(i * KvmMsrEntry.size + index.offset, msr.index, true);
    view.setBigUint64(i * KvmMsrEntry.size + data.offset, msr.data, true);
  });
  return entries;
}

/** Entries without values, for readMsrs. */
export function unreadMsrs(indices: readonly number[]): Uint8Array {
  const words = new Uint32Array((indices.length * KvmMsrEntry.size) / 4);
  indices.forEach((index, i) => (words[(i * KvmMsrEntry.size) / 4] = index));
  return new Uint8Array(words.buffer);
}

export function decodeMsrs(entries: Uint8Array): MsrValue[] {
  const view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength);
  return range(0, entries.length / KvmMsrEntry.size).map((i) => KvmMsrEntry.read(view, i * KvmMsrEntry.size));
}

/** The entries with the vCPU's values, without those it does not have. */
export function readMsrs(entries: Uint8Array, get: MsrIoctl): Uint8Array {
  return concatenate(transfer(entries, get).taken);
}

/** Returns the entries that KVM refused; the others are set. */
export function writeMsrs(entries: Uint8Array, set: MsrIoctl): MsrValue[] {
  return transfer(entries, set).refused.flatMap(decodeMsrs);
}

/** In as many calls as it takes: each continues after the entry at which the previous one ended. */
function transfer(
  entries: Uint8Array,
  ioctl: MsrIoctl,
): { readonly taken: readonly Uint8Array[]; readonly refused: readonly Uint8Array[] } {
  const taken: Uint8Array[] = [];
  const refused: Uint8Array[] = [];
  let at = 0;
  while (at < entries.length) {
    const chunk = entries.subarray(at, at + MAX_ENTRIES * KvmMsrEntry.size);
    const msrs = withHead(chunk);
    const endBytes = ioctl(msrs) * KvmMsrEntry.size;
    taken.push(msrs.subarray(KvmMsrs.size, KvmMsrs.size + endBytes));
    const stopper = chunk.subarray(endBytes, endBytes + KvmMsrEntry.size);
    if (stopper.length > 0) refused.push(stopper);
    at += endBytes + stopper.length;
  }
  return { taken, refused };
}

function withHead(entries: Uint8Array): Uint8Array {
  const head = KvmMsrs.bytes({ nmsrs: entries.length / KvmMsrEntry.size });
  return concatenate([head, entries]);
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function range(first: number, length: number): number[] {
  return Array.from({ length }, (_, i) => first + i);
}
