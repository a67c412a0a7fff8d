/**
 * The `launch` and `attach` arguments, checked: other editors start the adapter without the extension's schema. What describes the
 * VM is vmm-core/config's; the debugger's own keys are here. Every problem of a configuration is named in one message.
 */
import path from 'node:path';
import { nearest, parseVmConfig } from '../vmm-core/config/parseConfig.ts';
import type { ConfigProblem, SerialBackend, VmConfig } from '../vmm-core/config/vmConfig.ts';
import { BREAKPOINT_MODES, type BreakpointMode } from '../vmm-core/protocol/run.ts';
import { USER_ERROR, UserError } from './errors.ts';
import type { SymbolFile } from './target/symbolSet.ts';

/** What both requests have. */
export interface DebugSettings {
  readonly stopOnEntry: boolean;
  readonly symbolFiles: readonly SymbolFile[];
  /** Folder recorded by the compiler, to the folder where the sources are now. */
  readonly sourceMap: Readonly<Record<string, string>>;
  readonly breakpointMode: BreakpointMode;
  readonly stepInterrupts: boolean;
  readonly noDebug: boolean;
}

export interface LaunchArguments extends DebugSettings {
  readonly config: VmConfig;
  /** Control socket of a warm core that the caller started. */
  readonly coreSocket?: string;
}

export interface AttachArguments extends DebugSettings {
  /** Name of a running VM, or the path of its control socket; `undefined`: the one that runs. */
  readonly vm: string | undefined;
  /** Of the configuration: the VM's too, where one has it. */
  readonly name: string | undefined;
  /** For its symbols. */
  readonly kernel?: string;
}

/** launch.json keys every debugger has, which VS Code acts on or passes through. */
const EDITOR_KEYS = [
  'type',
  'request',
  'noDebug',
  'cwd',
  'preLaunchTask',
  'postDebugTask',
  'internalConsoleOptions',
  'presentation',
  'debugServer',
  'serverReadyAction',
  'suppressMultipleSessionWarning',
  'windows',
  'linux',
  'osx',
] as const;
const DEBUG_KEYS = ['stopOnEntry', 'symbolFiles', 'sourceMap', 'breakpointMode', 'stepInterrupts'] as const;
const ATTACH_KEYS = ['name', 'vm', 'socket', 'kernel'] as const;

type Input = Readonly<Record<string, unknown>>;
type Report = (key: string, message: string) => undefined;

/** Throws UserError naming every key that is wrong. */
export function parseLaunchArguments(input: Input): LaunchArguments {
  const own = withoutEditorKeys(input);
  const parsed = parseVmConfig(own, DEBUG_KEYS);
  const problems: ConfigProblem[] = [...parsed.problems];
  const settings = parseDebugSettings(input, reporter(problems));
  const { config } = parsed;
  if (config === undefined || problems.length > 0) throw invalidArguments('launch', problems);
  const coreSocket = typeof input.__coreSocket === 'string' ? input.__coreSocket : undefined;
  const resolved = resolvePaths(config, baseFolder(input));
  return {
    ...settings,
    symbolFiles: [{ path: resolved.kernel, offset: 0n }, ...settings.symbolFiles],
    config: resolved,
    ...(coreSocket === undefined ? {} : { coreSocket }),
  };
}

/** Throws UserError naming every key that is wrong. */
export function parseAttachArguments(input: Input): AttachArguments {
  const problems: ConfigProblem[] = [];
  const report = reporter(problems);
  const known: readonly string[] = [...ATTACH_KEYS, ...DEBUG_KEYS];
  for (const key of Object.keys(withoutEditorKeys(input))) {
    if (known.includes(key)) continue;
    const near = nearest(key, known);
    report(
      key,
      near === undefined
        ? `is not a known setting; attach knows ${known.join(', ')}`
        : `is not a known setting; did you mean "${near}"?`,
    );
  }
  const settings = parseDebugSettings(input, report);
  const kernel = text(input, 'kernel', report);
  const socket = text(input, 'socket', report);
  const vm = text(input, 'vm', report) ?? socket;
  const name = text(input, 'name', report);
  if (problems.length > 0) throw invalidArguments('attach', problems);
  const folder = baseFolder(input);
  return {
    ...settings,
    vm: socket !== undefined && vm === socket ? path.resolve(folder, vm) : vm === '' ? undefined : vm,
    name,
    ...(kernel === undefined ? {} : { kernel: path.resolve(folder, kernel) }),
  };
}

/** What a changed configuration cannot change without a new VM; for the message of `restart`. */
export function changedVmKeys(before: VmConfig, after: VmConfig): string[] {
  const keys = Object.keys({ ...before, ...after }) as (keyof VmConfig)[];
  // A running VM may have been given another name than it asked for.
  return keys.filter((key) => key !== 'name' && JSON.stringify(before[key]) !== JSON.stringify(after[key]));
}

function parseDebugSettings(input: Input, report: Report): DebugSettings {
  return {
    stopOnEntry: flag(input, 'stopOnEntry', report) ?? false,
    symbolFiles: parseSymbolFiles(input, report),
    sourceMap: parseSourceMap(input, report),
    breakpointMode: parseMode(input, report),
    stepInterrupts: flag(input, 'stepInterrupts', report) ?? false,
    noDebug: input.noDebug === true,
  };
}

