import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as bootParams from '../../vmm-core/abi/bootParams.ts';
import {
  ask,
  type Claim,
  contradictions,
  isStruct,
  macroClaim,
  oracleUnavailable,
  structClaims,
  unknownToHeaders,
} from './headerOracle.ts';

const HEADERS = ['asm/bootparam.h'];

/** Our one table covers both structs; these fields are in the setup_header nested in boot_params. */
const SETUP_HEADER = [
  'setup_sects',
  'syssize',
  'boot_flag',
  'jump',
  'header',
  'version',
  'type_of_loader',
  'loadflags',
  'code32_start',
  'ramdisk_image',
  'ramdisk_size',
  'cmd_line_ptr',
  'initrd_addr_max',
  'kernel_alignment',
  'relocatable_kernel',
  'xloadflags',
  'cmdline_size',
  'pref_address',
  'init_size',
];
const NESTED = Object.fromEntries(SETUP_HEADER.map((name) => [name, `hdr.${name}`]));

/** Offsets and counts that the header expresses by its layout. */
const BY_LAYOUT: Readonly<Record<string, string>> = {
  SETUP_HEADER_OFFSET: 'offsetof(struct boot_params, hdr)',
  SETUP_HEADER_END_MAX: 'offsetof(struct boot_params, edd_mbr_sig_buffer)',
  BOOT_PARAMS_E820_TABLE: 'offsetof(struct boot_params, e820_table)',
};

/** In the text of Documentation/arch/x86/boot.rst only. */
const IN_PROSE = new Set([
  'SETUP_HEADER_MAGIC',
  'SETUP_HEADER_BEFORE',
  'SETUP_SECTS_DEFAULT',
  'BOOT_FLAG',
  'SECTOR_BYTES',
  'LOADER_TYPE_UNDEFINED',
]);

function claimsOf(name: string, value: unknown): Claim[] {
  if (isStruct(value)) return structClaims(value, value.name === 'boot_params' ? NESTED : {});
  if (typeof value !== 'number') throw new Error(`abi/bootParams.ts exports ${name}: teach this test`);
  const expression = BY_LAYOUT[name];
  return [expression === undefined ? macroClaim(name, value) : { name, value: BigInt(value), expression }];
}

test('the Linux zero page and setup header are laid out as <asm/bootparam.h> says', async (t) => {
  const unavailable = await oracleUnavailable(HEADERS);
  if (unavailable !== undefined) return t.skip(unavailable);
  const exported = Object.entries(bootParams).filter(([name]) => !IN_PROSE.has(name));
  const claims = exported.flatMap(([name, value]) => claimsOf(name, value));
  const answers = await ask(HEADERS, claims);
  assert.deepEqual(contradictions(claims, answers), []);
  assert.deepEqual(unknownToHeaders(claims, answers), []);
  t.diagnostic(`${claims.length} compared`);
});
