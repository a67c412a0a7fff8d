/**
 * From what devices say of themselves to bus 0 as a PC's firmware leaves it: each function has its slot, its
 * BARs addresses, its pin a line. Main thread, part of the machine's plan (planner.ts).
 */
import { PCI_STD_NUM_BARS } from '../../abi/pci.ts';
import { StateBlock } from '../../bus/stateBlock.ts';
import { UserError } from '../../errors.ts';
import { PAGE_BYTES } from '../../memory/layout.ts';
import { functionState } from './functionState.ts';
import { layoutMsixBar } from './msixBar.ts';
import { gsiOfSlot } from './pciInterrupts.ts';
import { type PciBar, type PciResources, type PciSlot, slotName } from './pciResources.ts';
import { PCI_IO_WINDOW, PCI_MEMORY_WINDOW, type PciWindow } from './pciWindows.ts';

const SLOTS = 32;

/** Plain data. */
export interface PlannedFunction {
  readonly slot: PciSlot;
  /** Its device number has other functions. */
  readonly isMultifunction: boolean;
  /** With that of MSI-X. */
  readonly bars: readonly PlannedBar[];
  /** The interrupt that its pin is wired to. */
  readonly gsi?: number;
  /** Where its registers are in the shared memory. */
  readonly stateOffset: number;
}

export interface PlannedBar extends PciBar {
  /** After a reset. */
  readonly base: number;
}

export interface FunctionRequest {
  readonly name: string;
  readonly pci: PciResources;
}

/** In the order of `requests`. `take` reserves shared memory. */
export function planFunctions(
  requests: readonly FunctionRequest[],
  take: (sizeBytes: number) => number,
): PlannedFunction[] {
  const slots = assignSlots(requests);
  const barsOf = assignBars(requests.map(barsWanted));
  return requests.map(({ pci }, i) => {
    const slot = slots[i] ?? { device: 0, function: 0 };
    return {
      slot,
      isMultifunction: slots.some((it) => it.device === slot.device && it.function !== slot.function),
      bars: barsOf[i] ?? [],
      ...(pci.hasInterruptPin === true ? { gsi: gsiOfSlot(slot.device) } : {}),
      stateOffset: take(StateBlock.sizeOf(functionState(pci.msixVectors))),
    };
  });
}

/** Those that insist first; of them two may not want the same. */
function assignSlots(requests: readonly FunctionRequest[]): PciSlot[] {
  const owners = new Map<string, string>();
  const fixed = requests.flatMap(({ name, pci: { slot } }) =>
    slot === undefined ? [] : [{ name, ...slot }],
  );
  for (const { name, ...slot } of fixed) {
    const key = slotName(slot);
    const owner = owners.get(key);
    if (owner !== undefined) throw new Error(`PCI slot ${key} is wanted by ${owner} and ${name}`);
    owners.set(key, name);
  }
  const taken = new Set(fixed.map(({ device }) => device));
  return requests.map(({ name, pci }) => pci.slot ?? { device: takeFree(taken, name), function: 0 });
}

function takeFree(taken: Set<number>, name: string): number {
  for (let device = 0; device < SLOTS; device++) {
    if (taken.has(device)) continue;
    taken.add(device);
    return device;
  }
  throw new UserError(`${name}: the PCI bus has room for ${SLOTS} devices, and all are taken: leave one out`);
}

/** By index: where two of a function's BARs overlap, the lower answers. */
function barsWanted({ name, pci }: FunctionRequest): readonly PciBar[] {
  const bars = [...(pci.bars ?? []), ...msixBar(pci)].sort((one, other) => one.index - other.index);
  const registers = bars.flatMap(({ index, kind }) => (kind === 'memory64' ? [index, index + 1] : [index]));
  const isSound =
    new Set(registers).size === registers.length && Math.max(0, ...registers) < PCI_STD_NUM_BARS;
  if (!isSound) throw new Error(`${name}: two BARs want one register, or one that is not there`);
  return bars;
}

function msixBar({ msixVectors, msixBar: index }: PciResources): PciBar[] {
  if (msixVectors === undefined || index === undefined) return [];
  return [{ index, kind: 'memory', sizeBytes: layoutMsixBar(msixVectors).sizeBytes }];
}

/** Each at a multiple of its size, the large ones first, so that little is wasted. */
function assignBars(wanted: readonly (readonly PciBar[])[]): PlannedBar[][] {
  const free = { io: PCI_IO_WINDOW.base, memory: PCI_MEMORY_WINDOW.base };
  const largestFirst = wanted
    .flatMap((bars) => [...bars])
    .sort((one, other) => other.sizeBytes - one.sizeBytes);
  const bases = new Map<PciBar, number>();
  for (const bar of largestFirst) {
    const isIo = bar.kind === 'io';
    const window = isIo ? PCI_IO_WINDOW : PCI_MEMORY_WINDOW;
    const base = place(bar, isIo ? free.io : free.memory, window);
    if (isIo) free.io = base + bar.sizeBytes;
    else free.memory = base + bar.sizeBytes;
    bases.set(bar, base);
  }
  return wanted.map((bars) => bars.map((bar) => ({ ...bar, base: bases.get(bar) ?? 0 })));
}

/** Memory by whole pages: a guest gives each BAR a mapping of its own. */
function place({ kind, sizeBytes }: PciBar, free: number, window: PciWindow): number {
  const alignment = kind === 'io' ? sizeBytes : Math.max(sizeBytes, PAGE_BYTES);
  const base = Math.ceil(free / alignment) * alignment;
  if (base + sizeBytes > window.end) throw new RangeError(`no room for a BAR of ${sizeBytes} bytes`);
  return base;
}
