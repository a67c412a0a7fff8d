/**
 * The `launch` and `attach` arguments, checked: other editors start the adapter without the extension's
 * schema. What describes the VM and how to debug it is in the rows of vmm-core/config. Every problem of a
 * configuration is named in one message.
 */
import path from 'node:path';
import { ATTACH_SETTINGS, DEBUG_SETTINGS, EDITOR_SETTINGS } from '../vmm-core/config/debugSettings.ts';
import { parseVmConfig } from '../vmm-core/config/parseVmConfig.ts';
import {
  checkKeys,
  type ConfigProblem,
  type Input,
  keysOf,
  readRows,
  resolveRows,
  type Values,
} from '../vmm-core/config/rows.ts';
import { SETTINGS } from '../vmm-core/config/settings.ts';
import type { VmConfig } from '../vmm-core/config/vmConfig.ts';
import { USER_ERROR, UserError } from './errors.ts';

/** What both requests take. */
export interface DebugSettings extends Values<typeof DEBUG_SETTINGS> {
  readonly noDebug: boolean;
  /** The client has its own way to show what the host does to the VM: the `vmm.trouble` event. */
  readonly showsTrouble: boolean;
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
const EDITOR_KEYS: readonly string[] = [
  ...keysOf(EDITOR_SETTINGS),
  'type',
  'request',
  'noDebug',
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
];
const DEBUG_KEYS = keysOf(DEBUG_SETTINGS);
const ATTACH_KEYS = keysOf(ATTACH_SETTINGS);

/** Defaults, until a configuration says otherwise. */
export const DEFAULT_SETTINGS: DebugSettings = {
  ...readRows(DEBUG_SETTINGS, {}, []),
  noDebug: false,
  showsTrouble: false,
};

/** Throws UserError naming every key that is wrong. */
export function parseLaunchArguments(input: Input): LaunchArguments {
  const parsed = parseVmConfig(withoutEditorKeys(input), DEBUG_KEYS);
  const problems: ConfigProblem[] = [...parsed.problems];
  const settings = parseDebugSettings(input, problems);
  const { config } = parsed;
  if (config === undefined || problems.length > 0) throw invalidArguments('launch', problems);
  const coreSocket = typeof input.__coreSocket === 'string' ? input.__coreSocket : undefined;
  const resolved = resolveRows(SETTINGS, config, resolver(input)); // the core may run elsewhere
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
  checkKeys(withoutEditorKeys(input), [...ATTACH_KEYS, ...DEBUG_KEYS], problems, 'attach knows');
  const settings = parseDebugSettings(input, problems);
  const attached = readRows(ATTACH_SETTINGS, input, problems);
  if (problems.length > 0) throw invalidArguments('attach', problems);
  const absolute = resolver(input);
  const { kernel } = resolveRows(ATTACH_SETTINGS, attached, absolute);
  const { name, socket, vm = socket } = attached;
  return {
    ...settings,
    vm: socket !== undefined && vm === socket ? absolute(vm) : vm === '' ? undefined : vm,
    name,
    ...(kernel === undefined ? {} : { kernel }),
  };
}

/** What a changed configuration cannot change without a new VM; for the message of `restart`. */
export function changedVmKeys(before: VmConfig, after: VmConfig): string[] {
  const keys = Object.keys({ ...before, ...after }) as (keyof VmConfig)[];
  const wanted = { ...after, name: before.name }; // a running VM may have got another than it asked for
  return keys.filter((key) => JSON.stringify(before[key]) !== JSON.stringify(wanted[key]));
}

function parseDebugSettings(input: Input, problems: ConfigProblem[]): DebugSettings {
  const values = readRows(DEBUG_SETTINGS, input, problems);
  return {
    ...resolveRows(DEBUG_SETTINGS, values, resolver(input)),
    noDebug: input.noDebug === true,
    showsTrouble: input.__showsTrouble === true,
  };
}

/** Relative paths are relative to `cwd`. */
function resolver(input: Input): (file: string) => string {
  const { cwd } = EDITOR_SETTINGS;
  const folder = cwd.value.read(input[cwd.launch.key], () => undefined) ?? process.cwd();
  return (file) => path.resolve(folder, file);
}

/** `__…`: what VS Code and our extension add. */
function withoutEditorKeys(input: Input): Input {
  return Object.fromEntries(
    Object.entries(input).filter(([key]) => !key.startsWith('__') && !EDITOR_KEYS.includes(key)),
  );
}

function invalidArguments(request: string, problems: readonly ConfigProblem[]): UserError {
  const text = problems.map(({ key, message }) => `"${key}" ${message}`).join('; ');
  return new UserError(USER_ERROR.launchArguments, `the ${request} configuration is not valid: ${text}`);
}
