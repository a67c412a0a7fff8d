/** vm.conf at 10 000 lines: reading and checking it, and the language server with such a file open. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { LanguageClient } from '../test/support/languageServer.ts';
import { checkTree } from '../vmm-core/vmConf/checkTree.ts';
import { parseConfigFile } from '../vmm-core/vmConf/parseConfigFile.ts';
import { SourceFile } from '../vmm-core/vmConf/sourceFile.ts';

const SERVER = path.join(import.meta.dirname, '../dist/language-server.js');
const FILE = '/nonexistent/vm.conf';
/** If it is set, every Node program first reads those certificates. */
const ENVIRONMENT = { ...process.env, NODE_EXTRA_CA_CERTS: undefined };
const LINES_PER_VM = 10;
const VMS = 1000;

/** 10 000 lines without a problem. */
export const LARGE_FILE = [
  'mem = "1G"',
  'switch "uplink" { interface bridge0 }',
  ...Array.from({ length: VMS }, (_, i) => vm(i)),
].join('\n');

export const SMALL_FILE = 'vm "guest" { kernel "/srv/kernel.elf" }\n';

function vm(i: number): string {
  const lladdr = `02:00:00:00:${(i >> 8).toString(16)}:${(i & 0xff).toString(16)}`;
  const lines = [
    `vm "guest-${i}" {`,
    '\tmemory $mem\t# each alike',
    `\tdisk "/srv/vm/guest-${i}.qcow2" format qcow2`,
    '\tinterface {',
    `\t\tswitch "uplink"`,
    `\t\tlocked lladdr ${lladdr}`,
    '\t}',
    '\tallow instance { disk, memory, owner :users }',
    '}',
    '',
  ];
  if (lines.length !== LINES_PER_VM) throw new Error('the text does not have the lines it says');
  return lines.join('\n');
}

/** Milliseconds to read the whole text and check it, on a host that has every file. */
export async function parseAndCheck(): Promise<number> {
  const host = { resolve: (name: string) => name, readText: () => undefined, kindOf: () => 'a file' };
  const startedMs = performance.now();
  const problems = checkTree(parseConfigFile(new SourceFile(FILE, LARGE_FILE), { host }), host);
  const took = performance.now() - startedMs;
  // What this VMM lacks is a remark, and changes with it.
  if (problems.some((it) => it.code !== 'not-supported'))
    throw new Error(`${problems.length} problems in a text that has none`);
  return took;
}

/** One server with a file open and its first diagnostics seen. */
async function withServer<T>(
  node: string,
  text: string,
  use: (client: LanguageClient) => Promise<T>,
): Promise<T> {
  const client = await LanguageClient.start([node, SERVER, '--stdio'], '/nonexistent', ENVIRONMENT);
  try {
    await client.open(FILE, text);
    await client.diagnostics(FILE);
    return await use(client);
  } finally {
    await client.stop();
  }
}

const KEY_PRESSES = 21;
/** Inside the line `memory $mem` of the VM in the middle. */
const MIDDLE = `${2 + LINES_PER_VM * (VMS / 2) + 2}:7`;
/** The digit of `mem = "1G"`, which every VM uses. */
const MACRO = ['0:7', '0:8'] as const;

/** The median of key presses in the middle of the large file. */
export async function keyPress(node: string): Promise<number> {
  return withServer(node, LARGE_FILE, (client) => median(client, MIDDLE, MIDDLE, ['x']));
}

/** The same in the macro that every VM of it uses. */
export async function macroKeyPress(node: string): Promise<number> {
  return withServer(node, LARGE_FILE, (client) => median(client, ...MACRO, ['2', '1']));
}

async function median(
  client: LanguageClient,
  from: string,
  to: string,
  texts: readonly string[],
): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < KEY_PRESSES; i++) {
    const startedMs = performance.now();
    await client.edit(FILE, from, to, texts[i % texts.length] ?? '');
    await client.diagnostics(FILE);
    times.push(performance.now() - startedMs);
  }
  return times.sort((a, b) => a - b)[KEY_PRESSES >> 1] ?? NaN;
}

/** Resident set of the server with a small file open, in MB of 10⁶ bytes. */
export async function serverMb(node: string): Promise<number> {
  return withServer(node, SMALL_FILE, (client) => Promise.resolve(residentMb(client)));
}

/** The highest seen while 10 000 lines are opened and typed in. */
export async function busyServerMb(node: string): Promise<number> {
  return withServer(node, LARGE_FILE, async (client) => {
    let most = residentMb(client);
    for (let i = 0; i < 3 * KEY_PRESSES; i++) {
      await client.edit(FILE, MIDDLE, MIDDLE, 'x');
      await client.diagnostics(FILE);
      most = Math.max(most, residentMb(client));
    }
    return most;
  });
}

function residentMb({ process: { pid } }: LanguageClient): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return (Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? NaN) * 1024) / 1e6;
}
