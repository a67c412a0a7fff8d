/** The PCI bus as a stock Debian kernel finds it, with ACPI and without. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import { PAYLOADS } from './inside/labProtocol.ts';
import { VMM, VmmRun } from './inside/vmmRun.ts';

/** Of silence; an idle machine needs a tenth of it for the whole boot. */
const BOOT_MS = 120_000;
const skip = existsSync(VMM) ? false : 'dist/vmm.js is not there: run "npm run build"';

interface Found {
  /** What the kernel said, up to its user space. */
  readonly said: string;
  /** Of each function in /sys/bus/pci: its place, vendor, device and class. */
  readonly functions: readonly string[];
}

async function boot(t: TestContext, cmdline: string): Promise<Found> {
  const guest = ['--kernel', PAYLOADS.vmlinux, '--initrd', PAYLOADS.initrd, '--memory', '256M'];
  const run = new VmmRun([...guest, '--cmdline', `console=ttyS0 ${cmdline}`]);
  t.after(() => run.kill());
  const [said] = await run.expect(/[^]*TRAPFRAME-INIT-READY/, BOOT_MS);
  for (const line of said.split('\n')) if (/pci|ECAM|MMCONFIG|ACPI: \\_SB/i.test(line)) t.diagnostic(line);
  run.type('pci\n');
  const [listing] = await run.expect(/[^]*reboot: (Power down|System halted)/, BOOT_MS);
  const functions = [...listing.matchAll(/pci: (\S+ \S+ \S+ \S+)/g)].map(([, it = '']) => it);
  return { said, functions };
}

const BRIDGES = [
  '0000:00:00.0 0x8086 0x1237 0x060000',
  '0000:00:01.0 0x8086 0x7000 0x060100',
  '0000:00:01.3 0x8086 0x7113 0x068000',
];
const COMPLAINTS = /pci.*(can't|conflict|invalid|failed|error|no compatible|unable)|PCI: Fatal|BIOS bug/i;

describe("a stock Debian kernel's PCI", { skip }, () => {
  it('finds the bridges by ACPI, and configuration space in memory', async (t) => {
    const { said, functions } = await boot(t, '');
    assert.deepEqual(functions.slice(0, 3), BRIDGES);
    assert.match(said, /PCI: Using configuration type 1 for base access/);
    assert.match(said, /(MMCONFIG|ECAM).*0xe0000000-0xe00fffff/);
    assert.match(said, /pci_bus 0000:00: root bus resource \[io {2}0x1000-0xffff/);
    assert.match(said, /pci_bus 0000:00: root bus resource \[mem 0xc0000000-0xcfffffff/);
    assert.doesNotMatch(said, COMPLAINTS);
  });

  it('finds them without ACPI, by the MP table and mechanism 1', async (t) => {
    const { said, functions } = await boot(t, 'acpi=off');
    assert.deepEqual(functions.slice(0, 3), BRIDGES);
    assert.match(said, /PCI: Probing PCI hardware/);
    assert.doesNotMatch(said, COMPLAINTS);
  });
});
