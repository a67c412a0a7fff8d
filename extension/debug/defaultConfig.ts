/** The parts of resolveConfig.ts that need no VS Code. */

import { SETTINGS } from '../../vmm-core/config/settings.ts';

/** As vscode.DebugConfiguration. */
export interface Configuration {
  type: string;
  name: string;
  request: string;
  [key: string]: unknown;
}

/**
 * A configuration for a kernel, by its path in the workspace. Only what is required: the rest has defaults.
 */
export function kernelConfiguration(relativePath: string): Configuration {
  const file = relativePath.split('/').at(-1) ?? relativePath;
  return {
    type: 'vmm',
    request: 'launch',
    name: `Boot ${file}`,
    kernel: `\${workspaceFolder}/${relativePath}`,
  };
}

/** Fills in what is not set. Nothing set is changed. */
export function withDefaults(config: Configuration, folder: string | undefined): Configuration {
  return {
    ...(folder === undefined ? {} : { cwd: folder }),
    // The user wants to see the serial terminal; the debug console would open on top of it.
    ...(hasTerminal(config) ? { internalConsoleOptions: 'neverOpen' } : {}),
    ...config,
  };
}

/** Whether any UART is a terminal: COM1 is, unless the configuration says otherwise. */
function hasTerminal(config: Configuration): boolean {
  const serial = (config[SETTINGS.serial.launch.key] ?? {}) as Readonly<Record<string, unknown>>;
  return (serial['com1'] ?? 'terminal') === 'terminal' || Object.values(serial).includes('terminal');
}
