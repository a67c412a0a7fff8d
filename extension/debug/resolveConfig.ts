/**
 * From what launch.json says, or leaves out, to what the debug adapter gets: defaults, what the workspace has
 * to boot when there is no configuration, a host check, and a warm core. Wrong keys and types are the debug
 * adapter's to report: VS Code shows its message with "Open launch.json".
 */
import { accessSync, constants } from 'node:fs';
import * as vscode from 'vscode';
import { ATTACH_SETTINGS } from '../../vmm-core/config/debugSettings.ts';
import { runningVms } from '../../vmm-core/client/runningVms.ts';
import type { HostCheckPanel } from '../hostCheck.ts';
import { chooseVm } from '../runningVmCommands.ts';
import type { VmProcesses } from '../vmProcess.ts';
import { kernelConfiguration, withDefaults } from './defaultConfig.ts';
import { bootable, chooseBootable, kernelConfigurations } from './workspaceConfigurations.ts';

/** What the debug adapter leaves to us (vmSession.ts). */
const OF_CLIENT = { __showsTrouble: true };

export interface ConfigServices {
  readonly processes: VmProcesses;
  readonly hostCheck: HostCheckPanel;
}

export function registerConfigurations(services: ConfigServices): vscode.Disposable {
  const resolver: vscode.DebugConfigurationProvider = {
    provideDebugConfigurations: (folder) => initialConfigurations(folder),
    resolveDebugConfiguration: async (folder, config) => {
      const given = isEmpty(config) ? await onlyBootable(folder) : config;
      const complete = given?.request === 'attach' ? await withVm(given) : given;
      return complete && withDefaults(complete, folder?.uri.fsPath);
    },
    resolveDebugConfigurationWithSubstitutedVariables: (_, config) =>
      config.request === 'launch' ? withCore(config, services) : { ...config, ...OF_CLIENT },
  };
  const dynamic: vscode.DebugConfigurationProvider = {
    provideDebugConfigurations: (folder) => (folder === undefined ? [] : bootable(folder)),
  };
  return vscode.Disposable.from(
    vscode.debug.registerDebugConfigurationProvider('vmm', resolver),
    vscode.debug.registerDebugConfigurationProvider(
      'vmm',
      dynamic,
      vscode.DebugConfigurationProviderTriggerKind.Dynamic,
    ),
  );
}

/**
 * A configuration that names no VM asks which, unless its own name is a VM's. `undefined` ends the launch.
 */
async function withVm(config: vscode.DebugConfiguration): Promise<vscode.DebugConfiguration | undefined> {
  const { vm: byName, socket } = ATTACH_SETTINGS;
  const given = [config[byName.launch.key], config[socket.launch.key]];
  const isNamed = given.some((it) => it !== undefined && it !== '');
  if (isNamed || (await runningVms('vscode')).some((it) => it.name === config.name)) return config;
  const vm = await chooseVm('VM to attach to');
  return vm && { ...config, [byName.launch.key]: vm.name };
}

/** F5 without a launch.json. */
function isEmpty(config: vscode.DebugConfiguration): boolean {
  return !config.type && !config.request && !config.name;
}

/** What the workspace has to boot; `null` makes VS Code open launch.json. */
async function onlyBootable(
  folder: vscode.WorkspaceFolder | undefined,
): Promise<vscode.DebugConfiguration | undefined | null> {
  if (folder !== undefined && (await bootable(folder)).length > 0) return chooseBootable(folder);
  const message =
    'No kernel image was found in this workspace: build it, or name it in launch.json as "kernel".';
  void vscode.window.showErrorMessage(message);
  return null;
}

/** The first contents of a new launch.json. */
async function initialConfigurations(
  folder: vscode.WorkspaceFolder | undefined,
): Promise<vscode.DebugConfiguration[]> {
  const found = folder === undefined ? [] : await kernelConfigurations(folder);
  return found.length > 0 ? found : [kernelConfiguration('kernel.elf')];
}

/** `undefined` ends the launch without another message. */
async function withCore(
  config: vscode.DebugConfiguration,
  services: ConfigServices,
): Promise<vscode.DebugConfiguration | undefined> {
  if (!canOpenKvm()) {
    void services.hostCheck.show();
    return undefined;
  }
  try {
    const { socket } = await services.processes.take();
    return { ...config, ...OF_CLIENT, __coreSocket: socket };
  } catch (error) {
    void vscode.window.showErrorMessage(error instanceof Error ? error.message : String(error));
    return undefined;
  }
}

/** The cheap question, asked at every F5. `vmm check` asks the thorough ones. */
function canOpenKvm(): boolean {
  try {
    accessSync(process.env['TRAPFRAME_KVM'] ?? '/dev/kvm', constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false; // the host check says why
  }
}
