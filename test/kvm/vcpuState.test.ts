/** A vCPU's state saved and restored by this host's KVM: a vCPU of our own, no VM process. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import {
  KVM_CAP,
  KVM_EXIT,
  KVM_X86_REG_TYPE_MSR,
  KVM_XCRS,
  KvmDebugregs,
  KvmMpState,
  KVM_MP_STATE_HALTED,
  KvmRegs,
  KvmXcr,
} from '../../vmm-core/abi/kvm.ts';
import { LocalApicPage } from '../../vmm-core/abi/localApic.ts';
import { MSR } from '../../vmm-core/abi/msr.ts';
import { RFLAGS_RESERVED1 } from '../../vmm-core/abi/x86.ts';
import {
  XFEATURE_MASK_FP,
  XFEATURE_MASK_SSE,
  XFEATURE_MASK_YMM,
  XSAVE_XMM,
  XSAVE_YMM_HIGH,
  XsaveArea,
} from '../../vmm-core/abi/xsave.ts';
import { BootArea } from '../../vmm-core/boot/bootArea.ts';
import { enterLongMode } from '../../vmm-core/boot/longMode.ts';
import { Kvm } from '../../vmm-core/kvm/kvm.ts';
import {
  decodeMsrs,
  encodeMsrs,
  getMsrs,
  readMsrs,
  setMsrs,
  stateMsrs,
  unreadMsrs,
  writeMsrs,
} from '../../vmm-core/kvm/msrs.ts';
import {
  listRegisters,
  readRegister,
  registerId,
  registerName,
  writeRegister,
} from '../../vmm-core/kvm/oneReg.ts';
import { KvmVcpu } from '../../vmm-core/kvm/vcpu.ts';
import {
  type StatePartName,
  type VcpuState,
  type VcpuStateFormat,
  vcpuStateFormat,
} from '../../vmm-core/kvm/vcpuState.ts';
import { type StateValues, vcpuStateValues } from '../../vmm-core/kvm/vcpuStateValues.ts';
import type { VcpuHandle } from '../../vmm-core/kvm/vm.ts';
import { allocateGuestMemory, gpa, type GuestMemory } from '../../vmm-core/memory/guestMemory.ts';
import { KVM_IDENTITY_MAP, KVM_TSS } from '../../vmm-core/memory/layout.ts';
import { kvmTest } from '../support/kvmTest.ts';

const RAM_BYTES = 1 << 20; // reaches to the GDT of enterLongMode
const CODE = 0x40000;
const LEAF_XSAVE = 0xd;

interface Scratch {
  readonly kvm: Kvm;
  readonly handle: VcpuHandle;
  readonly vcpu: KvmVcpu;
  readonly memory: GuestMemory;
  readonly format: VcpuStateFormat;
}

function scratchVcpu(t: TestContext): Scratch {
  const kvm = Kvm.open();
  const vm = kvm.createVm();
  vm.createChips(KVM_TSS, KVM_IDENTITY_MAP);
  const memory = allocateGuestMemory([{ base: 0, sizeBytes: RAM_BYTES }]);
  vm.setMemory(memory);
  const handle = vm.createVcpu(0);
  const vcpu = new KvmVcpu(handle);
  vcpu.setCpuid(kvm.supportedCpuid());
  t.after(() => {
    vcpu.close();
    vm.close();
    kvm.close();
  });
  return { kvm, handle, vcpu, memory, format: vcpuStateFormat(kvm) };
}

/** A copy with some parts changed. */
function edited(
  state: VcpuState,
  edits: Partial<Record<StatePartName, (view: DataView) => void>>,
): VcpuState {
  const parts = state.parts.map(({ name, bytes }) => {
    const copy = bytes.slice();
    edits[name]?.(new DataView(copy.buffer));
    return { name, bytes: copy };
  });
  return { parts };
}

/** `msrs` with new values for some. */
function setMsr(view: DataView, values: ReadonlyMap<number, bigint>): void {
  const entries = new Uint8Array(view.buffer);
  const msrs = decodeMsrs(entries).map(({ index, data }) => ({ index, data: values.get(index) ?? data }));
  entries.set(encodeMsrs(msrs));
}

