import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as pci from '../../vmm-core/abi/pci.ts';
import * as uart from '../../vmm-core/abi/uart16550.ts';
import * as x86 from '../../vmm-core/abi/x86.ts';
import {
  ask,
  type Claim,
  contradictions,
  macroClaim,
  oracleUnavailable,
  unknownToHeaders,
} from './headerOracle.ts';

/** The header's name, if it differs from ours. */
const UART_RENAMED: Readonly<Record<string, string>> = { UART_FCR_TRIGGER_SHIFT: 'UART_FCR_R_TRIG_SHIFT' };
/** Ours: masks, counts and data sheet names that <linux/serial_reg.h> has no macro for. */
const UART_OURS = new Set([
  'UART_PORTS',
  'UART_FIFO_DEPTH',
  'UART_IER_ALL',
  'UART_IIR_FIFO_ENABLED',
  'UART_RX_TRIGGER_BYTES',
  'UART_MCR_ALL',
]);

/** EFER is in kernel-internal headers only. */
const X86_NOT_EXPORTED = /^EFER_/;

/** Newer than the oldest headers we build on (Debian 12: Linux 6.1). */
const PCI_NEWER = new Set(['PCI_HEADER_TYPE_MFD']);

function x86Macro(name: string): string {
  if (name === 'RFLAGS_RESERVED1') return 'X86_EFLAGS_FIXED';
  return `X86_${name.replace('RFLAGS_', 'EFLAGS_')}`;
}

function numbers(table: object): [string, number | bigint][] {
  return Object.entries(table).filter(
    (entry): entry is [string, number | bigint] =>
      typeof entry[1] === 'number' || typeof entry[1] === 'bigint',
  );
}

async function compare(header: string, claims: readonly Claim[]): Promise<void> {
  const answers = await ask([header], claims);
  assert.deepEqual(contradictions(claims, answers), []);
  assert.deepEqual(unknownToHeaders(claims, answers), [], `names that <${header}> does not have`);
}

test('the 16550 registers and bits are those of <linux/serial_reg.h>', async (t) => {
  const unavailable = await oracleUnavailable(['linux/serial_reg.h']);
  if (unavailable !== undefined) return t.skip(unavailable);
  const claims = numbers(uart)
    .filter(([name]) => !UART_OURS.has(name))
    .map(([name, value]) => macroClaim(name, value, UART_RENAMED[name] ?? name));
  await compare('linux/serial_reg.h', claims);
});

test('the bits of CR0, CR4 and RFLAGS are those of <asm/processor-flags.h>', async (t) => {
  const unavailable = await oracleUnavailable(['asm/processor-flags.h']);
  if (unavailable !== undefined) return t.skip(unavailable);
  const claims = numbers(x86)
    .filter(([name]) => !X86_NOT_EXPORTED.test(name))
    .map(([name, value]) => macroClaim(name, value, x86Macro(name)));
  assert.ok(claims.length > 15);
  await compare('asm/processor-flags.h', claims);
});

test("the registers of PCI's configuration space and MSI-X tables are those of <linux/pci_regs.h>", async (t) => {
  const unavailable = await oracleUnavailable(['linux/pci_regs.h']);
  if (unavailable !== undefined) return t.skip(unavailable);
  const claims = numbers(pci)
    .filter(([name]) => !PCI_NEWER.has(name))
    .map(([name, value]) => macroClaim(name, value, name));
  assert.ok(claims.length > 50);
  await compare('linux/pci_regs.h', claims);
});
