/** The memory balloon, as a stock Debian kernel's own driver has it: what the host has of it in memory. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, it, type TestContext } from 'node:test';
import { type BalloonReport, balloonSetTarget, balloonStats } from '../../vmm-core/protocol/balloon.ts';
import { bootWithDisks, type DiskGuest, reasonToSkip } from './inside/diskGuest.ts';
import { clientOf } from './inside/lostGuest.ts';
import { longTest } from './inside/longTest.ts';

const MIB = 1 << 20;
const POLL_MS = 200;
const LONGEST_MS = 120_000;

const skip = reasonToSkip();

async function boot(t: TestContext) {
  const cmdline = 'lab.root=none lab.modules=virtio_balloon';
  const guest = bootWithDisks([], { more: ['--balloon'], cmdline, memory: '512M' });
  t.after(() => guest.kill());
  await guest.ready();
  const client = await clientOf(guest.run.pid);
  t.after(() => client.dispose());
  const report = (): Promise<BalloonReport> => client.connection.sendRequest(balloonStats);
  return {
    guest,
    report,
    ask: (sizeBytes: number) => client.connection.sendRequest(balloonSetTarget, { sizeBytes }),
    /** Until the guest has come so far: nothing tells us. */
    until: async (isThere: (now: BalloonReport) => boolean): Promise<BalloonReport> => {
      const end = Date.now() + LONGEST_MS;
      for (let now = await report(); ; now = await report()) {
        if (isThere(now)) return now;
        assert.ok(Date.now() < end, `the guest has come no further than ${JSON.stringify(now)}`);
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      }
    },
  };
}

/** Of the whole process, in MiB. */
async function residentMib(guest: DiskGuest): Promise<number> {
  const status = await readFile(`/proc/${guest.run.pid ?? 0}/status`, 'utf8');
  return Math.round(Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1024);
}

/** So much memory of the guest was in use, and is free again. */
function touch(guest: DiskGuest, mib: number): Promise<string> {
  const fill = `dd if=/dev/urandom of=/tmp/big bs=1M count=1 2>/dev/null && i=0; while [ $i -lt ${mib} ]; do cat /tmp/big; i=$((i+1)); done >/mnt/fill`;
  return guest.sh(
    `mkdir -p /mnt && mount -t tmpfs -o size=${mib + 8}m none /mnt && { ${fill}; rm /tmp/big; }`,
  );
}

describe('the memory balloon, for a stock Debian kernel', { skip }, () => {
  it('takes memory from the guest, which the host gets back, and gives it back again', async (t) => {
    const { guest, ask, until } = await boot(t);
    await touch(guest, 100);
    await guest.sh('umount /mnt');
    const before = await residentMib(guest);
    const free = Number(await guest.sh("awk '/MemFree/ {print $2}' /proc/meminfo"));
    await ask(160 * MIB);
    await until(({ actualBytes }) => actualBytes === 160 * MIB);
    const inflated = await residentMib(guest);
    const freeThen = Number(await guest.sh("awk '/MemFree/ {print $2}' /proc/meminfo"));
    t.diagnostic(`RSS ${before} MiB, with a balloon of 160 MiB ${inflated} MiB`);
    t.diagnostic(`free in the guest ${free} kB, then ${freeThen} kB`);
    assert.ok(freeThen < free - 140 * 1024, `${free} kB, then ${freeThen} kB are free`);
    assert.ok(inflated < before - 60, `${before} MiB, then ${inflated} MiB`);
    await ask(0);
    await until(({ actualBytes }) => actualBytes === 0);
    await touch(guest, 350); // more than there was without it
    assert.equal(await guest.sh('wc -c </mnt/fill'), String(350 * MIB));
    assert.equal(await guest.powerOff(), 0);
  });

  it('gives back by itself what the guest has reported free', async (t) => {
    const { guest, report, until } = await boot(t);
    await touch(guest, 150);
    const used = await residentMib(guest);
    const { reportedBytes } = await report();
    await guest.sh('umount /mnt');
    await until((now) => now.reportedBytes > reportedBytes + 120 * MIB);
    const after = await residentMib(guest);
    t.diagnostic(`RSS ${used} MiB, after the guest had freed 150 MiB ${after} MiB`);
    assert.ok(after < used - 100, `${used} MiB, then ${after} MiB`);
    assert.equal(await guest.powerOff(), 0);
  });

  it('knows what the guest says of its memory', async (t) => {
    const { guest, report } = await boot(t);
    const { statistics, isReady } = await report();
    t.diagnostic(JSON.stringify(statistics));
    assert.ok(isReady);
    const total = Number(await guest.sh("awk '/MemTotal/ {print $2}' /proc/meminfo")) * 1024;
    assert.equal(statistics['totalMemory'], total);
    const { statistics: later } = await report();
    assert.ok((later['minorFaults'] ?? 0) > (statistics['minorFaults'] ?? 0), 'they are of now');
    assert.equal(await guest.powerOff(), 0);
  });

  longTest('gives memory back to a guest that runs out of it', async (t) => {
    const { guest, ask, until } = await boot(t);
    await ask(360 * MIB);
    const { actualBytes } = await until((now) => now.actualBytes === 360 * MIB);
    await touch(guest, 150); // more than is left
    assert.equal(await guest.sh('wc -c </mnt/fill'), String(150 * MIB));
    const after = await until((now) => now.actualBytes < actualBytes);
    t.diagnostic(`the balloon had ${actualBytes / MIB} MiB, then ${after.actualBytes / MIB} MiB`);
    assert.equal(await guest.powerOff(), 0);
  });
});