/** Without what changes by itself. */
function still(state: VcpuState): Partial<Record<StatePartName, StateValues>> {
  const values = vcpuStateValues(state);
  return {
    ...values,
    MSRS: { ...values.MSRS, MSR_IA32_TSC: 0n },
    LAPIC: { ...values.LAPIC, timer_current: 0 },
  };
}

function pattern(first: number): Uint8Array {
  return Uint8Array.from({ length: 16 }, (_, i) => first + i);
}

kvmTest('what a guest may set is in the state and is restored with it', async (t) => {
  const { kvm, vcpu, format } = scratchVcpu(t);
  const leaf = kvm.supportedCpuid().find((it) => it.function === LEAF_XSAVE && it.index === 0);
  const hasAvx = (BigInt(leaf?.eax ?? 0) & XFEATURE_MASK_YMM) !== 0n;
  const xcr0 = XFEATURE_MASK_FP | XFEATURE_MASK_SSE | (hasAvx ? XFEATURE_MASK_YMM : 0n);
  const fillXsave = (view: DataView): void => {
    XsaveArea.write(view, { fcw: 0x27f, mxcsr: 0x9f80, xstate_bv: xcr0 });
    const bytes = new Uint8Array(view.buffer);
    bytes.set(pattern(0x30), XSAVE_XMM + 3 * 16);
    if (hasAvx) bytes.set(pattern(0x90), XSAVE_YMM_HIGH + 3 * 16);
  };
  const powerOn = vcpu.save(format);
  vcpu.restore(
    edited(powerOn, {
      REGS: (view) => KvmRegs.write(view, { rax: 0x1122_3344_5566_7788n, r15: 15n, rip: 0x7c00n }),
      XSAVE: fillXsave,
      XSAVE2: fillXsave,
      XCRS: (view) => KvmXcr.write(view, { xcr: 0, value: xcr0 }, KVM_XCRS.xcrs),
      DEBUGREGS: (view) =>
        KvmDebugregs.write(view, { db0: 0x1000n, db3: 0x3000n, dr6: 0xffff0ff1n, dr7: 0x403n }),
      LAPIC: (view) => LocalApicPage.write(view, { tpr: 0x20, lvt_lint0: 0x700 }),
      MSRS: (view) =>
        setMsr(
          view,
          new Map([
            [MSR.LSTAR, 0xffff_8000_1234_5678n],
            [MSR.KERNEL_GS_BASE, 0x10_0000n],
            [MSR.IA32_CR_PAT, 0x0007_0106_0007_0106n],
            [MSR.MTRRdefType, 0xc06n],
            [MSR.MTRRfix64K_00000, 0x0606_0606_0606_0606n],
          ]),
        ),
      MP_STATE: (view) => KvmMpState.write(view, { mp_state: KVM_MP_STATE_HALTED }),
    }),
  );

  const now = vcpuStateValues(vcpu.save(format));
  assert.deepEqual([now.REGS?.rax, now.REGS?.r15, now.REGS?.rip], [0x1122_3344_5566_7788n, 15n, 0x7c00n]);
  const xsave = now.XSAVE2 ?? now.XSAVE;
  assert.deepEqual([xsave?.fcw, xsave?.mxcsr, xsave?.xmm3], [0x27f, 0x9f80, pattern(0x30)]);
  if (hasAvx) assert.deepEqual(xsave?.ymmh3, pattern(0x90));
  assert.equal(now.XCRS?.xcr0, xcr0);
  const { db0, db3, dr6, dr7 } = now.DEBUGREGS ?? {};
  assert.deepEqual([db0, db3, dr6, dr7], [0x1000n, 0x3000n, 0xffff0ff1n, 0x403n]);
  assert.deepEqual([now.LAPIC?.tpr, now.LAPIC?.lvt_lint0], [0x20, 0x700]);
  assert.equal(now.MSRS?.MSR_LSTAR, 0xffff_8000_1234_5678n);
  assert.equal(now.MSRS?.MSR_KERNEL_GS_BASE, 0x10_0000n);
  assert.equal(now.MSRS?.MSR_IA32_CR_PAT, 0x0007_0106_0007_0106n);
  assert.equal(now.MSRS?.MSR_MTRRdefType, 0xc06n);
  assert.equal(now.MSRS?.MSR_MTRRfix64K_00000, 0x0606_0606_0606_0606n);
  assert.equal(now.MP_STATE?.mp_state, KVM_MP_STATE_HALTED);

  vcpu.restore(powerOn);
  assert.deepEqual(still(vcpu.save(format)), still(powerOn));
});

