/**
 * Networks of a stock Linux guest beside QEMU's, in the lab (test/lab/networks.bench.ts, which prints its
 * measurements as diagnostics).
 */
import path from 'node:path';
import { rowsOf } from './labRows.ts';
import type { Group, Result, Row } from './part.ts';
import { summarize, type Summary } from './statistics.ts';

const FILE = path.join(import.meta.dirname, '../test/lab/networks.bench.ts');
const ENVIRONMENT = { BENCH_ROUNDS: '5', BENCH_SECONDS: '2' };

/** What a line of the table compares. */
interface Comparison {
  readonly network: string;
  readonly peer: string;
  readonly beside: string;
  readonly figure: Figure;
  readonly target: Row['target'];
}
type Figure = 'up' | 'down' | 'turnMicros' | 'connectionMicros';

const FIGURES: Readonly<Record<Figure, { readonly title: string; readonly unit: string }>> = {
  up: { title: 'TCP from the guest', unit: 'Gb/s' },
  down: { title: 'TCP to the guest', unit: 'Gb/s' },
  turnMicros: { title: 'a question and its answer by TCP', unit: 'µs' },
  connectionMicros: { title: 'a TCP connection with one question', unit: 'µs' },
};

const COMPARISONS: readonly Comparison[] = [
  ...speeds('user', 'qemu-user', 'QEMU’s -netdev user', { atLeastRatio: 1.5 }),
  ...speeds('user', 'qemu-passt', 'QEMU with passt', { atLeastRatio: 0.8 }),
  ...speeds('tap', 'qemu', 'QEMU’s tap', { atLeastRatio: 0.9 }),
  ...speeds('switch', 'qemu', 'QEMU’s stream netdev', { atLeastRatio: 1 }),
];

function speeds(network: string, peer: string, beside: string, target: Row['target']): Comparison[] {
  const common = { network, peer, beside };
  const connections = peer === 'qemu-passt' ? { atMostRatio: 1 } : {};
  return [
    { ...common, figure: 'up', target },
    { ...common, figure: 'down', target },
    { ...common, figure: 'turnMicros', target: { atMostRatio: 1.2 } },
    ...(network === 'user' ? [{ ...common, figure: 'connectionMicros', target: connections } as const] : []),
  ];
}

/** A group for each network, each in an L1 of its own: the emulator loses some that are busy for long. */
export const LAB_NETWORKS: readonly Group[] = ['user', 'tap', 'switch'].map((network) => {
  const comparisons = COMPARISONS.filter((it) => it.network === network);
  return {
    name: `lab-${network}`,
    title: `the network ${network} of Linux in the lab`,
    rows: comparisons.map(({ beside, figure, target }) => ({
      title: `Linux in the lab, ${network}: ${FIGURES[figure].title}, beside ${beside}`,
      unit: FIGURES[figure].unit,
      target,
    })),
    needsKvm: false,
    how:
      'In the lab as above: iperf3 and a small client (test/lab/inside/netLoad.c) in a stock Debian kernel, against L1 itself or, over ' +
      'a switch, against another guest. Guests of all sides run beside each other and take turns, and the order changes with each ' +
      'round. Ours has its interface on PCI, QEMU’s microvm on MMIO. All is emulated there, at a hundredth of the speed of hardware.',
    run: async () => {
      const rows = await rowsOf<NetworkRow>({
        file: FILE,
        environment: ENVIRONMENT,
        testNamePattern: `^${network}$`,
      });
      return typeof rows === 'string' ? rows : comparisons.map((it) => resultOf(rows, it));
    },
  };
});

/** What a diagnostic says behind `row `: one of the figures. */
type NetworkRow = { readonly network: string; readonly side: string } & Readonly<
  Partial<Record<Figure, number>>
>;

function resultOf(rows: readonly NetworkRow[], { network, peer, figure }: Comparison): Result {
  const summary = (side: string): Summary =>
    summarize(rows.flatMap((it) => (it.network === network && it.side === side ? (it[figure] ?? []) : [])));
  return { ours: summary('ours'), theirs: summary(peer) };
}
