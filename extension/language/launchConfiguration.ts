/** A VM of a vm.conf as a launch configuration. Pure, for tests. */
import { SETTINGS } from '../../vmm-core/config/settings.ts';
import { unsupportedSentence } from '../../vmm-core/vmConf/unsupported.ts';
import { printRows } from '../../vmm-core/config/rows.ts';
import type { SerialBackend } from '../../vmm-core/config/serialBackend.ts';
import type { DescribedVm } from '../../vmm-core/vmConf/describedVms.ts';

export interface LaunchConfiguration {
  readonly type: 'vmm';
  readonly request: 'launch' | 'attach';
  readonly name: string;
  readonly [key: string]: unknown;
}

/** Or a sentence saying why not. */
export function launchConfiguration({
  config,
  debug,
  unsupported,
}: DescribedVm): LaunchConfiguration | string {
  if (unsupported.length > 0) return `${unsupportedSentence(config.name, unsupported)}.`;
  if (config.kernel === '') return `VM "${config.name}" has no kernel: give it one with kernel "PATH".`;
  return {
    type: 'vmm',
    request: 'launch',
    name: config.name,
    ...printRows(SETTINGS, { ...config, serial: config.serial.map(inEditor) }),
    stopOnEntry: debug.wait,
    symbolFiles: debug.symbols,
    breakpointMode: debug.breakpoints,
  };
}

/** To a running VM of this name. */
export function attachConfiguration({ config, debug }: DescribedVm): LaunchConfiguration {
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

/** An editor has no standard output: its terminal takes that place. */
function inEditor(backend: SerialBackend): SerialBackend {
  return backend.kind === 'stdio' ? { kind: 'client' } : backend;
}
