/**
 * The scenario of hello.test.ts through VS Code's API instead of its screen. Runs inside an extension host:
 * in code-server by suite.test.ts, in a desktop VS Code by `npm run test:electron`. Bundled first; VS Code
 * calls run().
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import path from 'node:path';
import type { Readable } from 'node:stream';
import * as vscode from 'vscode';
import { HELLO } from '../support/hello.ts';

const STEP_TIMEOUT_MS = 45_000;
const POLL_MS = 50;

/** What we need from a DAP response. */
interface StackTrace {
  readonly stackFrames: readonly { readonly id: number; readonly name: string; readonly line: number }[];
}
interface Scopes {
  readonly scopes: readonly { readonly name: string; readonly variablesReference: number }[];
}
interface Variables {
  readonly variables: readonly {
    readonly name: string;
    readonly value: string;
    readonly variablesReference: number;
  }[];
}

/** Steps in order; each builds on the one before. */
const STEPS: Readonly<Record<string, () => Promise<void>>> = {
  'sets a breakpoint in on_key and boots': boot,
  'stops there when a key comes over the serial port': stopAtBreakpoint,
  'reads a register': readRegister,
  'continues, and the guest answers the key': answer,
  'stops, and the terminal keeps what the guest wrote': stop,
  'stops at the first instruction when asked to': stopOnEntry,
  'restarts the guest in the same session and the same terminal': restart,
  'opens a terminal for each serial port, COM1 in front': twoSerialPorts,
  'attaches to a VM that is already running, and leaves it running': attach,
};

/** VS Code's entry for extension tests. Rejects with the first failure. */
export async function run(): Promise<void> {
  for (const [title, step] of Object.entries(STEPS)) {
    try {
      await step();
      report(`ok - ${title}`);
    } catch (error) {
      report(`not ok - ${title}\n${error instanceof Error ? error.stack : String(error)}`);
      throw error;
    }
  }
}

/** The extension host's console is hard to reach from outside: the caller names a file. */
function report(line: string): void {
  console.log(line);
  const file = process.env['TRAPFRAME_SUITE_REPORT'];
  if (file !== undefined) appendFileSync(file, `${line}\n`);
}

async function boot(): Promise<void> {
  const position = new vscode.Position(HELLO.breakpointLine - 1, 0);
  const location = new vscode.Location(vscode.Uri.file(HELLO.file), position);
  vscode.debug.addBreakpoints([new vscode.SourceBreakpoint(location)]);
  await start('Hello');
  await waitForTerminalText('Hello', new RegExp(HELLO.greeting));
}

async function stopAtBreakpoint(): Promise<void> {
  const stopped = waitForStop();
  serialTerminal('Hello').sendText(HELLO.statusKey, false);
  await stopped;
  const [top] = await stackFrames();
  assert.equal(top?.name, 'on_key');
  assert.equal(top.line, HELLO.breakpointLine);
}

async function readRegister(): Promise<void> {
  const [top] = await stackFrames();
  const { scopes } = await request<Scopes>('scopes', { frameId: top?.id });
  const registers = scopes.find((it) => it.name === 'Registers');
  const groups = await request<Variables>('variables', { variablesReference: registers?.variablesReference });
  const general = groups.variables.find((it) => it.name === 'General');
  const { variables } = await request<Variables>('variables', {
    variablesReference: general?.variablesReference,
  });
  assert.match(variables.find((it) => it.name === 'rip')?.value ?? 'no rip', /^0x[0-9a-f]{16}$/);
}

async function answer(): Promise<void> {
  await request('continue', { threadId: 1 });
  await waitForTerminalText('Hello', HELLO.statusAnswer);
}

async function stop(): Promise<void> {
  await end();
  await waitForTerminalText('Hello', /── .+ ──/);
  assert.match(await terminalText('Hello'), HELLO.statusAnswer);
}

async function stopOnEntry(): Promise<void> {
  const stopped = waitForStop();
  await start('Hello, from the first instruction');
  await stopped;
  const [top] = await stackFrames();
  assert.ok(top !== undefined, 'the first instruction is a frame');
  assert.notEqual(top.name, 'on_key');
  await end();
}

async function restart(): Promise<void> {
  vscode.debug.removeBreakpoints(vscode.debug.breakpoints);
  await start('Hello');
  await waitForTerminalText('Hello', /new session[^]*Press h for help/);
  const session = vscode.debug.activeDebugSession;
  await vscode.commands.executeCommand('workbench.action.debug.restart');
  await waitForTerminalText('Hello', /new session[^]*Press h for help[^]*Press h for help/);
  assert.equal(vscode.debug.activeDebugSession?.id, session?.id);
  await end();
}

