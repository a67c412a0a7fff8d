/**
 * `vmm run`: a VM in the foreground, COM1 on the terminal, leave with `~.`; exits with the guest's code. The
 * process is the VM's vmm-core: its control socket opens once the guest runs, so that it does not delay the
 * first instruction.
 */
import { fstatSync } from 'node:fs';
import { BootError } from '../boot/bootError.ts';
import { standardOutput } from '../client/output.ts';
import { parseVmConfig } from '../config/parseVmConfig.ts';
import { serialLines } from '../config/serialLines.ts';
import { SETTINGS } from '../config/settings.ts';
import type { VmConfig } from '../config/vmConfig.ts';
import { KvmError, KvmUnavailableError, UserError } from '../errors.ts';
import { log } from '../log.ts';
import { loadDevices } from '../machine/loadDevices.ts';
import { warmUp } from '../machine/warmParts.ts';
import { isFatal, STOP } from '../protocol/stopCause.ts';
import type { VmEnd } from '../protocol/vm.ts';
import type { Core } from '../control/core.ts';
import { Vm } from '../vm.ts';
import { fail, isForUser, type Options, parseArguments, single, type Values } from './arguments.ts';
import type { ChosenVm } from './fromFile.ts';
import { flagNamed, REQUIRED_FLAGS, SETTING_OPTIONS, SETTING_USAGE, settingInput } from './settingFlags.ts';
import { attachTerminal, type TerminalUse } from './terminal.ts';

