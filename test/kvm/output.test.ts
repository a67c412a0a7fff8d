/**
 * What a guest prints arrives, however slow its reader; what cannot arrive is reported; and a reader that
 * stops does not stop the VM's process.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, existsSync, openSync, readFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import type { TestContext } from 'node:test';
import type { VmmClient } from '../../vmm-core/client/vmmClient.ts';
import { serialAttach, serialOutput } from '../../vmm-core/protocol/serial.ts';
import { kill } from '../../vmm-core/protocol/vm.ts';
import { guest } from '../guests/build.ts';
import { within } from '../support/deadline.ts';
import { kvmTest } from '../support/kvmTest.ts';
import { startCore, vmConfig } from '../support/liveVm.ts';
import { temporaryFolder, VMM, vmm } from '../support/vmmProcess.ts';
import { connected } from '../support/connected.ts';

const EXIT_OK = 33;
const OUTPUT_BYTES = 384 * 1024 + 4;
/** Output is slow where the host interprets kernel code, and slower on a loaded one. */
const OUTPUT_MS = 60_000;
const DISK_FULL = 'no space left on device (ENOSPC)';

type Streams = [stdout: number | 'pipe', stderr: number | 'pipe'];

interface Unread {
  readonly child: ChildProcess;
  readonly folder: string;
  readonly socket: string;
  readonly exited: Promise<unknown[]>;
}

/** `vmm run` whose standard output is not read yet. */
function startUnread(t: TestContext, kernel: string, stdio: Streams = ['pipe', 'pipe']): Unread {
  const folder = temporaryFolder(t);
  const args = [VMM, 'run', '--kernel', kernel, '--name', 'unread', '--memory', '16M', '--debug-exit'];
  const env = { ...process.env, XDG_RUNTIME_DIR: folder };
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', ...stdio] });
  t.after(() => void child.kill('SIGKILL'));
  const socket = path.join(folder, 'trapframe', 'unread.sock');
  return { child, folder, socket, exited: once(child, 'exit') };
}

/** A FIFO without room for a byte, whose reader has stopped: only we have it open. */
function fullFifo(t: TestContext): number {
  const fifo = path.join(temporaryFolder(t), 'full');
  execFileSync('mkfifo', [fifo]);
  const filler = openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK);
  const fd = openSync(fifo, 'r+');
  t.after(() => [filler, fd].forEach((it) => closeSync(it)));
  const fill = (): void => {
    for (;;) writeSync(filler, Buffer.alloc(4096));
  };
  assert.throws(fill, { code: 'EAGAIN' });
  return fd;
}

/** The guest has printed: part of that waits if it is not read. */
async function hasPrinted({ connection }: VmmClient): Promise<void> {
  const printed = new Promise<void>((resolve) => connection.onNotification(serialOutput, () => resolve()));
  const { backlog } = await connection.sendRequest(serialAttach, { port: 0 });
  if (backlog.length === 0) await within(printed, 'the first byte');
}

async function allOf(child: ChildProcess): Promise<Buffer> {
  const chunks: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk));
  await once(child, 'close');
  return Buffer.concat(chunks);
}

kvmTest('a reader that starts late gets everything, and the guest is held back until then', async (t) => {
  const { child, socket, exited } = startUnread(t, await guest('longOutput'));
  const client = await connected(socket);
  t.after(() => client.dispose());
  assert.notEqual(client.info.state, 'ended', 'more than all buffers hold');
  const output = await within(allOf(child), 'the output', OUTPUT_MS);
  assert.equal(output.length, OUTPUT_BYTES);
  assert.equal(output.subarray(-4).toString(), 'end\n');
  assert.equal((await exited)[0], EXIT_OK);
});

kvmTest('a reader that stops leaves the control socket and SIGTERM at work', async (t) => {
  const started = startUnread(t, await guest('longOutput'), [fullFifo(t), 'pipe']);
  const { child, folder, socket } = started;
  const client = await connected(socket);
  await hasPrinted(client);
  client.dispose();
  const status = await vmm(t, ['status'], { env: { XDG_RUNTIME_DIR: folder } });
  assert.match(status.stdout, /^unread +\d+ +running/m);
  let told = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (told += text));
  child.kill('SIGTERM');
  assert.deepEqual(await within(once(child, 'close'), 'the end of vmm run'), [1, null]);
  assert.match(told, /^vmm: the last \d+ bytes of the guest's output are lost: they were not read$/m);
  assert.equal(existsSync(socket), false);
});