async function twoSerialPorts(): Promise<void> {
  const serial = { com1: 'terminal', com2: 'terminal' };
  await start({ type: 'vmm', request: 'launch', name: 'Two ports', kernel: HELLO.kernel, serial });
  await until('both ports have a terminal', () =>
    ['COM1', 'COM2'].every((port) => vscode.window.terminals.some((it) => it.name === `${port} · Two ports`)),
  );
  await until('COM1 is in front', () => vscode.window.activeTerminal?.name === 'COM1 · Two ports');
  await waitForTerminalText('Two ports', new RegExp(HELLO.greeting)); // brings it to the front, too
  await end();
}

async function attach(): Promise<void> {
  const vmm = path.join(process.env['TRAPFRAME_ROOT'] ?? '', 'dist/vmm.js');
  const env = { ...process.env, ELECTRON_RUN_AS_NODE: '1' };
  const name = `attach-${process.pid}`;
  const vm = spawn(process.execPath, [vmm, 'run', name, '--kernel', HELLO.kernel], { env, stdio: 'pipe' });
  try {
    await textFrom(vm.stdout, HELLO.greeting);
    const stopped = waitForStop();
    await start({ type: 'vmm', request: 'attach', name: 'Attach', vm: name, stopOnEntry: true });
    await stopped;
    assert.ok((await stackFrames()).some((it) => it.name === 'kernel_main'));
    const ended = once(vscode.debug.onDidTerminateDebugSession, 'the session ends');
    await vscode.commands.executeCommand('workbench.action.debug.disconnect'); // "stop" would end the VM
    await ended;
    vm.stdin.write(HELLO.statusKey);
    await textFrom(vm.stdout, 'page faults');
  } finally {
    vm.kill('SIGKILL');
  }
}

async function textFrom(stream: Readable, expected: string): Promise<void> {
  let text = '';
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
    text += String(chunk);
    if (text.includes(expected)) return;
  }
  throw new Error(`"${expected}" never came, but: ${text}`);
}

async function end(): Promise<void> {
  const ended = once(vscode.debug.onDidTerminateDebugSession, 'the session ends');
  await vscode.debug.stopDebugging();
  await ended;
}

// VS Code.

/** A configuration of launch.json by name, or any other. */
async function start(configuration: string | vscode.DebugConfiguration): Promise<void> {
  const [folder] = vscode.workspace.workspaceFolders ?? [];
  assert.ok(await vscode.debug.startDebugging(folder, configuration), 'startDebugging');
}

async function request<T>(command: string, args: object): Promise<T> {
  const session = vscode.debug.activeDebugSession;
  assert.ok(session !== undefined, 'a session is active');
  return (await session.customRequest(command, args)) as T;
}

async function stackFrames(): Promise<StackTrace['stackFrames']> {
  const { stackFrames } = await request<StackTrace>('stackTrace', { threadId: 1, levels: 20 });
  return stackFrames;
}

/** Resolves when VS Code selects a frame, which it does after every stop. */
async function waitForStop(): Promise<void> {
  await once(
    vscode.debug.onDidChangeActiveStackItem,
    'the guest stops',
    (it) => it instanceof vscode.DebugStackFrame,
  );
}

function serialTerminal(configurationName: string): vscode.Terminal {
  const name = `COM1 · ${configurationName}`;
  const terminal = vscode.window.terminals.find((it) => it.name === name);
  if (terminal === undefined) throw new Error(`no terminal "${name}"`);
  return terminal;
}

/** Through the clipboard: extensions cannot read terminals. */
async function terminalText(configurationName: string): Promise<string> {
  serialTerminal(configurationName).show(true);
  await vscode.commands.executeCommand('workbench.action.terminal.selectAll');
  await vscode.commands.executeCommand('workbench.action.terminal.copySelection');
  await vscode.commands.executeCommand('workbench.action.terminal.clearSelection');
  return vscode.env.clipboard.readText();
}

async function waitForTerminalText(configurationName: string, expected: RegExp): Promise<void> {
  let text = '';
  await until(
    `the terminal shows ${String(expected)}`,
    async () => {
      const isThere = vscode.window.terminals.some((it) => it.name === `COM1 · ${configurationName}`);
      text = isThere ? await terminalText(configurationName) : '';
      return expected.test(text);
    },
    () => `, but: ${text}`,
  );
}

async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  instead = (): string => '',
): Promise<void> {
  const deadline = Date.now() + STEP_TIMEOUT_MS;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`not in ${STEP_TIMEOUT_MS / 1000} s: ${what}${instead()}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

async function once<T>(
  event: vscode.Event<T>,
  what: string,
  accepts: (it: T) => boolean = () => true,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`not in ${STEP_TIMEOUT_MS / 1000} s: ${what}`)),
      STEP_TIMEOUT_MS,
    );
    const subscription = event((it) => {
      if (!accepts(it)) return;
      clearTimeout(timer);
      subscription.dispose();
      resolve(it);
    });
  });
}
