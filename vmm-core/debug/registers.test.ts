import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  generalRegisters,
  longMode,
  protectedMode,
  realMode,
  segment,
} from '../../test/support/registerStates.ts';
import { KVM_MP_STATE_HALTED, KVM_MP_STATE_RUNNABLE } from '../abi/kvm.ts';
import type { GeneralRegisters, SystemRegisters } from '../abi/x86.ts';
import { KvmError, UserError } from '../errors.ts';
import type { KvmVcpu } from '../kvm/vcpu.ts';
import { allocateGuestMemory, gpa, type GuestMemory } from '../memory/guestMemory.ts';
import { hexValues } from '../protocol/hex.ts';
import { cpuMode, readRegisters, registerReport, writeRegisters } from './registers.ts';

const EINVAL = 22;
const GDT = 0x1000;
const LDT = 0x2000;

/** A vCPU that is only its registers. `refuses`: what KVM answers with EINVAL. */
class FakeVcpu {
  readonly index = 0;
  general: GeneralRegisters;
  system: SystemRegisters;
  mpState = KVM_MP_STATE_RUNNABLE;
  refreshed = 0;
  refuses: (system: SystemRegisters) => boolean = () => false;
  readonly run = { readGeneral: () => this.general, readSystem: () => this.system };

  constructor(system: SystemRegisters, general: Partial<GeneralRegisters> = {}) {
    this.system = system;
    this.general = generalRegisters(general);
  }

  asVcpu(): KvmVcpu {
    return this as unknown as KvmVcpu;
  }
  readGeneral(): GeneralRegisters {
    return this.general;
  }
  writeGeneral(general: GeneralRegisters): void {
    this.general = general;
  }
  readSystem(): SystemRegisters {
    return this.system;
  }
  writeSystem(system: SystemRegisters): void {
    if (this.refuses(system)) throw new KvmError('KVM_SET_SREGS', EINVAL);
    this.system = system;
  }
  readMpState(): number {
    return this.mpState;
  }
  refreshMirror(): void {
    this.refreshed++;
  }
}

function ramWithTables(): GuestMemory {
  const memory = allocateGuestMemory([{ base: 0, sizeBytes: 0x10000 }]);
  memory.writeU64(gpa(GDT + 0x08), 0x00cf9b000000ffffn); // 32-bit code, flat
  // data at 0x12345678, 0xff + 1 bytes, 32-bit, not accessed yet
  memory.writeU64(gpa(GDT + 0x10), 0x12409234567800ffn);
  memory.writeU64(gpa(GDT + 0x18), 0x00af9b000000ffffn); // 64-bit code
  memory.writeU64(gpa(GDT + 0x20), 0x00cf13000000ffffn); // not present
  memory.writeU64(gpa(LDT + 0x08), 0x00cff3000000ffffn); // data, DPL 3
  return memory;
}

function withTables(system: SystemRegisters): SystemRegisters {
  return {
    ...system,
    gdt: { base: BigInt(GDT), limit: 0x2f },
    ldt: segment({ selector: 0x28, base: BigInt(LDT), limit: 0x0f, type: 2, s: false }),
  };
}

test('the mode follows CR0.PE, EFER.LMA, RFLAGS.VM, CS.L and CS.D', () => {
  const VM = { rflags: 0x20002n };
  const small = segment({ db: false });
  assert.equal(cpuMode(generalRegisters(), realMode()), 'real');
  assert.equal(cpuMode(generalRegisters(), protectedMode()), 'protected32');
  assert.equal(cpuMode(generalRegisters(), protectedMode({ cs: small })), 'protected16');
  assert.equal(cpuMode(generalRegisters(VM), protectedMode({ cs: small })), 'vm86');
  assert.equal(cpuMode(generalRegisters(), longMode()), 'long64');
  assert.equal(cpuMode(generalRegisters(), longMode({ cs: segment() })), 'long32');
  assert.equal(cpuMode(generalRegisters(), longMode({ cs: small })), 'long16');
});

test('registers are shown in hexadecimal, with the privilege level and whether the vCPU runs', () => {
  const vcpu = new FakeVcpu(
    longMode({ cr3: 0x9000n, ss: segment({ dpl: 3 }), fs: segment({ base: 0x1234n }) }),
    {
      rip: 0xffff_ffff_8000_0000n,
      rax: 0n,
    },
  );
  vcpu.mpState = KVM_MP_STATE_HALTED;
  const shown = readRegisters(vcpu.asVcpu());
  assert.equal(shown.values['rip'], '0xffffffff80000000');
  assert.equal(shown.values['rax'], '0x0');
  assert.equal(shown.values['cr3'], '0x9000');
  assert.equal(shown.values['fs_base'], '0x1234');
  assert.deepEqual(
    { mode: shown.mode, cpl: shown.cpl, runnable: shown.runnable },
    { mode: 'long64', cpl: 3, runnable: false },
  );
  assert.equal(shown.segments['cs']?.limit, '0xffffffff');
  assert.equal(
    readRegisters(new FakeVcpu(realMode({ ss: segment({ dpl: 3 }) })).asVcpu()).cpl,
    0,
    'real mode has none',
  );
});

test('general and control registers are set together', () => {
  const vcpu = new FakeVcpu(longMode());
  writeRegisters(vcpu.asVcpu(), ramWithTables(), {
    rax: 0xffffffffffffffffn,
    cr2: 0x10n,
    gs_base: 0x20n,
    idt_limit: 0xfffn,
  });
  assert.equal(vcpu.general.rax, 2n ** 64n - 1n);
  assert.equal(vcpu.system.cr2, 0x10n);
  assert.equal(vcpu.system.gs.base, 0x20n);
  assert.equal(vcpu.system.idt.limit, 0xfff);
  assert.equal(vcpu.refreshed, 1, 'the mirror that readers see is brought up to date');
});

