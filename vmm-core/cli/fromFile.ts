/** `vmm run -f FILE NAME`: a VM from a vm.conf, as far as this VMM supports what it asks for. */
import { hasErrors } from '../vmConf/checkTree.ts';
import { formatProblem } from '../vmConf/problem.ts';
import { unsupportedSentence } from '../vmConf/unsupported.ts';
import { checkVmConfig } from '../config/parseVmConfig.ts';
import type { VmConfig } from '../config/vmConfig.ts';
import type { DescribedVm } from '../vmConf/describedVms.ts';
import { UserError } from '../errors.ts';
import { readConfig } from './load.ts';

export interface ChosenVm {
  readonly config: VmConfig;
  readonly wait: boolean;
}

/** Throws UserError. Warnings go to standard error. */
export function chooseVm(file: string, name: string | undefined): ChosenVm {
  const { problems, vms } = readConfig(file);
  if (hasErrors(problems)) {
    const errors = problems.filter((it) => it.severity === 'error').map(formatProblem);
    throw new UserError(`${file} has errors, so nothing is started:\n${errors.join('\n')}`);
  }
  const vm = pick(file, name, vms);
  if (vm.unsupported.length > 0) {
    throw new UserError(unsupportedSentence(vm.config.name, vm.unsupported));
  }
  if (vm.config.kernel === '')
    throw new UserError(`VM "${vm.config.name}" has no kernel: give it one with kernel "PATH"`);
  const { config, problems: inside } = checkVmConfig({ ...vm.config });
  const [first] = inside;
  if (first !== undefined) throw new UserError(`VM "${vm.config.name}": ${first.key} ${first.message}`);
  return { config: onTerminal(config ?? vm.config), wait: vm.debug.wait };
}

function pick(file: string, name: string | undefined, vms: readonly DescribedVm[]): DescribedVm {
  const names = vms.map((it) => it.config.name).join(', ');
  if (vms.length === 0) throw new UserError(`${file} describes no VM`);
  const [only] = vms;
  if (name === undefined && vms.length === 1 && only !== undefined) return only;
  if (name === undefined) throw new UserError(`${file} describes several VMs: name one of ${names}`);
  const found = vms.find((it) => it.config.name === name);
  if (found === undefined) throw new UserError(`${file} has no VM "${name}": there are ${names}`);
  return found;
}

/** In the foreground, this terminal is attached to com1. */
function onTerminal(config: VmConfig): VmConfig {
  const serial = config.serial.map((it, i) =>
    i === 0 && it.kind === 'client' ? ({ kind: 'stdio' } as const) : it,
  );
  return { ...config, serial };
}
