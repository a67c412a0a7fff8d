/**
 * The console of a running VM: its terminal if it has one in this window, else a new one that begins with the
 * recent output.
 */
import type { RunningVm } from '../../vmm-core/client/runningVms.ts';
import { serialTitle } from '../../vmm-core/config/serialBackend.ts';
import { type SerialLineConfig, serialLines } from '../../vmm-core/config/serialLines.ts';
import { SerialConnection } from '../debug/serialConnection.ts';
import type { SerialTerminals } from './serialTerminal.ts';

/**
 * `port`: 0 is COM1. Closing the terminal leaves the VM running. Throws ConnectError, and an Error for a port
 * that goes nowhere.
 */
export async function showConsole(vm: RunningVm, port: number, terminals: SerialTerminals): Promise<void> {
  if (terminals.focus(vm.pid, port)) return;
  const line = consoleLines(vm).find((it) => it.port === port);
  if (line === undefined) {
    throw new Error(
      `VM "${vm.name}" is running, but its ${serialTitle(port)} goes nowhere: there is no console to show.`,
    );
  }
  const name = terminals.nameOf(vm.pid) ?? vm.name;
  terminals.awaitFocus(name, line.title);
  const connection = new SerialConnection({
    socket: vm.socket,
    name,
    ports: [port],
    terminals,
    describeLoss: () => Promise.resolve('the connection to the VM is lost'),
    endsWithTerminals: true,
  });
  await connection.open();
}

/**
 * The ports that have a listener: a shell and a file hear the guest as before while a terminal is attached.
 */
export function consoleLines({ config }: RunningVm): readonly SerialLineConfig[] {
  return serialLines(config).filter(({ target }) => target.kind !== 'null');
}
