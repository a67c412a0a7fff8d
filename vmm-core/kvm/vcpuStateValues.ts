/** A saved vCPU state as names and values, for display. Pure: no ioctls. */
import {
  KVM_SREGS_SEGMENTS,
  KVM_SREGS_TABLES,
  KVM_XCRS,
  KvmDebugregs,
  KvmDtable,
  KvmMpState,
  KvmNestedState,
  KvmRegs,
  KvmSegment,
  KvmSregs,
  KvmSregs2,
  KvmVcpuEvents,
  KvmXcr,
  KvmXcrs,
} from '../abi/kvm.ts';
import { LocalApicPage } from '../abi/localApic.ts';
import { XSAVE_ST, XSAVE_XMM, XSAVE_YMM_HIGH, XsaveArea } from '../abi/xsave.ts';
import { decodeMsrs, msrName } from './msrs.ts';
import { decodeRegisters, registerName } from './oneReg.ts';
import type { StatePartName, VcpuState } from './vcpuState.ts';

/** Names as in the headers and the SDM, nested as the structs are. */
export interface StateValues {
  readonly [name: string]: number | bigint | string | Uint8Array | StateValues;
}

/** By part, in the order of the state's parts. */
export function vcpuStateValues(state: VcpuState): Partial<Record<StatePartName, StateValues>> {
  return Object.fromEntries(state.parts.map(({ name, bytes }) => [name, DECODE[name](bytes)]));
}

const DECODE: Readonly<Record<StatePartName, (bytes: Uint8Array) => StateValues>> = {
  TSC_KHZ: (bytes) => ({ tsc_khz: viewOf(bytes).getUint32(0, true) }),
  SREGS: (bytes) => ({ ...descriptors(bytes), ...KvmSregs.read(viewOf(bytes)) }),
  SREGS2: (bytes) => ({ ...descriptors(bytes), ...KvmSregs2.read(viewOf(bytes)) }),
  NESTED_STATE: (bytes) => ({
    ...KvmNestedState.read(viewOf(bytes)),
    data: bytes.slice(KvmNestedState.size),
  }),
  REGS: (bytes) => KvmRegs.read(viewOf(bytes)),
  XSAVE: xsaveArea,
  XSAVE2: xsaveArea,
  XCRS: extendedControl,
  DEBUGREGS: (bytes) => KvmDebugregs.read(viewOf(bytes)),
  LAPIC: (bytes) => LocalApicPage.read(viewOf(bytes)),
  MSRS: (bytes) => Object.fromEntries(decodeMsrs(bytes).map(({ index, data }) => [msrName(index), data])),
  ONE_REG: (bytes) =>
    Object.fromEntries(decodeRegisters(bytes).map(({ id, value }) => [registerName(id), value])),
  VCPU_EVENTS: (bytes) => KvmVcpuEvents.read(viewOf(bytes)),
  MP_STATE: (bytes) => KvmMpState.read(viewOf(bytes)),
};

/** The segments and tables that kvm_sregs and kvm_sregs2 begin with. */
function descriptors(bytes: Uint8Array): StateValues {
  const view = viewOf(bytes);
  return {
    ...mapValues(KVM_SREGS_SEGMENTS, (at) => KvmSegment.read(view, at)),
    ...mapValues(KVM_SREGS_TABLES, (at) => KvmDtable.read(view, at)),
  };
}

function mapValues(
  offsets: Readonly<Record<string, number>>,
  read: (at: number) => StateValues,
): StateValues {
  return Object.fromEntries(Object.entries(offsets).map(([name, at]) => [name, read(at)]));
}

function xsaveArea(bytes: Uint8Array): StateValues {
  const registers = (name: string, count: number, at: number, sizeBytes: number): StateValues =>
    Object.fromEntries(
      Array.from({ length: count }, (_, n) => [
        `${name}${n}`,
        bytes.slice(at + 16 * n, at + 16 * n + sizeBytes),
      ]),
    );
  return {
    ...XsaveArea.read(viewOf(bytes)),
    ...registers('st', 8, XSAVE_ST, 10),
    ...registers('xmm', 16, XSAVE_XMM, 16),
    ...registers('ymmh', 16, XSAVE_YMM_HIGH, 16),
  };
}

function extendedControl(bytes: Uint8Array): StateValues {
  const view = viewOf(bytes);
  const registers = Array.from({ length: KvmXcrs.read(view).nr_xcrs }, (_, n) =>
    KvmXcr.read(view, KVM_XCRS.xcrs + n * KvmXcr.size),
  );
  return Object.fromEntries(registers.map(({ xcr, value }) => [`xcr${xcr}`, value]));
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
