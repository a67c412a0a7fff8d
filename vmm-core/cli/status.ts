/** `vmm status [--json]`: the VMs that answer; sockets of dead ones are removed. */
import { standardError, standardOutput } from '../client/output.ts';
import { runningVms, type RunningVm } from '../client/runningVms.ts';
import { formatSize } from '../config/size.ts';
import { fail, isForUser, parseArguments } from './arguments.ts';
import { textTable } from '../client/textTable.ts';

/** One line of `--json`: an array of these. */
interface Row {
  readonly name: string;
  readonly pid: number;
  readonly state: string;
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly socket: string;
}

export async function status(argv: readonly string[]): Promise<number> {
  try {
    const { values } = parseArguments(
      argv,
      { json: { type: 'boolean' }, help: { type: 'boolean' } },
      'status',
    );
    if (values.help === true) {
      standardOutput.write(
        'usage: vmm status [--json]\n\nLists running VMs and removes the sockets of dead ones.\n',
      );
      return 0;
    }
    const rows = (await runningVms('vmm status', tell)).map(row);
    standardOutput.write(values.json === true ? `${JSON.stringify(rows)}\n` : table(rows));
    return 0;
  } catch (error) {
    if (isForUser(error)) return fail(error.message);
    throw error;
  }
}

function tell(message: string): void {
  standardError.write(`vmm: ${message}\n`);
}

function row({ name, socket, pid, state, config }: RunningVm): Row {
  return { name, pid, state, cpus: config.cpus, memoryBytes: config.memoryBytes, socket };
}

function table(rows: readonly Row[]): string {
  const header = ['NAME', 'PID', 'STATE', 'CPUS', 'MEMORY'];
  const cells = rows.map((it) => [
    it.name,
    String(it.pid),
    it.state,
    String(it.cpus),
    formatSize(it.memoryBytes),
  ]);
  return textTable(header, cells)
    .map((it) => `${it}\n`)
    .join('');
}
