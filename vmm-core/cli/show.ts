/** `vmm show`: what a VM's machine consists of and the state of its devices, while the guest runs. */
import { standardOutput } from '../client/output.ts';
import type { RunningVm } from '../client/runningVms.ts';
import { connectVmm, type VmmClient } from '../client/vmmClient.ts';
import { UserError } from '../errors.ts';
import { type Decoded, inspectDevice, inspectMachine, inspectVcpu } from '../protocol/devices.ts';
import { fail, type Options, parseArguments, single, type Values } from './arguments.ts';
import { isAnswer, runningVm } from './runningVm.ts';
import { type Shown, showText } from './showText.ts';

const OPTIONS = {
  device: { type: 'string', multiple: true },
  vcpu: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} satisfies Options;

const USAGE = `usage: vmm show [NAME] [--device DEVICE]... [--vcpu N] [--json]

  NAME             of a VM, as "vmm status" lists it; not needed when one is running
  --device DEVICE  this device only
  --vcpu N         all that KVM keeps of a vCPU; the VM must be paused
  --json           one JSON object, described in docs/vmm-show.md

The guest runs on and notices nothing: what it changes meanwhile may be half old and half new.
`;

export async function show(argv: readonly string[]): Promise<number> {
  try {
    const { values, positionals } = parseArguments(argv, OPTIONS, 'show', 1);
    if (values.help === true) {
      standardOutput.write(USAGE);
      return 0;
    }
    const shown = await inspect(await runningVm('vmm show', positionals[0]), values);
    standardOutput.write(values.json === true ? `${JSON.stringify(shown)}\n` : showText(shown));
    return 0;
  } catch (error) {
    if (isAnswer(error)) return fail(error.message);
    throw error;
  }
}

async function inspect(vm: RunningVm, values: Values): Promise<Shown> {
  const client = await connectVmm(vm.socket, { client: 'vmm show' });
  try {
    const machine = await client.connection.sendRequest(inspectMachine);
    const wanted = Array.isArray(values['device']) ? values['device'].map(String) : machine.devices;
    const devices = await Promise.all(
      wanted.map((name) => client.connection.sendRequest(inspectDevice, { name })),
    );
    const vcpu = single(values, 'vcpu');
    const { name, pid } = vm;
    const shown = { name, pid, state: client.info.state, machine, devices };
    return vcpu === undefined ? shown : { ...shown, vcpu: await vcpuState(client, vcpu) };
  } finally {
    client.dispose();
  }
}

async function vcpuState(client: VmmClient, number: string): Promise<Decoded> {
  if (!/^\d{1,4}$/.test(number)) throw new UserError(`--vcpu takes the number of a vCPU, not "${number}"`);
  return (await client.connection.sendRequest(inspectVcpu, { cpu: Number(number) })).parts;
}