const OPTIONS = {
  file: { type: 'string', short: 'f' },
  ...SETTING_OPTIONS,
  wait: { type: 'boolean' },
  'log-json': { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} satisfies Options;

const LEAVING = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const STDOUT = 1;
const STDERR = 2;
/** How long to wait for the output once the user wants to leave. */
const LAST_OUTPUT_MS = 1000;
/** Replaces the exit code of a guest that ended by itself. */
const EXIT_OUTPUT_LOST = 1;
const ENDED_WELL: readonly VmEnd['kind'][] = [STOP.powerOff, STOP.debugExit, STOP.reset];

const FLAG_COLUMNS = 19;
const FLAGS: typeof SETTING_USAGE = [
  ['-f FILE', 'a vm.conf that describes the VM; NAME when it has several'],
  ...SETTING_USAGE,
  ['--wait', 'start stopped: a debugger attaches and lets it run'],
  ['--log-json', 'log on stderr, a JSON object per line'],
];

const USAGE = `usage: vmm run [NAME] ${REQUIRED_FLAGS} [OPTIONS]
       vmm run -f FILE [NAME] [--wait] [--log-json]

${FLAGS.map(([flag, text]) => `  ${flag.padEnd(FLAG_COLUMNS)}${text}\n`).join('')}
On the terminal, ~. at the start of a line ends the VM.
Exit code: 0 power-off, (value << 1) | 1 isa-debug-exit, 1 usage or host error or output that could not be
written, 3 triple fault. A reader of the output that is slow holds the guest back; nothing is lost.
`;

export async function run(argv: readonly string[]): Promise<number> {
  try {
    const { values, positionals } = parseArguments(argv, OPTIONS, 'run', 1);
    if (values.help === true) {
      standardOutput.write(USAGE);
      return 0;
    }
    log.setLevel(values['log-json'] === true ? 'info' : 'error');
    const { config, wait } = await choose(values, positionals);
    log.setThread(`vm/${config.name}`);
    return await runVm(config, wait);
  } catch (error) {
    if (isExpected(error)) return fail(error.message);
    throw error;
  }
}

function isExpected(error: unknown): error is Error {
  return isForUser(error) || [BootError, KvmError, KvmUnavailableError].some((kind) => error instanceof kind);
}

/** Throws UserError. */
async function choose(values: Values, positionals: readonly string[]): Promise<ChosenVm> {
  const file = single(values, 'file');
  if (file === undefined) return { config: configure(values, positionals), wait: values.wait === true };
  const surplus = Object.keys(values).find((it) => !['file', 'wait', 'log-json'].includes(it));
  if (surplus !== undefined) throw new UserError(`--${surplus} cannot be given with -f: write it in ${file}`);
  const { chooseVm } = await import('./fromFile.ts'); // the only user of the parser
  const chosen = chooseVm(file, positionals[0]);
  return { config: chosen.config, wait: chosen.wait || values.wait === true };
}

/** Throws UserError with the first problem. */
function configure(values: Values, positionals: readonly string[]): VmConfig {
  const input = settingInput(values);
  const { key } = SETTINGS.name.launch;
  const { config, problems } = parseVmConfig({ ...input, [key]: input[key] ?? positionals[0] });
  if (config !== undefined) return config;
  const [first] = problems;
  throw new UserError(`${flagNamed(first?.key ?? '')} ${first?.message ?? ''}`);
}

async function runVm(config: VmConfig, wait: boolean): Promise<number> {
  await loadDevices(config);
  let core: Core | undefined = undefined; // until the control socket is open
  let end: (end: VmEnd) => void = () => undefined;
  const showTrouble = (message: string): void => {
    fail(message);
    core?.tellTrouble(message);
  };
  const over = new Promise<VmEnd>((resolve) => (end = resolve));
  const vm = new Vm(config, warmUp({ thread: false }), {
    onStopped: (event, hits) => core?.onStopped(event, hits),
    onResumed: () => core?.onResumed(),
    onReset: (message) => core?.onReset(message),
    onEnded: (reason) => {
      core?.onEnded(reason);
      end(reason);
    },
    onOutputLost: showTrouble,
    onTrouble: showTrouble,
    debuggerPresent: () => core?.debuggerPresent() ?? false,
  });
  const onStdio = serialLines(config).find(({ target }) => target.kind === 'stdio');
  const { left, leave } = leaving(vm);
  const terminal = onStdio === undefined ? undefined : attachTerminal(useOf(vm, onStdio.port, leave));
  for (const signal of LEAVING) process.on(signal, leave);
  if (!wait) vm.resume();
  const server = await openControl(vm).catch((error: unknown) => {
    // The guest runs all the same.
    const reason = error instanceof Error ? error.message : String(error);
    fail(`no client can attach to this VM, it has no control socket: ${reason}`);
    return undefined;
  });
  core = server?.core;
  const result = await over;
  if (result.kind === 'killed') leave(); // by a client: it does not wait either
  terminal?.restore();
  await Promise.all([lastOutput(vm, left), vm.disksClosed(), server?.close()]);
  // standard error may have a reader that has stopped too
  for (const signal of LEAVING) process.off(signal, leave);
  report(result);
  return vm.isOutputLost && ENDED_WELL.includes(result.kind) ? EXIT_OUTPUT_LOST : result.exitCode;
}

function useOf(vm: Vm, port: number, onLeave: () => void): TerminalUse {
  return {
    onKeys: (bytes) => vm.typed(port, bytes),
    onResize: (columns, rows) => vm.resized(port, columns, rows),
    onLeave,
  };
}

/** `leave` ends the VM, and bounds how long its last output is waited for. */
function leaving(vm: Vm): { readonly left: Promise<void>; readonly leave: () => void } {
  let tell: () => void = () => undefined;
  const left = new Promise<void>((resolve) => (tell = resolve));
  const leave = (): void => {
    tell();
    void vm.kill('the VM was stopped');
  };
  return { left, leave };
}

/**
 * A slow reader gets the end too: the lines that say how the VM ended. A user who wants to leave does not
 * wait for a reader that has stopped.
 */
async function lastOutput(vm: Vm, left: Promise<void>): Promise<void> {
  const { promise: impatient, cancel } = after(left, LAST_OUTPUT_MS);
  await Promise.race([vm.outputTaken(), impatient]);
  cancel();
  const lost = vm.serial.reduce((sum, port) => sum + port.pendingBytes, 0);
  if (lost > 0 && !isSameFile(STDOUT, STDERR))
    fail(`the last ${lost} bytes of the guest's output are lost: they were not read`);
}

/** Then text on one waits behind unread output on the other; on a terminal the whole process waits. */
function isSameFile(a: number, b: number): boolean {
  try {
    const [first, second] = [fstatSync(a), fstatSync(b)];
    return first.dev === second.dev && first.ino === second.ino;
  } catch {
    return false; // one is closed
  }
}

function after(event: Promise<void>, ms: number) {
  let timer: NodeJS.Timeout | undefined;
  const promise = event.then(() => new Promise<void>((resolve) => (timer = setTimeout(resolve, ms))));
  return { promise, cancel: () => clearTimeout(timer) };
}

async function openControl(vm: Vm) {
  const { Core } = await import('../control/core.ts');
  const { ControlServer } = await import('../control/jsonRpc/server.ts');
  const core = new Core();
  const server = new ControlServer(core);
  await core.adopt(vm);
  return { core, close: () => server.close() };
}

/** What a user must know about the end; a power-off explains itself. */
function report(end: VmEnd): void {
  if (isFatal(end.kind)) {
    process.stderr.write(`vmm: ${end.message}\n${end.details ?? ''}\n`);
  } else if (end.kind === STOP.reset) {
    process.stderr.write(`vmm: ${end.message}\n`);
  }
}