kvmTest('a guest continues from where the state was saved', async (t) => {
  const { vcpu, memory, format } = scratchVcpu(t);
  memory.write(gpa(CODE), Uint8Array.from(COUNT_IN_MSR_AND_DR0));
  vcpu.writeSystem(enterLongMode(memory, new BootArea('vcpuState', [])));
  vcpu.writeGeneral({ ...vcpu.readGeneral(), rip: BigInt(CODE), rflags: RFLAGS_RESERVED1 });

  assert.equal(nextCount(vcpu), 2);
  const saved = vcpu.save(format);
  assert.equal(nextCount(vcpu), 4);
  assert.equal(nextCount(vcpu), 6);
  vcpu.restore(saved);
  assert.equal(nextCount(vcpu), 4);
  assert.equal(vcpuStateValues(vcpu.save(format)).MSRS?.MSR_LSTAR, 2n);
});

/** Adds one to LSTAR and to DR0 and writes their sum to port 0x80, for ever. */
const COUNT_IN_MSR_AND_DR0 = [
  ...[0xb9, 0x82, 0x00, 0x00, 0xc0], //      mov $0xc0000082, %ecx
  ...[0x0f, 0x32], //                     1: rdmsr
  ...[0xff, 0xc0], //                        inc %eax
  ...[0x0f, 0x30], //                        wrmsr
  ...[0x0f, 0x21, 0xc3], //                  mov %dr0, %rbx
  ...[0x48, 0xff, 0xc3], //                  inc %rbx
  ...[0x0f, 0x23, 0xc3], //                  mov %rbx, %dr0
  ...[0x01, 0xd8], //                        add %ebx, %eax
  ...[0xe6, 0x80], //                        out %al, $0x80
  ...[0xeb, 0xeb], //                        jmp 1b
];

/** Runs to the next write to the port. The exit is finished, so that the state is whole. */
function nextCount(vcpu: KvmVcpu): number {
  assert.equal(vcpu.enter(), 0);
  assert.equal(vcpu.run.exitReason, KVM_EXIT.IO);
  vcpu.settle();
  return Number(vcpu.readGeneral().rax & 0xffn);
}

kvmTest('KVM takes back every MSR that it lets us read', async (t) => {
  const { kvm, handle } = scratchVcpu(t);
  const read = readMsrs(unreadMsrs(stateMsrs(kvm.msrIndices())), getMsrs(handle.fd));
  assert.ok(decodeMsrs(read).some(({ index }) => index === MSR.LSTAR));
  assert.deepEqual(writeMsrs(read, setMsrs(handle.fd)), []);
});

kvmTest('registers are read and written one at a time, as the shadow stack pointer requires', async (t) => {
  const { kvm, handle, vcpu, format } = scratchVcpu(t);
  if (kvm.checkExtension(KVM_CAP.ONE_REG) === 0) return t.skip("this host's KVM has no KVM_GET_ONE_REG");
  const { fd } = handle;
  const id = registerId(KVM_X86_REG_TYPE_MSR, MSR.LSTAR); // every vCPU has this one
  writeRegister(fd, { id, value: 0xffff_8000_0000_1000n });
  assert.equal(vcpuStateValues(vcpu.save(format)).MSRS?.MSR_LSTAR, 0xffff_8000_0000_1000n);
  assert.deepEqual(readRegister(fd, id), { id, value: 0xffff_8000_0000_1000n });
  assert.deepEqual(
    Object.keys(vcpuStateValues(vcpu.save(format)).ONE_REG ?? {}),
    listRegisters(fd).map(registerName),
  );
});

kvmTest('the state of a vCPU can be restored in another VM', async (t) => {
  const { vcpu, format } = scratchVcpu(t);
  const other = scratchVcpu(t);
  const state = edited(vcpu.save(format), {
    REGS: (view) => KvmRegs.write(view, { rbx: 0xbn }),
    MSRS: (view) => setMsr(view, new Map([[MSR.LSTAR, 0x1000n]])),
  });
  other.vcpu.restore(structuredClone(state));
  assert.deepEqual(still(other.vcpu.save(other.format)), still(state));
});
