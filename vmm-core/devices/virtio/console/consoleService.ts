/** The queues of a virtio console, with one port or several. Main thread. */
import { VIRTIO_CONSOLE_F_MULTIPORT } from '../../../abi/virtioConsole.ts';
import type { SerialLine } from '../../../backends/backend.ts';
import type { VirtioPort, VirtioService } from '../virtioClass.ts';
import { setSize } from './consoleConfig.ts';
import { ConsolePort, type ConsolePortOptions } from './consolePort.ts';
import {
  CONTROL_RECEIVEQ,
  CONTROL_TRANSMITQ,
  type ConsoleInstance,
  type ConsoleState,
  portIdOf,
  transmitqOf,
} from './consoleState.ts';
import { PortControl } from './portControl.ts';

export class ConsoleService implements VirtioService {
  readonly #virtio: VirtioPort<ConsoleState>;
  /** By id. */
  readonly #ports: readonly ConsolePort[];
  /** With named ports. */
  readonly #control: PortControl | undefined;

  /** Throws UserError when a target cannot be opened. */
  constructor(instance: ConsoleInstance, virtio: VirtioPort<ConsoleState>) {
    this.#virtio = virtio;
    const { ports, control } =
      instance.kind === 'single' ? singlePort(instance, virtio) : namedPorts(instance, virtio);
    this.#ports = ports;
    this.#control = control;
  }

  get serial(): readonly SerialLine[] {
    return this.#control === undefined ? this.#ports : this.#ports.slice(1);
  }

  onKick(queue: number): boolean {
    if (queue === CONTROL_RECEIVEQ) return this.#control?.tell() ?? false;
    if (queue === CONTROL_TRANSMITQ) return this.#control?.listen() ?? false;
    const port = this.#ports[portIdOf(queue)];
    return ((queue & 1) === 0 ? port?.receive() : port?.transmit()) ?? false;
  }

  reset(): void {
    for (const port of this.#ports) port.forgetChain();
    this.#control?.reset();
  }

  /** Of other ports too a chain may be half sent: it goes on. */
  resetQueue(queue: number): void {
    if (queue === CONTROL_RECEIVEQ || queue === CONTROL_TRANSMITQ) return;
    const id = portIdOf(queue);
    if (queue === transmitqOf(id)) this.#ports[id]?.forgetChain();
  }

  flush(): void {
    if (this.#virtio.hasFeature(VIRTIO_CONSOLE_F_MULTIPORT)) this.#control?.listen();
    for (const port of this.#ports) port.flush();
  }

  close(): void {
    for (const { port } of this.#ports) port.close();
  }
}

interface Parts {
  readonly ports: readonly ConsolePort[];
  readonly control?: PortControl;
}

function singlePort(
  { title, target }: Extract<ConsoleInstance, { kind: 'single' }>,
  virtio: VirtioPort<ConsoleState>,
): Parts {
  const onResize = (columns: number, rows: number): void =>
    virtio.changeConfig((config) => {
      Object.assign(virtio.state.regs, { columns, rows });
      setSize(config, columns, rows);
    });
  const port = new ConsolePort({ virtio, id: 0, title, target, onResize });
  port.isOpen = true;
  return { ports: [port] };
}

/** Port 0 is for drivers without MULTIPORT, and goes nowhere. */
function namedPorts(
  { ports: named }: Extract<ConsoleInstance, { kind: 'named' }>,
  virtio: VirtioPort<ConsoleState>,
): Parts {
  const open = (options: Pick<ConsolePortOptions, 'id' | 'title' | 'target'>): ConsolePort =>
    new ConsolePort({
      ...options,
      virtio,
      onResize: (columns, rows) => control.resize(options.id, columns, rows),
    });
  const ports = [open({ id: 0, title: virtio.name, target: { kind: 'null' } })];
  try {
    named.forEach(({ name, target }, i) => ports.push(open({ id: i + 1, title: name, target })));
  } catch (error) {
    for (const { port } of ports) port.close();
    throw error;
  }
  const control = new PortControl(
    virtio,
    named.map(({ name, isConsole }, i) => ({
      id: i + 1,
      name,
      isConsole: isConsole === true,
      onOpen: (isOpen) => {
        const port = ports[i + 1];
        if (isOpen) port?.open();
        else if (port !== undefined) port.isOpen = false;
      },
    })),
  );
  return { ports, control };
}
