/** What `vmm show` prints for people: a screen for each device, names and values in two columns. */
import { decodedRows, row, type Row, rowLines } from '../client/decodedText.ts';
import { formatSize } from '../config/size.ts';
import { hex } from '../protocol/hex.ts';
import type {
  BitsReport,
  BufferReport,
  ChainReport,
  Decoded,
  DeviceReport,
  MachineReport,
  PciReport,
  QueueReport,
  RegisterValue,
  RingsReport,
  VirtioReport,
  WindowReport,
} from '../protocol/devices.ts';

/** All that is shown, and what --json prints. Stable: scripts read it. */
export interface Shown {
  readonly name: string;
  readonly pid: number;
  readonly state: string;
  readonly machine: MachineReport;
  readonly devices: readonly DeviceReport[];
  /** With --vcpu. */
  readonly vcpu?: Decoded;
}

const SHOWN_BYTES = 32;

export function showText({ name, pid, state, machine, devices, vcpu }: Shown): string {
  const head = { name, value: `process ${pid}, ${state}`, rows: machineRows(machine) };
  const saved = vcpu === undefined ? [] : [{ name: 'vCPU', rows: decodedRows(vcpu) }];
  return [head, ...devices.map(deviceRow), ...saved].map((it) => `${rowLines([it]).join('\n')}\n`).join('\n');
}

function machineRows({ vcpus, memory, interrupts, chips }: MachineReport): Row[] {
  const threads = vcpus.map(({ cpu, threadId }) => `${cpu}: ${threadId === 0 ? 'starting' : threadId}`);
  return [
    row('vCPU threads', threads.join('  ')),
    row('RAM', memory.map((it) => `${range(it)} (${formatSize(it.sizeBytes)})`).join('  ')),
    {
      name: 'interrupts',
      rows: interrupts.map(({ gsi, trigger, users, asserting }) =>
        row(String(gsi), `${trigger}  ${users.join(', ')}${assertedBy(asserting)}`),
      ),
    },
    ...decodedRows(chips),
  ];
}

function assertedBy(asserting: readonly string[] | undefined): string {
  if (asserting === undefined) return '';
  return asserting.length === 0 ? '  (down)' : `  (asserted by ${asserting.join(', ')})`;
}

function deviceRow({
  name,
  type,
  ports,
  mmio,
  irqs,
  registers,
  decoded,
  link,
  pci,
  virtio,
}: DeviceReport): Row {
  const resources = [
    ...rowOf('ports', ports.map(range)),
    ...rowOf('MMIO', mmio.map(range)),
    ...rowOf('interrupts', irqs.map(String)),
  ];
  // A virtio device's are decoded, all of them.
  const raw = virtio === undefined ? Object.entries(registers) : [];
  return {
    name: name === type ? name : `${name} (${type})`,
    rows: [
      ...resources,
      ...group('state', decodedRows(decoded ?? {})),
      ...group('link', decodedRows(link ?? {})),
      ...group(
        'registers',
        raw.map(([register, value]) => row(register, registerText(value))),
      ),
      ...(pci === undefined ? [] : pciRows(pci)),
      ...(virtio === undefined ? [] : virtioRows(virtio)),
    ],
  };
}

function pciRows(pci: PciReport): Row[] {
  const { pin, msix } = pci;
  return [
    row('PCI', `${pci.address}  ${pci.vendorId}:${pci.deviceId}  class ${pci.classCode}`),
    row('command', bitsText(pci.command)),
    row('status', bitsText(pci.status)),
    ...pci.bars.map((it) =>
      row(`BAR ${it.index}`, `${it.kind}  ${range(it)}${it.isDecoded ? '' : '  (not decoded)'}`),
    ),
    ...(pin === undefined
      ? []
      : [
          row(
            'pin',
            `interrupt ${pin.gsi}, ${levelText(pin.isAsserted)}, the line ${levelText(pin.isLineAsserted)}`,
          ),
        ]),
    ...(msix === undefined ? [] : [msixRow(msix)]),
  ];
}

function levelText(isUp: boolean): string {
  return isUp ? 'up' : 'down';
}

