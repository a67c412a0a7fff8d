/** The table of the bench, and the document around it. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import path from 'node:path';
import { qemu } from './machines.ts';
import { keptNote, measured } from './keptRows.ts';
import { pace } from './pace.ts';
import type { Group, Part, Result, Row } from './part.ts';
import type { Summary } from './statistics.ts';

const ROOT = path.join(import.meta.dirname, '..');

export const HEAD = `| Measurement | Trapframe | QEMU, gdb or C | Ratio | Target | |
| --- | --- | --- | --- | --- | --- |`;

export function rowOf({ title, unit, target }: Row, { ours, theirs }: Result): string {
  const ratio = theirs === undefined ? undefined : ours.median / theirs.median;
  const cells = [
    title,
    cell(ours, unit),
    theirs === undefined ? '' : cell(theirs, unit),
    ratio === undefined ? '' : `${ratio.toFixed(2)}×`,
    ...verdict(target, unit, ours.median, ratio),
  ];
  return `| ${cells.join(' | ')} |`;
}

export function unmeasuredRow({ title, unit, target }: Row, reason: string): string {
  const [wanted] = verdict(target, unit, NaN);
  return `| ${title} | not measured: ${reason} | | | ${wanted} | |`;
}

/** The target, and whether it was met. */
function verdict(target: Row['target'], unit: string, value: number, ratio = NaN): [string, string] {
  const word = (met: boolean): string => (met ? 'met' : '**missed**');
  if (target.atLeast !== undefined) return [`≥ ${target.atLeast} ${unit}`, word(value >= target.atLeast)];
  if (target.atMost !== undefined) return [`≤ ${target.atMost} ${unit}`, word(value <= target.atMost)];
  if (target.atLeastRatio !== undefined)
    return [`≥ ${target.atLeastRatio.toFixed(2)}×`, word(ratio >= target.atLeastRatio)];
  if (target.atMostRatio === undefined) return ['', ''];
  return [`≤ ${target.atMostRatio.toFixed(2)}×`, word(ratio <= target.atMostRatio)];
}

function cell({ median, min, max }: Summary, unit: string): string {
  return `${digits(median)} ${unit} (${digits(min)}–${digits(max)})`;
}

function digits(value: number): string {
  return value > 0 && value < 1 ? value.toPrecision(2) : value.toFixed(value < 100 ? 1 : 0);
}

export interface Measurements {
  readonly parts: readonly (Part | Group)[];
  readonly table: string;
  /** The load average before the first of them. */
  readonly load: number;
  readonly rounds: number;
  /** The document that this one replaces. */
  readonly before: string;
}

/** bench/RESULTS.md */
export function document({ parts, table, load, rounds, before }: Measurements): string {
  return `# Beside QEMU and gdb

Written by \`npm run bench\`. Median (least–most) of ${rounds} runs of each (of symbols and disks 5, or 3 of what takes long), alternating, after
one that does not count.

${machine(load)}${comparedWith(before, table)}

${table}
${keptNote(table)}
How:

${explanations(parts).join('\n')}

Both VMMs get 256 MiB, one vCPU, COM1 on standard output. QEMU is
\`${qemu('GUEST').command} ${qemu('GUEST').args.join(' ')}\`;
\`acpi=off\` makes it start by qboot, its quickest firmware. gdb is ${gdbVersion()}; the kernel is Debian's, of a
\`linux-image-6.1.0-*-cloud-amd64-dbg\` package.
`;
}

/** What is measured alike is explained once. */
function explanations(parts: Measurements['parts']): string[] {
  const titles = new Map<string, string[]>();
  for (const { how, title } of parts) titles.set(how, [...(titles.get(how) ?? []), `**${title}**`]);
  return Array.from(titles, ([how, of]) => `- ${of.join(', ')}: ${how}`);
}

function comparedWith(before: string, table: string): string {
  const ratio = pace(before, measured(table));
  if (ratio === undefined) return '';
  return `

QEMU and gdb took ${ratio.toFixed(2)} times as long as in the results that these replace (median of their rows): so much slower or faster
was the machine, and what has no peer here depends on that.`;
}

function gdbVersion(): string {
  const text = execFileSync('gdb', ['--version'], { encoding: 'utf8' });
  return /GNU gdb .*?(\d+(?:\.\d+)+)/.exec(text)?.[1] ?? 'of unknown version';
}

/** What the numbers depend on. */
function machine(load: number): string {
  const [kernelVersion = ''] = release().split('-', 1);
  const list = cpus();
  const qemuVersion = /version (\S+)/.exec(
    execFileSync('qemu-system-x86_64', ['--version'], { encoding: 'utf8' }),
  )?.[1];
  const modules = existsSync('/dev/kvm')
    ? ['kvm_intel', 'kvm_amd', 'kvm_pvm'].filter((it) => existsSync(`/sys/module/${it}`))
    : [];
  const { version } = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')) as {
    version: string;
  };
  return [
    `Trapframe ${version}, Node ${process.versions.node}, QEMU ${qemuVersion ?? 'unknown'}, Linux ${kernelVersion} (${modules.join(', ') || 'no KVM'}),`,
    `${list.length} CPUs (${list[0]?.model ?? 'unknown'}), load average before the first\nmeasurement ${load.toFixed(1)} (what else runs disturbs the times).`,
    ...(modules.includes('kvm_pvm') ? [PVM_NOTE] : []),
  ].join('\n');
}

const PVM_NOTE = `
This host's KVM is PVM: it has no hardware virtualization and runs kernel-mode guest code in an instruction emulator. Exits and
guest instructions cost far more here than on bare metal, for both.`;
