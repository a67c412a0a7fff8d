/** vm.conf at 10 000 lines: reading and checking it, and the language server with such a file open. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { LanguageClient } from '../test/support/languageServer.ts';
import { checkConfig } from '../vmm-core/config/checkConfig.ts';
import { parseConfigFile } from '../vmm-core/config/parse.ts';
import { SourceFile } from '../vmm-core/config/sourceFile.ts';

const SERVER = path.join(import.meta.dirname, '../dist/language-server.js');
const FILE = '/nonexistent/vm.conf';
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

/** Milliseconds to read the whole text and check it; a host that has every file. */
export async function parseAndCheck(): Promise<number> {
  const host = { resolve: (name: string) => name, readText: () => undefined, exists: () => true };
  const startedMs = performance.now();
  const problems = checkConfig(parseConfigFile(new SourceFile(FILE, LARGE_FILE), { host }), host);
  const took = performance.now() - startedMs;
  if (problems.length > 0) throw new Error(`${problems.length} problems in a text that has none`);
  return took;
}

/** One server with the file open: milliseconds from a key press to its diagnostics. */
async function withServer<T>(node: string, use: (client: LanguageClient) => Promise<T>): Promise<T> {
  const client = await LanguageClient.start([node, SERVER, '--stdio'], '/nonexistent');
  try {
    await client.open(FILE, LARGE_FILE);
    await client.diagnostics(FILE);
    return await use(client);
  } finally {
    await client.stop();
  }
}

const KEY_PRESSES = 21;

/** The median of key presses in the middle of the file. */
export async function keyPress(node: string): Promise<number> {
  return withServer(node, async (client) => {
    const line = 2 + LINES_PER_VM * (VMS / 2) + 2;
    const times: number[] = [];
    for (let i = 0; i < KEY_PRESSES; i++) {
      const startedMs = performance.now();
      await client.edit(FILE, `${line}:7`, `${line}:7`, 'x');
      await client.diagnostics(FILE);
      times.push(performance.now() - startedMs);
    }
    return times.sort((a, b) => a - b)[KEY_PRESSES >> 1] ?? NaN;
  });
}

/** Resident set of the server after its first diagnostics, MiB. */
export async function serverMib(node: string, text: string): Promise<number> {
  const client = await LanguageClient.start([node, SERVER, '--stdio'], '/nonexistent');
  try {
    await client.open(FILE, text);
    await client.diagnostics(FILE);
    const status = readFileSync(`/proc/${client.process.pid}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? NaN) / 1024;
  } finally {
    await client.stop();
  }
}
