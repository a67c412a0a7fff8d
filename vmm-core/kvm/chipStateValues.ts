/** The state of PICs, IOAPIC and PIT as names and values, for display. Pure: no ioctls. */
import {
  KVM_IOAPIC_NUM_PINS,
  KVM_IOAPICS,
  KVM_IRQCHIPS,
  KvmIoapicState,
  KvmPicState,
  KvmPitChannelState,
} from '../abi/kvm.ts';
import type { StateValues } from './vcpuStateValues.ts';
import type { ChipState } from './vm.ts';

const PIT_CHANNELS = 3;
/** 82093AA data sheet §3.2.4: bits 10 to 8 of a redirection entry. */
const DELIVERY_MODES = ['fixed', 'lowest priority', 'SMI', '3', 'NMI', 'INIT', '6', 'ExtINT'];
const LEVEL = 1n << 15n;
const MASKED = 1n << 16n;

/** Names as in the headers; an IOAPIC's pins in words. */
export function chipStateValues({ irqchips, pit }: ChipState): StateValues {
  const [master, slave, ioapic] = irqchips.map((it) => viewOf(it.subarray(KVM_IRQCHIPS.chip)));
  return {
    ...(master === undefined ? {} : { 'PIC, master': KvmPicState.read(master) }),
    ...(slave === undefined ? {} : { 'PIC, slave': KvmPicState.read(slave) }),
    ...(ioapic === undefined ? {} : { IOAPIC: decodeIoapic(ioapic) }),
    PIT: decodePit(viewOf(pit)),
  };
}

function decodeIoapic(view: DataView): StateValues {
  const { base_address, id, irr } = KvmIoapicState.read(view);
  const pins = Array.from({ length: KVM_IOAPIC_NUM_PINS }, (_, pin): [string, string] => [
    `pin ${pin}`,
    redirection(view.getBigUint64(KVM_IOAPICS.redirtbl + 8 * pin, true)),
  ]);
  return { base_address, id, irr, ...Object.fromEntries(pins) };
}

function redirection(entry: bigint): string {
  const mode = DELIVERY_MODES[Number((entry >> 8n) & 7n)] ?? '';
  const words = [
    `vector 0x${(entry & 0xffn).toString(16)}`,
    mode,
    `to ${entry >> 56n}`,
    entry & LEVEL ? 'level' : 'edge',
  ];
  return [...words, ...(entry & MASKED ? ['masked'] : [])].join(', ');
}

function decodePit(view: DataView): StateValues {
  const channels = Array.from({ length: PIT_CHANNELS }, (_, n): [string, StateValues] => [
    `channel ${n}`,
    KvmPitChannelState.read(view, n * KvmPitChannelState.size),
  ]);
  return Object.fromEntries(channels);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
