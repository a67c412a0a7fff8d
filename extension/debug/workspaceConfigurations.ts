/**
 * What a workspace has to boot, as configurations: the VMs of its vm.conf files, and the kernels in it. For
 * F5 without a launch.json, and for the configurations that VS Code offers on its own.
 */
import path from 'node:path';
import * as vscode from 'vscode';
import { localConfigHost } from '../../vmm-core/client/localConfigHost.ts';
import { loadConfigFile } from '../../vmm-core/vmConf/loadConfigFile.ts';
import { SETTINGS } from '../../vmm-core/config/settings.ts';
import { launchConfiguration } from '../language/launchConfiguration.ts';
import { kernelConfiguration } from './defaultConfig.ts';
import { findKernels, KERNEL_PATTERN } from './findKernels.ts';

const VM_CONF_PATTERN = '**/{vm.conf,*.vm.conf}';
const EXCLUDED = '{**/node_modules/**,**/.git/**}';
const MAX_FILES = 20;

/** Matches every file that bootable() looks at. */
export const BOOTABLE_PATTERN = `{${KERNEL_PATTERN},**/vm.conf,**/*.vm.conf}`;

/** VMs of vm.conf files first, as they say what is wanted; then kernels, newest first. */
export async function bootable(folder: vscode.WorkspaceFolder): Promise<vscode.DebugConfiguration[]> {
  const [vms, kernels] = await Promise.all([vmConfigurations(folder), kernelConfigurations(folder)]);
  return [...vms, ...kernels];
}

export async function kernelConfigurations(
  folder: vscode.WorkspaceFolder,
): Promise<vscode.DebugConfiguration[]> {
  return (await findKernels(folder)).map(kernelConfiguration);
}

/**
 * The one to boot: of several VMs the user's choice, of several kernels the newest. Undefined when there is
 * none, or none was chosen.
 */
export async function chooseBootable(
  folder: vscode.WorkspaceFolder,
): Promise<vscode.DebugConfiguration | undefined> {
  const vms = await vmConfigurations(folder);
  if (vms.length === 0) return (await kernelConfigurations(folder))[0];
  if (vms.length === 1) return vms[0];
  const items = vms.map((vm) => ({ label: vm.name, detail: String(vm[SETTINGS.kernel.launch.key]), vm }));
  return (await vscode.window.showQuickPick(items, { placeHolder: 'VM to boot' }))?.vm;
}

/** VMs that can be booted; what is wrong with the others is shown in their file. */
async function vmConfigurations(folder: vscode.WorkspaceFolder): Promise<vscode.DebugConfiguration[]> {
  const pattern = new vscode.RelativePattern(folder, VM_CONF_PATTERN);
  const files = await vscode.workspace.findFiles(pattern, EXCLUDED, MAX_FILES);
  const host = localConfigHost();
  return files.flatMap(({ fsPath }) => {
    const vms = loadConfigFile(path.resolve(fsPath), { host })?.vms ?? [];
    return vms.map(launchConfiguration).filter((it) => typeof it !== 'string');
  });
}