test('a selector is loaded from the GDT with base, limit and type', () => {
  const vcpu = new FakeVcpu(withTables(protectedMode()));
  writeRegisters(vcpu.asVcpu(), ramWithTables(), { ds: 0x13n, cs: 0x8n });
  const { ds, cs } = vcpu.system;
  assert.deepEqual(
    { selector: ds.selector, base: ds.base, limit: ds.limit, type: ds.type, g: ds.g, db: ds.db },
    { selector: 0x13, base: 0x1234_5678n, limit: 0xff, type: 3, g: false, db: true },
    'marked accessed, as a load does',
  );
  assert.deepEqual(
    { base: cs.base, limit: cs.limit, type: cs.type, g: cs.g },
    { base: 0n, limit: 0xffff_ffff, type: 11, g: true },
  );
});

test('a selector with TI set is loaded from the LDT', () => {
  const vcpu = new FakeVcpu(withTables(protectedMode()));
  writeRegisters(vcpu.asVcpu(), ramWithTables(), { es: 0xfn });
  assert.deepEqual({ selector: vcpu.system.es.selector, dpl: vcpu.system.es.dpl }, { selector: 0xf, dpl: 3 });
});

test('loading 64-bit code makes the segment long', () => {
  const vcpu = new FakeVcpu(withTables(protectedMode()));
  writeRegisters(vcpu.asVcpu(), ramWithTables(), { cs: 0x18n });
  assert.deepEqual({ l: vcpu.system.cs.l, db: vcpu.system.cs.db }, { l: true, db: false });
});

test('in real mode a selector is its base times 16, and the limit stays', () => {
  const vcpu = new FakeVcpu(realMode());
  writeRegisters(vcpu.asVcpu(), ramWithTables(), { cs: 0xf000n });
  assert.deepEqual(
    { base: vcpu.system.cs.base, limit: vcpu.system.cs.limit },
    { base: 0xf0000n, limit: 0xffff },
  );
});

test('a null selector makes a data segment unusable, whatever its RPL', () => {
  const vcpu = new FakeVcpu(withTables(protectedMode()));
  writeRegisters(vcpu.asVcpu(), ramWithTables(), { fs: 0x3n });
  assert.deepEqual(
    { unusable: vcpu.system.fs.unusable, selector: vcpu.system.fs.selector },
    { unusable: true, selector: 3 },
  );
});

const REFUSED: readonly (readonly [Readonly<Record<string, bigint>>, string])[] = [
  [{ rax: 0x1n, xyz: 0x1n }, 'xyz is not a register that can be set'],
  [{ rax: 0x1n, constructor: 0x1n }, 'constructor is not a register that can be set'],
  [{ rax: 0x1n, idt_limit: 0x10000n }, 'idt_limit: 0x10000 does not fit in 16 bits'],
  [{ rax: 0x1n, ds: 0x10000n }, 'ds: 0x10000 does not fit in 16 bits'],
  [{ rax: 0x1n, cs: 0x1n }, 'cs cannot hold a null selector'],
  [{ rax: 0x1n, ds: 0x30n }, "selector 0x30 is beyond the descriptor table's limit"],
  [{ rax: 0x1n, ds: 0x14n }, "selector 0x14 is beyond the descriptor table's limit"],
  [{ rax: 0x1n, ds: 0x20n }, 'the descriptor of selector 0x20 is not present'],
];

for (const [values, message] of REFUSED) {
  test(`${JSON.stringify(hexValues(values))} is refused and changes nothing: ${message}`, () => {
    const vcpu = new FakeVcpu(withTables(protectedMode()));
    const before = { general: vcpu.general, system: vcpu.system };
    assert.throws(
      () => writeRegisters(vcpu.asVcpu(), ramWithTables(), values),
      (error: Error) => {
        assert.ok(error instanceof UserError);
        assert.equal(error.message, message);
        return true;
      },
    );
    assert.deepEqual({ general: vcpu.general, system: vcpu.system }, before);
  });
}

test('a descriptor outside RAM is refused', () => {
  const vcpu = new FakeVcpu({ ...withTables(protectedMode()), gdt: { base: 0xffff_0000n, limit: 0xff } });
  assert.throws(() => writeRegisters(vcpu.asVcpu(), ramWithTables(), { ds: 0x10n }), {
    message: 'the descriptor of selector 0x10 is not in mapped memory',
  });
});

test('what KVM refuses is undone and named', () => {
  const vcpu = new FakeVcpu(longMode(), { rbx: 7n });
  const before = { general: vcpu.general, system: vcpu.system };
  vcpu.refuses = ({ cr4 }) => cr4 === 0n;
  assert.throws(
    () => writeRegisters(vcpu.asVcpu(), ramWithTables(), { rbx: 0x8n, cr4: 0x0n }),
    (error: Error) => {
      assert.ok(error instanceof UserError && error.cause instanceof KvmError);
      assert.equal(error.message, 'the processor does not accept rbx, cr4 with that value');
      return true;
    },
  );
  assert.deepEqual({ general: vcpu.general, system: vcpu.system }, before);
});

test('the report has every register and segment, and the mode first', () => {
  const report = registerReport(readRegisters(new FakeVcpu(protectedMode(), { rip: 0xabcn }).asVcpu()));
  assert.match(report, /^vCPU 0, protected32, CPL 0\n/);
  assert.match(report, /\brip=0000000000000abc\b/);
  for (const name of ['cs', 'ds', 'es', 'fs', 'gs', 'ss', 'tr', 'ldt'])
    assert.match(report, new RegExp(`^${name}=`, 'm'));
});