kvmTest('SIGTERM ends it when standard error has the same stopped reader', async (t) => {
  const full = fullFifo(t);
  const { child, socket, exited } = startUnread(t, await guest('longOutput'), [full, full]);
  const client = await connected(socket);
  await hasPrinted(client);
  client.dispose();
  child.kill('SIGTERM');
  assert.deepEqual(await within(exited, 'the end of vmm run'), [1, null]);
});

kvmTest('a client that ends the VM ends its process, though the output is not read', async (t) => {
  const { socket, exited } = startUnread(t, await guest('longOutput'), [fullFifo(t), 'pipe']);
  const client = await connected(socket);
  t.after(() => client.dispose());
  await hasPrinted(client);
  await client.connection.sendRequest(kill);
  assert.deepEqual(await within(exited, 'the end of vmm run'), [1, null]);
});

kvmTest('a full standard output or serial file is reported in one line, with exit code 1', async (t) => {
  const kernel = await guest('firstByte');
  const full = openSync('/dev/full', 'w');
  t.after(() => closeSync(full));
  const args = [VMM, 'run', '--kernel', kernel, '--debug-exit'];
  const env = { ...process.env, XDG_RUNTIME_DIR: temporaryFolder(t) };
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', full, 'pipe'] });
  let told = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (told += text));
  assert.deepEqual(await within(once(child, 'close'), 'the end of vmm run'), [1, null]);
  const sentence = (target: string): string =>
    `vmm: cannot write the output of COM1 to ${target}: ${DISK_FULL}; the guest runs on without it\n`;
  assert.equal(told, sentence('standard output'));

  const { code, stderr } = await vmm(t, [...args.slice(1), '--serial', 'file:/dev/full']);
  assert.deepEqual({ code, stderr }, { code: 1, stderr: sentence('/dev/full') });
});

kvmTest('a FIFO as kernel, initrd or serial file is refused, and never waited for', async (t) => {
  const fifo = path.join(temporaryFolder(t), 'fifo');
  execFileSync('mkfifo', [fifo]);
  const kernel = await guest('firstByte');
  const { client } = await startCore(t);
  const cases: readonly (readonly [object, string])[] = [
    [{ kernel: fifo }, `the kernel ${fifo} is not a file: give the path of an image`],
    [{ kernel, initrd: fifo }, `the initrd ${fifo} is not a file: give the path of an image`],
    [
      { kernel, serial: { com1: `file:${fifo}` } },
      `cannot write the serial log ${fifo}: nobody reads this FIFO: start the program that does first`,
    ],
  ];
  for (const [input, message] of cases)
    await assert.rejects(client.create(vmConfig({ ...input })), { code: 1, message });
});

kvmTest('a FIFO with a reader gets all output, at the pace of its reader', async (t) => {
  const folder = temporaryFolder(t);
  const fifo = path.join(folder, 'fifo');
  execFileSync('mkfifo', [fifo]);
  const ours = openSync(fifo, 'r+'); // a reader from the start, so that nothing has to wait for one
  const copy = openSync(path.join(folder, 'copy'), 'w');
  const reader = spawn('cat', [fifo], { stdio: ['ignore', copy, 'ignore'] });
  t.after(() => void reader.kill('SIGKILL'));
  const finished = once(reader, 'close');
  const args = ['run', '--kernel', await guest('longOutput'), '--debug-exit', '--serial', `file:${fifo}`];
  assert.equal(
    (await vmm(t, args, { env: { XDG_RUNTIME_DIR: folder }, timeoutMs: OUTPUT_MS })).code,
    EXIT_OK,
  );
  closeSync(ours);
  closeSync(copy);
  await within(finished, 'the end of the reader');
  assert.equal(readFileSync(path.join(folder, 'copy')).length, OUTPUT_BYTES);
});
