/** Copies of disk images beside qemu-img's, the processes' start and end included. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, rmSync, truncateSync } from 'node:fs';
import path from 'node:path';
import { inFolder, writeRawDisk } from './diskFiles.ts';
import { type CommandLine, ENVIRONMENT, VMM } from './machines.ts';
import type { Group, Result, Row } from './part.ts';
import { alternate } from './statistics.ts';

const ROUNDS = 5;
const GIB = 2 ** 30;
const HOLE_BYTES = 8 * GIB;

interface Copy {
  readonly title: string;
  readonly source: 'data.raw' | 'data.qcow2' | 'zeros.raw' | 'hole.raw';
  readonly to: 'raw' | 'qcow2';
  readonly target: Row['target'];
}

/** 0.8 times as fast. */
const TARGET = { atMostRatio: 1.25 };

const COPIES: readonly Copy[] = [
  { title: '`vmm convert`, 1 GiB of data, raw to qcow2', source: 'data.raw', to: 'qcow2', target: TARGET },
  { title: '1 GiB of data, qcow2 to raw', source: 'data.qcow2', to: 'raw', target: TARGET },
  { title: '1 GiB of zeros in a raw file, to qcow2', source: 'zeros.raw', to: 'qcow2', target: TARGET },
  { title: '8 GiB of nothing, raw to qcow2', source: 'hole.raw', to: 'qcow2', target: {} },
];

export const CONVERT_GROUP: Group = {
  name: 'convert',
  title: '`vmm convert`',
  rows: COPIES.map(({ title, target }) => ({ title, unit: 'ms', target })),
  needsKvm: false,
  how:
    'Beside `qemu-img convert`, from process start to end, with all sources in the page cache; `vmm create -i` does the same. ' +
    'Of a file that is one hole nothing but the two programs’ start is measured.',
  run: (node) => inFolder((folder) => measureCopies(node, folder)),
};

async function measureCopies(node: string, folder: string): Promise<Result[]> {
  writeRawDisk(path.join(folder, 'data.raw'), GIB);
  writeRawDisk(path.join(folder, 'zeros.raw'), GIB, 'zeros');
  closeSync(openSync(path.join(folder, 'hole.raw'), 'w'));
  truncateSync(path.join(folder, 'hole.raw'), HOLE_BYTES);
  await durationMs(qemuImg('data.raw', 'data.qcow2', 'qcow2'), folder);
  const results: Result[] = [];
  for (const { source, to } of COPIES)
    results.push(
      await alternate(ROUNDS, {
        ours: () => copyMs(vmmConvert(node, source, 'copy', to), folder),
        theirs: () => copyMs(qemuImg(source, 'copy', to), folder),
      }),
    );
  return results;
}

function vmmConvert(node: string, source: string, target: string, to: string): CommandLine {
  return { command: node, args: [VMM, 'convert', source, `${to}:${target}`] };
}

function qemuImg(source: string, target: string, to: string): CommandLine {
  const from = path.extname(source).slice(1);
  return { command: 'qemu-img', args: ['convert', '-f', from, '-O', to, source, target] };
}

async function copyMs(command: CommandLine, folder: string): Promise<number> {
  const ms = await durationMs(command, folder);
  rmSync(path.join(folder, 'copy'));
  return ms;
}

async function durationMs({ command, args }: CommandLine, folder: string): Promise<number> {
  const startedMs = performance.now();
  const child = spawn(command, args, {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: ENVIRONMENT,
  });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}`);
  return performance.now() - startedMs;
}
