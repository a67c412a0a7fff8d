/** `vmm stop`: the guest is asked to shut down by its power button, or its VM is ended. */
import { standardOutput } from '../client/output.ts';
import { pressPowerButton } from '../client/powerButton.ts';
import { connectVmm, type VmmClient } from '../client/vmmClient.ts';
import { UserError } from '../errors.ts';
import { ended, kill } from '../protocol/vm.ts';
import { fail, type Options, parseArguments } from './arguments.ts';
import { isAnswer, runningVm } from './runningVm.ts';

const OPTIONS = {
  force: { type: 'boolean', short: 'f' },
  wait: { type: 'boolean', short: 'w' },
  help: { type: 'boolean', short: 'h' },
} satisfies Options;

const USAGE = `usage: vmm stop [-f] [-w] [NAME]

  NAME             of a VM, as "vmm status" lists it; not needed when one is running
  -f, --force      end the VM at once: the guest is not asked
  -w, --wait       until the VM is over, and say how it ended

The guest is asked by its ACPI power button, or by guest control, and shuts down in its own time. One that has
no driver for either is not stopped, which is an error.
`;

export async function stop(argv: readonly string[]): Promise<number> {
  try {
    const { values, positionals } = parseArguments(argv, OPTIONS, 'stop', 1);
    if (values.help === true) {
      standardOutput.write(USAGE);
      return 0;
    }
    const vm = await runningVm('vmm stop', positionals[0]);
    const client = await connectVmm(vm.socket, { client: 'vmm stop' });
    let how = 'the VM is gone';
    client.connection.onNotification(ended, ({ message }) => (how = message));
    try {
      if (values.force === true) await client.connection.sendRequest(kill);
      else await askGuest(client, vm.name);
      if (values.wait === true) await client.closed;
    } finally {
      client.dispose();
    }
    if (values.wait === true) standardOutput.write(`${vm.name}: ${how}\n`);
    return 0;
  } catch (error) {
    if (isAnswer(error)) return fail(error.message);
    throw error;
  }
}

/** Throws UserError. */
async function askGuest(client: VmmClient, name: string): Promise<void> {
  const problem = await pressPowerButton(client);
  if (problem !== undefined)
    throw new UserError(`VM "${name}": ${problem}; "vmm stop -f ${name}" ends it at once`);
}
