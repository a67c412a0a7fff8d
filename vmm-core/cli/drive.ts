/** `vmm disk resize` and `vmm disk change`: the disks of a VM, while it runs. */
import path from 'node:path';
import { standardOutput } from '../client/output.ts';
import { connectVmm, type VmmClient } from '../client/vmmClient.ts';
import { UserError } from '../errors.ts';
import { changeDisk, resizeDisk } from '../protocol/disks.ts';
import { fail, parseArguments } from './arguments.ts';
import { sizeArgument } from './disk/sizeArgument.ts';
import { isAnswer, runningVm } from './runningVm.ts';

const USAGE = `usage: vmm disk resize NAME:N SIZE
       vmm disk change NAME:N FILE

  NAME:N           disk N, from 0, of a VM as "vmm status" lists it; the CD-ROM is the last
  SIZE             what it grows to: 20G, 1.5T
  FILE             the image that is in the drive from now on

The guest is told, and runs on.
`;

type Change = (client: VmmClient, disk: number) => Promise<void>;

export async function drive(argv: readonly string[]): Promise<number> {
  try {
    const { values, positionals } = parseArguments(
      argv,
      { help: { type: 'boolean', short: 'h' } },
      'disk',
      3,
    );
    if (values.help === true) {
      standardOutput.write(USAGE);
      return 0;
    }
    const [verb, target = '', value = ''] = positionals;
    await inDrive(target, changeOf(verb, value));
    return 0;
  } catch (error) {
    if (isAnswer(error)) return fail(error.message);
    throw error;
  }
}

/** Throws UserError. */
function changeOf(verb: string | undefined, value: string): Change {
  if (verb === 'resize') {
    const sizeBytes = sizeArgument(value);
    return (client, disk) => client.connection.sendRequest(resizeDisk, { disk, sizeBytes });
  }
  if (verb === 'change' && value !== '')
    return (client, disk) => client.connection.sendRequest(changeDisk, { disk, path: path.resolve(value) });
  throw new UserError('give resize NAME:N SIZE, or change NAME:N FILE; "vmm disk --help" tells more');
}

async function inDrive(target: string, change: Change): Promise<void> {
  const [, name, disk] = /^(.+):(\d{1,2})$/.exec(target) ?? [];
  if (disk === undefined)
    throw new UserError(`"${target}" is not a disk of a VM: write its name, a colon and a number: guest:0`);
  const { socket } = await runningVm('vmm disk', name);
  const client = await connectVmm(socket, { client: 'vmm disk' });
  try {
    await change(client, Number(disk));
  } finally {
    client.dispose();
  }
}
