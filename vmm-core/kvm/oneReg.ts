/**
 * Registers that KVM accesses one at a time (KVM_GET_ONE_REG in api.rst; on x86 since Linux 6.18), each of
 * 64 bits. The only one not covered by another ioctl is the shadow stack pointer. Any thread that knows the
 * vCPU is not in KVM_RUN.
 */
import {
  KVM_GET_ONE_REG,
  KVM_GET_REG_LIST,
  KVM_REG_GUEST_SSP,
  KVM_REG_SIZE_U64,
  KVM_REG_X86,
  KVM_SET_ONE_REG,
  KVM_X86_REG_TYPE_KVM,
  KvmOneReg,
} from '../abi/kvm.ts';
import { hostAddress, ioctlStruct } from './libc.ts';

export interface RegisterValue {
  readonly id: bigint;
  readonly value: bigint;
}

const MAX_LISTED = 256;

/** Where the kernel reads and writes the value. Shared memory does not move; each thread has its own. */
const cell = new BigUint64Array(new SharedArrayBuffer(BigUint64Array.BYTES_PER_ELEMENT));

/** The ids of those that KVM asks a debugger or a snapshot to keep: no MSRs. */
export function listRegisters(fd: number): bigint[] {
  const list = new BigUint64Array(1 + MAX_LISTED);
  list[0] = BigInt(MAX_LISTED); // n
  ioctlStruct('KVM_GET_REG_LIST', fd, KVM_GET_REG_LIST, list);
  return [...list.subarray(1, 1 + Number(list[0]))];
}

export function readRegister(fd: number, id: bigint): RegisterValue {
  // Safety: the kernel writes 8 bytes at `cell` during the call.
  ioctlStruct('KVM_GET_ONE_REG', fd, KVM_GET_ONE_REG, KvmOneReg.bytes({ id, addr: hostAddress(cell) }));
  return { id, value: cell[0] ?? 0n };
}

export function writeRegister(fd: number, { id, value }: RegisterValue): void {
  cell[0] = value;
  // Safety: the kernel reads 8 bytes at `cell` during the call.
  ioctlStruct('KVM_SET_ONE_REG', fd, KVM_SET_ONE_REG, KvmOneReg.bytes({ id, addr: hostAddress(cell) }));
}

/** Pairs of id and value. */
export function encodeRegisters(registers: readonly RegisterValue[]): Uint8Array {
  return new Uint8Array(BigUint64Array.from(registers.flatMap(({ id, value }) => [id, value])).buffer);
}

export function decodeRegisters(pairs: Uint8Array): RegisterValue[] {
  const words = new BigUint64Array(pairs.slice().buffer);
  return Array.from({ length: words.length / 2 }, (_, i) => ({
    id: words[2 * i] ?? 0n,
    value: words[2 * i + 1] ?? 0n,
  }));
}

/** The id of a register of a kind, KVM_X86_REG_TYPE_*. */
export function registerId(type: number, index: number): bigint {
  return KVM_REG_X86 | KVM_REG_SIZE_U64 | (BigInt(type) << 32n) | BigInt(index);
}

export function registerName(id: bigint): string {
  const isShadowStackPointer = id === registerId(KVM_X86_REG_TYPE_KVM, KVM_REG_GUEST_SSP);
  return isShadowStackPointer ? 'KVM_REG_GUEST_SSP' : `KVM_REG_<0x${id.toString(16)}>`;
}
