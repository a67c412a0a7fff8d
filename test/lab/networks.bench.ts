/**
 * Networks of a stock Linux guest under our VMM and under QEMU, in L1: bench/ runs this and reads its
 * diagnostics. The guests of a comparison run beside each other and take turns, since what else this machine
 * does in a minute changes a result by more than a VMM does.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, rmSync } from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import { cpuSeconds } from '../../bench/cpuTime.ts';
import { bootWithDisks, DiskGuest } from './inside/diskGuest.ts';
import type { GuestRun } from './inside/guestRun.ts';
import { DISK } from './inside/labProtocol.ts';
import { passtOutside, serveEcho, serveIperf3 } from './inside/l1Network.ts';
import { l1 } from './inside/l1Storage.ts';
import { configure, HOST, loadMicroseconds, prepare, startEcho, startIperf3 } from './inside/netGuest.ts';
import { qemuNetwork, runQemu } from './inside/qemuRun.ts';

const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? '3');
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? '2');
const IPERF3 = 5201;
const ECHO = 7;
const TURNS = 200;
/** Before what counts: V8 compiles what serves a turn in the first thousand. */
const WARM_TURNS = 1000;
const CONNECTIONS = 100;
const CMDLINE = 'console=ttyS0 quiet lab.modules=virtio_net';
const MEMORY = '256M';
const ROOT = { file: DISK.root, format: 'raw', options: 'snapshot=on,cache=writeback,aio=threads' };
const PASST_SOCKET = '/tmp/passt.bench';
const STREAM_SOCKET = '/tmp/stream.bench';
const SWITCH = 'bench';

interface Side {
  readonly name: string;
  readonly pid: number;
  readonly guest: DiskGuest;
  /** Of iperf3 and echo, as the guest sees it. */
  readonly server: string;
  readonly echoPort: number;
}

interface Iperf3Report {
  readonly end: { readonly sum_received: { readonly bits_per_second: number } };
}

function ours(network: string): GuestRun {
  const more = ['--net', network];
  return bootWithDisks([`${DISK.root},format=raw,snapshot`], {
    more,
    memory: MEMORY,
    cmdline: 'lab.modules=virtio_net',
  }).run;
}

function qemus(netdev: string): GuestRun {
  return runQemu([ROOT], CMDLINE, qemuNetwork(netdev));
}

/** Booted, with a root that it may write. */
async function started(t: TestContext, run: GuestRun): Promise<DiskGuest> {
  const guest = new DiskGuest(run);
  t.after(() => guest.kill());
  await guest.ready();
  await prepare(guest);
  return guest;
}

async function gigabits(side: Side, options: string): Promise<number> {
  const text = await side.guest.sh(`iperf3 -c ${side.server} -p ${IPERF3} -t ${SECONDS} -O 1 -J ${options}`);
  return (JSON.parse(text) as Iperf3Report).end.sum_received.bits_per_second / 1e9;
}

/** Of one of the guest's own clients, for each of `count`. */
async function microseconds(side: Side, load: string, count: number): Promise<number> {
  const us = await loadMicroseconds(side.guest, `${load} ${side.server} ${side.echoPort}`, count);
  return us / count;
}

/** All of them, in turn, the order changing. */
async function compare(t: TestContext, network: string, sides: readonly Side[]): Promise<void> {
  const tell = (row: object): void => t.diagnostic(`row ${JSON.stringify({ network, ...row })}`);
  for (const side of sides) await microseconds(side, 'turns', WARM_TURNS);
  for (let round = 0; round < ROUNDS; round++) {
    const order = round % 2 === 0 ? sides : sides.toReversed();
    for (const side of order) {
      const before = cpuSeconds(side.pid);
      const up = await gigabits(side, '');
      const cpuPerGigabit = (cpuSeconds(side.pid) - before) / (up * SECONDS);
      tell({ side: side.name, up, cpuPerGigabit });
    }
    for (const side of order) tell({ side: side.name, down: await gigabits(side, '-R') });
    for (const side of order) tell({ side: side.name, turnMicros: await microseconds(side, 'turns', TURNS) });
    for (const side of order)
      tell({ side: side.name, connectionMicros: await microseconds(side, 'short', CONNECTIONS) });
  }
  for (const { guest } of sides) await guest.powerOff();
}

describe('networks beside QEMU', () => {
  it('user', async (t) => {
    await serveIperf3(t, IPERF3);
    const echoPort = await serveEcho(t);
    const runs: [string, GuestRun][] = [
      ['ours', ours('user')],
      ['qemu-user', qemus('user')],
      ['qemu-passt', qemus(await passt(t))],
    ];
    const sides: Side[] = [];
    for (const [name, run] of runs) {
      const guest = await started(t, run);
      await configure(guest);
      const router = /^router=(\S+)$/m.exec(await guest.sh('cat /tmp/lease.eth0'))?.[1] ?? HOST;
      sides.push({ name, guest, pid: run.pid ?? 0, server: router, echoPort });
    }
    await compare(t, 'user', sides);
  });

  it('tap', async (t) => {
    await serveIperf3(t, IPERF3);
    const echoPort = await serveEcho(t);
    const runs: [string, GuestRun][] = [
      ['ours', ours('tap0')],
      ['qemu', qemus('tap,ifname=tap1,script=no,downscript=no,vhost=off')],
    ];
    const sides: Side[] = [];
    for (const [i, [name, run]] of runs.entries()) {
      const guest = await started(t, run);
      await l1('ip', 'addr', 'add', `10.9.${i}.1/24`, 'dev', `tap${i}`);
      await l1('ip', 'link', 'set', `tap${i}`, 'up');
      await address(guest, `10.9.${i}.2`);
      sides.push({ name, guest, pid: run.pid ?? 0, server: `10.9.${i}.1`, echoPort });
    }
    await compare(t, 'tap', sides);
  });

  it('switch', async (t) => {
    rmSync(STREAM_SOCKET, { force: true });
    const stream = `addr.type=unix,addr.path=${STREAM_SOCKET}`;
    const runs: [string, GuestRun, () => GuestRun][] = [
      ['ours', ours(`switch:${SWITCH}`), () => ours(`switch:${SWITCH}`)],
      ['qemu', qemus(`stream,server=on,${stream}`), () => qemus(`stream,server=off,${stream}`)],
    ];
    const sides: Side[] = [];
    for (const [name, server, client] of runs) {
      const serving = await started(t, server);
      const guest = await started(t, client());
      await address(serving, '10.9.0.1');
      await address(guest, '10.9.0.2');
      await startEcho(serving, ECHO);
      await startIperf3(serving, IPERF3);
      sides.push({ name, guest, pid: guest.run.pid ?? 0, server: '10.9.0.1', echoPort: ECHO });
    }
    await compare(t, 'switch', sides);
  });
});

async function address(guest: DiskGuest, ip: string): Promise<void> {
  await guest.sh(`ip addr add ${ip}/24 dev eth0 && ip link set eth0 up`);
}

/** Debian's, on a socket for QEMU. Returns the netdev. */
async function passt(t: TestContext): Promise<string> {
  await passtOutside();
  rmSync(PASST_SOCKET, { force: true });
  const process = spawn('passt', ['-f', '-s', PASST_SOCKET], { stdio: ['ignore', 'ignore', 'pipe'] });
  t.after(() => process.kill());
  while (!existsSync(PASST_SOCKET)) await once(process.stderr, 'data');
  return `stream,server=off,addr.type=unix,addr.path=${PASST_SOCKET}`;
}
