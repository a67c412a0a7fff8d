/**
 * `npm run bench [-- PART… --write]`: speed and memory beside QEMU and gdb, alternating on the same machine
 * in the same run. Prints a table and writes it to bench/RESULTS.md: of all parts, or with --write of some.
 * Rows of other parts, and of those that this machine cannot measure, stay as they were and are marked.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import path from 'node:path';
import { ensurePackages } from '../scripts/debian.ts';
import { buildForTests } from '../scripts/testing/buildForTests.ts';
import { guest } from '../test/guests/build.ts';
import { CONVERT_GROUP } from './convert.ts';
import { DATA_PATH_PARTS } from './dataPath.ts';
import { DISK_PARTS } from './disks.ts';
import { keptRows } from './keptRows.ts';
import { LAB_BOOT_GROUP } from './labBoot.ts';
import { LAB_DISKS } from './labDisks.ts';
import { LAB_NETWORKS } from './labNetworks.ts';
import { privateNode, qemu, trapframe } from './machines.ts';
import { overheadMib } from './memory.ts';
import { readSpeed } from './memoryReads.ts';
import { NET_DATA_PATH_GROUP } from './netDataPath.ts';
import type { Group, Part, Result } from './part.ts';
import { document, HEAD, rowOf, unmeasuredRow } from './resultsDocument.ts';
import { alternate } from './statistics.ts';
import { SWITCH_PATH_GROUP } from './switchPath.ts';
import { SYMBOL_PARTS } from './symbols.ts';
import { firstByte, portWrites, runToEnd, warmFirstByte } from './timing.ts';
import { USER_TCP_PARTS } from './userTcp.ts';
import { vcpuMb, vcpuStartMs } from './vcpus.ts';
import { busyServerMb, keyPress, macroKeyPress, parseAndCheck, serverMb } from './vmConf.ts';

const ROOT = path.join(import.meta.dirname, '..');
const RESULTS = path.join(import.meta.dirname, 'RESULTS.md');
const ROUNDS = 7;
const WRITE = '--write';
const NO_KVM = 'this machine has no /dev/kvm';

const PARTS: readonly (Part | Group)[] = [
  {
    name: 'portWrites',
    title: '100 000 port writes of a guest',
    unit: 'ms',
    target: { atMostRatio: 1.05 },
    needsKvm: true,
    how:
      'The guest prints a byte, writes 100 000 times to port 0x80, which nobody answers, and prints another byte. The time ' +
      "between the two bytes, as they come out of the VMM's standard output.",
    run: async (node) => {
      const kernel = await guest('portWrites');
      return besideQemu((command) => portWrites(command), node, kernel);
    },
  },
  {
    name: 'coldStart',
    title: 'process start to first serial byte, cold',
    unit: 'ms',
    target: { atMostRatio: 2.5 },
    needsKvm: true,
    how:
      "From before the process is spawned to the guest's first byte on the VMM's standard output. File caches are warm for both, and so " +
      "is V8's code cache, which the first start after a build makes. NODE_EXTRA_CA_CERTS is not set: it makes any Node program read " +
      'certificates first.',
    run: async (node) => {
      const kernel = await guest('firstByte');
      await runToEnd(trapframe(node, kernel));
      return besideQemu((command) => firstByte(command), node, kernel);
    },
  },
  {
    name: 'warmStart',
    title: 'first serial byte from a warm core (what F5 uses)',
    unit: 'ms',
    target: { atMostRatio: 1 },
    needsKvm: true,
    how:
      "Ours: from sending `vm/create` to a waiting `vmm serve` to the guest's first byte at the client, over the control socket. " +
      'QEMU: process start to first byte, as above (it has no waiting process).',
    run: async () => {
      const kernel = await guest('firstByte');
      const { ours, theirs } = await alternate(ROUNDS, {
        ours: () => warmFirstByte(kernel),
        theirs: () => firstByte(qemu(kernel)),
      });
      return { ours, theirs };
    },
  },
  {
    name: 'memory',
    title: 'memory beside the guest’s RAM, 1 vCPU',
    unit: 'MiB',
    target: { atMostRatio: 1.3 },
    needsKvm: true,
    how:
      'PSS of the whole process from /proc/PID/smaps, three seconds after a guest that spins has printed its first byte, less the ' +
      'mapping of guest RAM. Pages of the node binary count in part, because this program runs from it too, as the extension host ' +
      'does that starts a VM on F5.',
    run: async () => {
      const kernel = await guest('spin');
      return besideQemu((command) => overheadMib(command), process.execPath, kernel);
    },
  },
  {
    name: 'memoryAlone',
    title: 'the same, where no other Node program runs',
    unit: 'MiB',
    target: {},
    needsKvm: true,
    how: 'As above, from a private copy of the node binary: all of its pages count.',
    run: async (node) => {
      const kernel = await guest('spin');
      return besideQemu((command) => overheadMib(command), node, kernel);
    },
  },
  {
    name: 'memoryOfMany',
    title: 'the same, each of four VMs',
    unit: 'MiB',
    target: {},
    needsKvm: true,
    how: 'As above with four VMs at once: each counts its share of the pages of the binary that all four map.',
    run: async (node) => {
      const kernel = await guest('spin');
      return besideQemu((command) => overheadMib(command, 4), node, kernel);
    },
  },
  {
    name: 'vcpuStart',
    title: 'start of each vCPU beyond the first',
    unit: 'ms',
    target: { atMost: 20 },
    needsKvm: true,
    how:
      'From `vm/create` on a warm core until all vCPUs have run and stopped once, with 16 vCPUs less the same with one, divided ' +
      'by 15. Their threads start side by side, but each is 30 ms of processor time: on two CPUs 15 ms is the least.',
    run: async () => {
      const kernel = await guest('spin');
      return alternate(ROUNDS, { ours: () => vcpuStartMs(kernel) });
    },
  },
  {
    name: 'vcpuMemory',
    title: 'memory of each vCPU beyond the first',
    unit: 'MB',
    target: { atMost: 7.5 },
    needsKvm: true,
    how: 'PSS of the process with 16 vCPUs less that with one, three seconds after they have started, divided by 15. 1 MB is 10⁶ bytes.',
    run: async () => {
      const kernel = await guest('spin');
      return alternate(ROUNDS, { ours: () => vcpuMb(kernel) });
    },
  },
  {
    name: 'memoryReads',
    title: '64 KiB memory reads through the control socket',
    unit: 'MB/s',
    target: { atLeast: 200 },
    needsKvm: true,
    how: 'One client, four requests in flight, 100 MiB of guest RAM by physical address, VM paused. 1 MB is 10⁶ bytes.',
    run: async () => {
      const kernel = await guest('firstByte');
      const { ours } = await alternate(ROUNDS, { ours: () => readSpeed(kernel) });
      return { ours };
    },
  },
  {
    name: 'vmConfCheck',
    title: 'read and check a vm.conf of 10 000 lines',
    unit: 'ms',
    target: { atMost: 100 },
    needsKvm: false,
    how: 'A thousand VMs, in this process; no file is looked for on disk. The first, cold one does not count.',
    run: async () => alternate(ROUNDS, { ours: parseAndCheck }),
  },
  {
    name: 'vmConfKeyPress',
    title: 'a key press in such a file, to its diagnostics',
    unit: 'ms',
    target: { atMost: 50 },
    needsKvm: false,
    how: 'From sending the change to the language server, over stdio, to its answer: the median of 21, five milliseconds of waiting for further changes included.',
    run: async (node) => alternate(ROUNDS, { ours: () => keyPress(node) }),
  },
  {
    name: 'vmConfMacroKeyPress',
    title: 'the same in a macro that all of its VMs use',
    unit: 'ms',
    target: { atMost: 50 },
    needsKvm: false,
    how: 'As above, in the value of a macro: a thousand VMs are read anew.',
    run: async (node) => alternate(ROUNDS, { ours: () => macroKeyPress(node) }),
  },
  {
    name: 'vmConfServer',
    title: 'memory of the language server, a small file open',
    unit: 'MB',
    target: { atMost: 60 },
    needsKvm: false,
    how: 'Resident set of its process, node included, after the first diagnostics. 1 MB is 10⁶ bytes.',
    run: async (node) => alternate(ROUNDS, { ours: () => serverMb(node) }),
  },
  {
    name: 'vmConfBusyServer',
    title: 'the same with 10 000 lines open and typed in',
    unit: 'MB',
    target: { atMost: 60 },
    needsKvm: false,
    how: 'As above: the most that is seen after the first diagnostics and after each of 63 key presses in the middle.',
    run: async (node) => alternate(ROUNDS, { ours: () => busyServerMb(node) }),
  },
  ...DATA_PATH_PARTS,
  NET_DATA_PATH_GROUP,
  SWITCH_PATH_GROUP,
  ...USER_TCP_PARTS,
  ...DISK_PARTS,
  CONVERT_GROUP,
  LAB_BOOT_GROUP,
  ...LAB_DISKS,
  ...LAB_NETWORKS,
  ...SYMBOL_PARTS,
];

async function besideQemu(
  measure: (command: ReturnType<typeof qemu>) => Promise<number>,
  node: string,
  kernel: string,
): Promise<Result> {
  return alternate(ROUNDS, {
    ours: () => measure(trapframe(node, kernel)),
    theirs: () => measure(qemu(kernel)),
  });
}

async function main(args: readonly string[]): Promise<number> {
  const wanted = args.filter((it) => it !== WRITE);
  const isWritten = wanted.length === 0 || wanted.length < args.length;
  const unknown = wanted.filter((it) => !PARTS.some(({ name }) => name === it));
  const parts = PARTS.filter((it) => wanted.length === 0 || wanted.includes(it.name));
  const problem =
    unknown.length > 0
      ? `no part is called ${unknown.join(', ')}: there are ${PARTS.map((it) => it.name).join(', ')}`
      : await missingFor(parts);
  if (problem !== undefined) {
    console.error(`bench: ${problem}`);
    return 1;
  }
  const [load = 0] = loadavg();
  const { node, remove } = privateNode();
  process.once('exit', remove);
  const rows: string[] = [];
  for (const part of isWritten ? PARTS : parts) {
    if (!parts.includes(part)) {
      rows.push(...unmeasured(part, 'not asked for'));
      continue;
    }
    console.log(`measuring ${part.title} …`);
    const measured =
      part.needsKvm && !existsSync('/dev/kvm') ? unmeasured(part, NO_KVM) : await measure(part, node);
    for (const it of measured) console.log(it); // a run that is ended early has told what it knew
    rows.push(...measured);
  }
  const table = [HEAD, ...rows].join('\n');
  console.log(`\n${table}`);
  if (isWritten)
    writeFileSync(RESULTS, document({ parts: PARTS, table, load, rounds: ROUNDS, before: textOf(RESULTS) }));
  return 0;
}

/** Its lines of the table. */
async function measure(part: Part | Group, node: string): Promise<readonly string[]> {
  if (!('rows' in part)) return [rowOf(part, await part.run(node))];
  const results = await part.run(node);
  if (typeof results === 'string') return part.rows.map((row) => unmeasuredRow(row, results));
  return part.rows.map((row, i) => {
    const result = results[i];
    if (result === undefined) throw new Error(`${part.name} has not measured "${row.title}"`);
    return rowOf(row, result);
  });
}

/** As they were. */
function unmeasured(part: Part | Group, reason: string): readonly string[] {
  const rows = 'rows' in part ? part.rows : [part];
  return keptRows(textOf(RESULTS), rows) ?? rows.map((row) => unmeasuredRow(row, reason));
}

function textOf(file: string): string {
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}

/** What the parts need and is missing, as a sentence. */
async function missingFor(parts: readonly (Part | Group)[]): Promise<string | undefined> {
  const usesKvm = parts.some((it) => it.needsKvm);
  const convertsImages = parts.includes(CONVERT_GROUP);
  const usesGdb = parts.some((it) => SYMBOL_PARTS.some(({ name }) => name === it.name));
  const packages = [
    ...(usesKvm ? ['qemu-system-x86', 'gcc'] : []),
    ...(convertsImages ? ['qemu-utils'] : []),
    ...(usesGdb ? ['gdb'] : []),
  ];
  return (await ensurePackages(packages)) ?? buildForTests(ROOT);
}

// So that the copy of node is removed.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(1));

process.exitCode = 1; // in case the event loop runs dry before main ends
void main(process.argv.slice(2)).then((code) => {
  process.exitCode = code;
});
