/**
 * The virtio console (virtio 1.2 §5.3). A machine may have two: hvc0 to Linux, and one with the ports that
 * have names. Each port is one more serial line to the host (consolePort.ts); main serves the queues.
 */
import * as abi from '../../../abi/virtioConsole.ts';
import { VIRTIO_CONSOLE_F_MULTIPORT, VIRTIO_CONSOLE_F_SIZE } from '../../../abi/virtioConsole.ts';
import { VIRTIO_ID_CONSOLE } from '../../../abi/virtioIds.ts';
import { serialTitle, VIRTIO_CONSOLE } from '../../../config/serialBackend.ts';
import type { VmConfig } from '../../../config/vmConfig.ts';
import { featureNames } from '../featureNames.ts';
import type { VirtioClass } from '../virtioClass.ts';
import { virtioDevice } from '../virtioDevice.ts';
import { configOf, decodeConfig } from './consoleConfig.ts';
import { ConsoleService } from './consoleService.ts';
import {
  CONSOLE_STATE,
  type ConsoleInstance,
  type ConsoleState,
  QUEUE_SIZE,
  queuesOf,
} from './consoleState.ts';

/** A communication controller that is no other. */
const CLASS_CODE = 0x07_80_00;

const consoleClass: VirtioClass<ConsoleInstance, ConsoleState> = {
  id: 'virtio-console',
  deviceType: VIRTIO_ID_CONSOLE,
  classCode: CLASS_CODE,
  state: CONSOLE_STATE,
  instances: instancesOf,
  nameOf: (it) => (it.kind === 'single' ? it.title : 'virtio-console'),
  features: (it) =>
    it.kind === 'single' ? [VIRTIO_CONSOLE_F_SIZE] : [VIRTIO_CONSOLE_F_SIZE, VIRTIO_CONSOLE_F_MULTIPORT],
  featureNames: featureNames(abi, 'VIRTIO_CONSOLE_F_'),
  queueSizes: (it) => Array.from({ length: queuesOf(it) }, () => QUEUE_SIZE),
  reset: (it, { regs }) =>
    regs.config.set(
      configOf({
        cols: regs.columns,
        rows: regs.rows,
        max_nr_ports: it.kind === 'single' ? 0 : 1 + it.ports.length,
      }),
    ),
  inspect: (it, { regs }) => ({
    ...(it.kind === 'single' ? {} : { ports: it.ports.map(({ name }, i) => ({ id: i + 1, name })) }),
    ...decodeConfig(regs.config),
  }),
  serve: (it, port) => new ConsoleService(it, port),
};

export const virtioConsole = virtioDevice(consoleClass);

function instancesOf({ serial, consoles = [], virtio }: VmConfig): readonly ConsoleInstance[] {
  const transport = virtio ?? 'pci';
  const target = serial[VIRTIO_CONSOLE];
  const title = serialTitle(VIRTIO_CONSOLE);
  return [
    ...(target === undefined ? [] : [{ transport, kind: 'single', title, target } as const]),
    ...(consoles.length === 0 ? [] : [{ transport, kind: 'named', ports: consoles } as const]),
  ];
}
