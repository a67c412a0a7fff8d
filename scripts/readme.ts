/**
 * Writes the reference parts of README.md, docs/disks.md and docs/networks.md, between their markers, from
 * what the program itself says: `npm run generate`. A test checks that running it changes nothing.
 */
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { attachOnlyAttributes, launchAttributes } from '../extension/debug/launchSchema.ts';
import { SETTINGS } from '../extension/language/contributions.ts';
import type { AttributeSchema } from '../vmm-core/config/rows.ts';
import type { ValueSchema } from '../vmm-core/config/setting.ts';
import { DISK_OPTIONS } from '../vmm-core/config/settings/diskOptions.ts';
import {
  NETWORK_KINDS,
  NETWORK_OPTIONS,
  type NetworkRow,
} from '../vmm-core/config/settings/networkOptions.ts';
import { bundled, ROOT } from './bundle.ts';
import { COMMANDS } from './manifest.ts';

const README = path.join(ROOT, 'README.md');
const DISKS = path.join(ROOT, 'docs/disks.md');
const NETWORKS = path.join(ROOT, 'docs/networks.md');
const execFileAsync = promisify(execFile);

/** README.md as it should be. */
export async function withReference(readme: string): Promise<string> {
  const parts = {
    launch: attributeTable(launchAttributes),
    attach: attributeTable(attachOnlyAttributes),
    commands: commandTable(),
    settings: settingTable(),
    vmm: await usages(),
  };
  return Object.entries(parts).reduce((text, [name, content]) => replacePart(text, name, content), readme);
}

/** docs/disks.md as it should be. */
export function withDiskOptions(document: string): string {
  const rows = Object.entries(DISK_OPTIONS).map(([name, { value, text }]) => [
    `\`${name}\``,
    typeText(value.schema),
    text.replaceAll('|', '\\|'),
  ]);
  return replacePart(document, 'options', table(['Option', 'Type', ''], rows));
}

/** docs/networks.md as it should be. */
export function withNetworkOptions(document: string): string {
  const options: Readonly<Record<string, NetworkRow<unknown>>> = NETWORK_OPTIONS;
  const rows = Object.entries(options).map(([name, { key = name, of = NETWORK_KINDS, value, text }]) => [
    `\`${key}\``,
    typeText(value.schema),
    of.length === NETWORK_KINDS.length ? 'all' : of.map((it) => `\`${it}\``).join(', '),
    text.replaceAll('|', '\\|'),
  ]);
  return replacePart(document, 'options', table(['Option', 'Type', 'Kinds', ''], rows));
}

function attributeTable(attributes: Readonly<Record<string, AttributeSchema>>): string {
  const rows = Object.entries(attributes).map(([name, schema]) => [
    `\`${name}\``,
    typeText(schema),
    schema.default === undefined ? '' : `\`${JSON.stringify(schema.default)}\``,
    schema.markdownDescription.replaceAll('|', '\\|'),
  ]);
  return table(['Attribute', 'Type', 'Default', ''], rows);
}

function commandTable(): string {
  return table(
    ['Command', ''],
    COMMANDS.map(({ title, description }) => [`**Trapframe: ${title}**`, description]),
  );
}

function settingTable(): string {
  const rows = Object.entries(SETTINGS).map(([name, setting]) => [
    `\`${name}\``,
    `\`${JSON.stringify(setting.default)}\``,
    setting.markdownDescription,
  ]);
  return table(['Setting', 'Default', ''], rows);
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  return [header, header.map(() => '---'), ...rows].map(tableRow).join('\n');
}

function tableRow(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}

function typeText(schema: ValueSchema): string {
  if (schema.enum !== undefined) return schema.enum.map((it) => `\`"${it}"\``).join(', ');
  if (schema.anyOf !== undefined) return [...new Set(schema.anyOf.map(typeText))].join(' or ');
  if (schema.items !== undefined) return 'array';
  return [schema.type ?? []].flat().join(' or ');
}

/** `vmm help` and the help of every command it lists. */
async function usages(): Promise<string> {
  const help = await usage(['help']);
  const commands = [...help.matchAll(/^ {2}(\w+) /gm)].map(([, name]) => [name ?? '', '--help']);
  const texts = [help, ...(await Promise.all(commands.map(usage)))];
  return texts.map((it) => `\`\`\`\n${it.trimEnd()}\n\`\`\``).join('\n\n');
}

async function usage(args: readonly string[]): Promise<string> {
  const { stdout } = await execFileAsync(process.execPath, [bundled('vmm-core/main.ts'), ...args]);
  return stdout;
}

function replacePart(text: string, name: string, content: string): string {
  const [start, end] = [`<!-- ${name}: npm run generate -->`, `<!-- end of ${name} -->`];
  const from = text.indexOf(start);
  const to = text.indexOf(end);
  if (from < 0 || to < from) throw new Error(`there is no part between ${start} and ${end}`);
  return `${text.slice(0, from + start.length)}\n\n${content}\n\n${text.slice(to)}`;
}

async function main(): Promise<void> {
  await writeFile(README, await withReference(await readFile(README, 'utf8')));
  await writeFile(DISKS, withDiskOptions(await readFile(DISKS, 'utf8')));
  await writeFile(NETWORKS, withNetworkOptions(await readFile(NETWORKS, 'utf8')));
}

if (process.argv[1] === import.meta.filename) void main();
