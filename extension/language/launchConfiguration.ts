/** A VM of a vm.conf as a launch configuration. Pure, for tests. */
import { unsupportedSentence } from '../../vmm-core/config/unsupported.ts';
import type { SerialBackend } from '../../vmm-core/config/vmConfig.ts';
import type { VmSettings } from '../../vmm-core/config/vmSettings.ts';

export interface LaunchConfiguration {
  readonly type: 'vmm';
  readonly request: 'launch' | 'attach';
  readonly name: string;
  readonly [key: string]: unknown;
}

/** Or a sentence why not. */
export function launchConfiguration({
  config,
  debug,
  unsupported,
}: VmSettings): LaunchConfiguration | string {
  if (unsupported.length > 0) return `${unsupportedSentence(config.name, unsupported)}.`;
  if (config.kernel === '') return `VM "${config.name}" has no kernel: give it one with kernel "PATH".`;
  const [com1, com2, com3, com4] = config.serial.map(serialForm);
  return {
    type: 'vmm',
    request: 'launch',
    name: config.name,
    kernel: config.kernel,
    ...(config.initrd === undefined ? {} : { initrd: config.initrd }),
    cmdline: config.cmdline,
    protocol: config.protocol,
    memory: config.memoryBytes / 2 ** 20,
    cpus: config.cpus,
    serial: { com1, com2, com3, com4 },
    debugExit: config.debugExit,
    onReset: config.onReset,
    stopOnEntry: debug.wait,
    symbolFiles: debug.symbols,
    breakpointMode: debug.breakpoints,
  };
}

/** To a VM of this name that runs already. */
export function attachConfiguration({ config, debug }: VmSettings): LaunchConfiguration {
  return {
    type: 'vmm',
    request: 'attach',
    name: config.name,
    vm: config.name,
    ...(config.kernel === '' ? {} : { kernel: config.kernel }),
    symbolFiles: debug.symbols,
    breakpointMode: debug.breakpoints,
  };
}

/** An editor has no standard output: its terminal stands for it. */
function serialForm(backend: SerialBackend | undefined): string {
  switch (backend?.kind) {
    case 'client':
    case 'stdio':
      return 'terminal';
    case 'file':
      return `file:${backend.path}`;
    case 'null':
    case undefined:
      return 'null';
  }
}