function parseMode(input: Input, report: Report): BreakpointMode {
  const value = input.breakpointMode ?? 'auto';
  const mode = BREAKPOINT_MODES.find((it) => it === value);
  return (
    mode ??
    report('breakpointMode', `must be one of ${BREAKPOINT_MODES.join(', ')}, not ${describe(value)}`) ??
    'auto'
  );
}

const SYMBOL_FILE_KEYS: readonly string[] = ['path', 'offset', 'addressSpace'];
const SYMBOL_FILE_FORM = '{ "path", "offset", "addressSpace" }';

function parseSymbolFiles(input: Input, report: Report): SymbolFile[] {
  const value = input.symbolFiles ?? [];
  if (!Array.isArray(value)) {
    report('symbolFiles', `must be a list of paths or of ${SYMBOL_FILE_FORM}, not ${describe(value)}`);
    return [];
  }
  const folder = baseFolder(input);
  return value.flatMap(
    (item: unknown, i) => parseSymbolFile(item, `symbolFiles[${i}]`, folder, report) ?? [],
  );
}

function parseSymbolFile(item: unknown, key: string, folder: string, report: Report): SymbolFile | undefined {
  if (typeof item === 'string' && item !== '') return { path: path.resolve(folder, item), offset: 0n };
  if (!isObject(item) || typeof item.path !== 'string' || item.path === '') {
    return report(key, `must be a path or ${SYMBOL_FILE_FORM}, not ${describe(item)}`);
  }
  const unknownKey = Object.keys(item).find((it) => !SYMBOL_FILE_KEYS.includes(it));
  if (unknownKey !== undefined) {
    return report(`${key}.${unknownKey}`, `is not a known setting; known are ${SYMBOL_FILE_KEYS.join(', ')}`);
  }
  const offset = parseOffset(item.offset ?? 0);
  if (offset === undefined) {
    return report(
      `${key}.offset`,
      `must be a number of bytes or a string such as "0x100000", not ${describe(item.offset)}`,
    );
  }
  const file = { path: path.resolve(folder, item.path), offset };
  if (item.addressSpace === undefined) return file;
  const addressSpace = parseOffset(item.addressSpace);
  if (addressSpace === undefined || addressSpace < 0n) {
    return report(
      `${key}.addressSpace`,
      `must be what CR3 holds while the file is mapped, such as "0x1f4000", not ${describe(item.addressSpace)}`,
    );
  }
  return { ...file, addressSpace };
}

function parseOffset(value: unknown): bigint | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : undefined;
  if (typeof value !== 'string') return undefined;
  const match = /^(-?)(0x[0-9a-f]{1,16}|\d{1,20})$/i.exec(value.trim());
  if (match?.[2] === undefined) return undefined;
  return match[1] === '-' ? -BigInt(match[2]) : BigInt(match[2]);
}

function parseSourceMap(input: Input, report: Report): Record<string, string> {
  const value = input.sourceMap ?? {};
  if (!isObject(value)) {
    report(
      'sourceMap',
      `must be an object such as { "/build": "\${workspaceFolder}" }, not ${describe(value)}`,
    );
    return {};
  }
  const folder = baseFolder(input);
  return Object.fromEntries(
    Object.entries(value).flatMap(([from, to]) => {
      if (typeof to === 'string') return [[from, path.resolve(folder, to)]];
      report(`sourceMap.${from}`, `must be the path of a folder, not ${describe(to)}`);
      return [];
    }),
  );
}

/** Relative paths are relative to `cwd`: the core may run elsewhere. */
function resolvePaths(config: VmConfig, folder: string): VmConfig {
  return {
    ...config,
    kernel: path.resolve(folder, config.kernel),
    ...(config.initrd === undefined ? {} : { initrd: path.resolve(folder, config.initrd) }),
    serial: config.serial.map((it): SerialBackend =>
      it.kind === 'file' ? { ...it, path: path.resolve(folder, it.path) } : it,
    ),
  };
}

function baseFolder(input: Input): string {
  return typeof input.cwd === 'string' && input.cwd !== '' ? input.cwd : process.cwd();
}

/** `__…`: what VS Code and our extension add. */
function withoutEditorKeys(input: Input): Input {
  const editorKeys: readonly string[] = EDITOR_KEYS;
  return Object.fromEntries(
    Object.entries(input).filter(([key]) => !key.startsWith('__') && !editorKeys.includes(key)),
  );
}

function text(input: Input, key: string, report: Report): string | undefined {
  const value = input[key] ?? undefined;
  if (value === undefined || typeof value === 'string') return value;
  return report(key, `must be a string, not ${describe(value)}`);
}

function flag(input: Input, key: string, report: Report): boolean | undefined {
  const value = input[key] ?? undefined;
  if (value === undefined || typeof value === 'boolean') return value;
  return report(key, `must be true or false, not ${describe(value)}`);
}

function isObject(value: unknown): value is Input {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  return isObject(value) ? 'an object' : JSON.stringify(value);
}

function reporter(problems: ConfigProblem[]): Report {
  return (key, message) => void problems.push({ key, message });
}

function invalidArguments(request: string, problems: readonly ConfigProblem[]): UserError {
  const text = problems.map(({ key, message }) => `"${key}" ${message}`).join('; ');
  return new UserError(USER_ERROR.launchArguments, `the ${request} configuration is not valid: ${text}`);
}