function msixRow({ isEnabled, isFunctionMasked, vectors }: NonNullable<PciReport['msix']>): Row {
  const state = isEnabled ? 'enabled' : 'disabled';
  return {
    name: 'MSI-X',
    value: isFunctionMasked ? `${state}, all masked` : state,
    rows: vectors.map(({ vector, address, data, isMasked, isPending }) =>
      row(String(vector), `${address} = ${data}${isMasked ? '  masked' : ''}${isPending ? '  pending' : ''}`),
    ),
  };
}

function virtioRows(virtio: VirtioReport): Row[] {
  return [
    row('virtio type', `${virtio.deviceType}${virtio.isLegacy ? ', legacy interface' : ''}`),
    row('status', bitsText(virtio.status)),
    ...(virtio.brokenRule === undefined ? [] : [row('broken by the driver', virtio.brokenRule)]),
    row('features', bitsText(virtio.features)),
    ...rowOf('not taken', virtio.notTaken),
    row('configuration', virtio.config),
    ...virtio.queues.map(queueRow),
  ];
}

function queueRow(queue: QueueReport): Row {
  const name = `queue ${queue.index}`;
  if (!queue.isEnabled) return row(name, `not enabled (at most ${queue.maxSize})`);
  const { rings } = queue;
  const vector = queue.vector === undefined ? 'none' : String(queue.vector);
  return {
    name,
    value: `${queue.size} of at most ${queue.maxSize}, vector ${vector}`,
    rows: [
      row('descriptors', queue.descriptorTable),
      row('available ring', queue.availableRing),
      row('used ring', queue.usedRing),
      row('counted', `${queue.kicks} kicks, ${queue.interrupts} interrupts`),
      ...(typeof rings === 'string' ? [row('problem', rings)] : rings === undefined ? [] : ringsRows(rings)),
    ],
  };
}

function ringsRows(rings: RingsReport): Row[] {
  const { availEvent, usedEvent, noKickSince } = rings;
  const events = (event: number | undefined): string => (event === undefined ? '' : `, event ${event}`);
  return [
    row('driver', `avail.idx ${rings.availIdx}, flags ${rings.availFlags}${events(usedEvent)}`),
    row('device', `used.idx ${rings.usedIdx}, flags ${rings.usedFlags}${events(availEvent)}`),
    row('chains', `${rings.available} available from ${rings.nextAvail} on, ${rings.inFlight} in flight`),
    ...(noKickSince === undefined ? [] : [row('no kick since', String(noKickSince))]),
    ...rings.chains.map(chainRow),
  ];
}

function chainRow({ head, buffers, problem }: ChainReport): Row {
  const end = problem === undefined ? [] : [`(${problem})`];
  return row(`chain ${head}`, [...buffers.map(bufferText), ...end].join('  '));
}

function bufferText({ address, lengthBytes, isWritable, isIndirect }: BufferReport): string {
  return `${isWritable ? 'write' : 'read'} ${lengthBytes} at ${address}${isIndirect ? ' (indirect)' : ''}`;
}

function registerText(value: RegisterValue): string {
  if (typeof value === 'number') return hex(value);
  if (typeof value === 'string') return value;
  if ('capacityBytes' in value) return `ring of ${value.capacityBytes}, ${value.unreadBytes} unread`;
  if (!('bytes' in value)) return value.map(String).join(' ');
  const shown = value.bytes.slice(0, 2 * SHOWN_BYTES);
  return `${value.lengthBytes} bytes: ${shown}${value.lengthBytes > SHOWN_BYTES ? '…' : ''}`;
}

function bitsText({ value, set }: BitsReport): string {
  return set.length === 0 ? value : `${value}  ${set.join(' ')}`;
}

function range({ base, sizeBytes }: WindowReport): string {
  if (sizeBytes <= 1) return base;
  return `${base}-${hex(BigInt(base) + BigInt(sizeBytes) - 1n)}`;
}

function rowOf(name: string, values: readonly string[]): Row[] {
  return values.length === 0 ? [] : [row(name, values.join('  '))];
}

function group(name: string, rows: readonly Row[]): Row[] {
  return rows.length === 0 ? [] : [{ name, rows }];
}
