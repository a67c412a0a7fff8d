/** The VM that a command is about, by its name or because it is the only one; and what goes wrong with it. */
import { standardError } from '../client/output.ts';
import { type RunningVm, runningVms } from '../client/runningVms.ts';
import { ConnectError } from '../client/vmmClient.ts';
import { UserError } from '../errors.ts';
import { ErrorCode } from '../protocol/errors.ts';
import { isForUser } from './arguments.ts';

/** `command`: "vmm show". Throws UserError. */
export async function runningVm(command: string, name: string | undefined): Promise<RunningVm> {
  const vms = await runningVms(command, (message) => standardError.write(`vmm: ${message}\n`));
  const names = vms.map((it) => it.name).join(', ');
  if (vms.length === 0) throw new UserError('no VM is running: start one with "vmm run" or in VS Code');
  const [only] = vms;
  if (name === undefined && vms.length === 1 && only !== undefined) return only;
  if (name === undefined) throw new UserError(`several VMs are running: name one of ${names}`);
  const found = vms.find((it) => it.name === name);
  if (found === undefined) throw new UserError(`no VM "${name}" is running: there are ${names}`);
  return found;
}

/** A sentence for the user: ours, or the VM's own answer. */
export function isAnswer(error: unknown): error is Error {
  if (isForUser(error) || error instanceof ConnectError) return true;
  const codes: readonly unknown[] = Object.values(ErrorCode);
  return error instanceof Error && 'code' in error && codes.includes(error.code);
}
