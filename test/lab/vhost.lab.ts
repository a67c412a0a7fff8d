/** A tap whose frames L1's own kernel moves (vhost-net), as a stock Debian kernel sees it. */
import assert from 'node:assert/strict';
import { rename } from 'node:fs/promises';
import { existsSync, statSync } from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import { pause, resume } from '../../vmm-core/protocol/run.ts';
import { reasonToSkipDisks, vmm } from './inside/diskImages.ts';
import type { DiskGuest } from './inside/diskGuest.ts';
import { serveEcho, serveFile } from './inside/l1Network.ts';
import { l1 } from './inside/l1Storage.ts';
import { clientOf } from './inside/lostGuest.ts';
import { bootNetGuest } from './inside/netGuest.ts';

const MIB = 2 ** 20;
const DEVICE = '/dev/vhost-net';
const SERVED = /servedBy +the kernel \(vhost\)/;

function reasonToSkip(): string | false {
  return reasonToSkipDisks() || (existsSync(DEVICE) ? false : `L1 has no ${DEVICE}`);
}

/** Both ends have addresses. */
async function bootOnTap(t: TestContext, number: number, options: string, cpus = 1): Promise<DiskGuest> {
  const tap = `tap${number}`;
  const more = ['--name', tap];
  const cmdline = 'panic=-1';
  const guest = await bootNetGuest(t, { networks: [`${tap},${options}`], cpus, more, cmdline });
  await l1('ip', 'addr', 'add', `10.9.${number}.1/24`, 'dev', tap);
  await l1('ip', 'link', 'set', tap, 'up');
  await address(guest, number);
  return guest;
}

async function address(guest: DiskGuest, number: number): Promise<void> {
  await guest.sh(`ip addr add 10.9.${number}.2/24 dev eth0 && ip link set eth0 up`);
}

describe('a tap that the kernel serves', { skip: reasonToSkip() }, () => {
  it('carries connections, datagrams of all sizes and a file both ways, by two pairs of queues', async (t) => {
    const echo = await serveEcho(t);
    const http = await serveFile(t, 4 * MIB);
    const guest = await bootOnTap(t, 20, 'vhost', 2);
    assert.match(await guest.sh('ls /sys/class/net/eth0/queues'), /rx-1/);
    assert.match(await guest.sh('ping -c 3 10.9.20.1'), /3 packets received/);
    assert.match(await guest.sh(`netLoad many 10.9.20.1 ${echo} 200`), /^answered: 200 /);
    assert.match(await guest.sh(`netLoad udp 10.9.20.1 ${echo}`), /^answered: 14 /);
    const url = `http://10.9.20.1:${http.port}/file`;
    assert.match(await guest.sh(`wget -q -O - ${url} | sha256sum`), new RegExp(http.sha256));
    const shown = await vmm('net', 'tap20', 'show', 'net0');
    t.diagnostic(shown);
    assert.match(shown, SERVED);
    assert.match(shown, /2 of 2 queues/);
    assert.equal(await guest.powerOff(), 0);
    await assert.rejects(l1('ip', 'link', 'show', 'tap20'), /tap20/);
  });

  it('loses its link and gets it back, is paused, captured meanwhile, and starts again', async (t) => {
    const guest = await bootOnTap(t, 21, 'vhost');
    const ping = 'ping -c 3 10.9.21.1';
    await guest.sh(ping);

    await vmm('net', 'tap21', 'down', 'net0');
    assert.equal(await guest.sh('cat /sys/class/net/eth0/carrier'), '0');
    assert.notEqual((await guest.try('ping -c 1 -W 1 10.9.21.1')).code, 0);
    await vmm('net', 'tap21', 'up', 'net0');
    assert.equal(await guest.sh('cat /sys/class/net/eth0/carrier'), '1');
    assert.match(await guest.sh(ping), /3 packets received/);

    const client = await clientOf(guest.run.pid);
    t.after(() => client.dispose());
    for (let round = 0; round < 3; round++) {
      await client.connection.sendRequest(pause);
      await client.connection.sendRequest(resume);
      assert.match(await guest.sh(ping), /3 packets received/);
    }

    const capture = '/tmp/tap21.pcapng';
    await vmm('net', 'tap21', 'capture', 'net0', capture);
    assert.match(await guest.sh(ping), /3 packets received/);
    assert.doesNotMatch(await vmm('net', 'tap21', 'show', 'net0'), SERVED);
    assert.match(await vmm('net', 'tap21', 'capture', 'net0', 'stop'), /^([6-9]|\d\d+) frames in /);
    assert.ok(statSync(capture).size > 600);
    assert.match(await vmm('net', 'tap21', 'show', 'net0'), SERVED);
    assert.match(await guest.sh(ping), /3 packets received/);

    guest.run.type('reboot -f\n');
    await guest.ready();
    await address(guest, 21);
    assert.match(await guest.sh(ping), /3 packets received/);
    assert.match(await vmm('net', 'tap21', 'show', 'net0'), SERVED);
    assert.equal(await guest.powerOff(), 0);
  });

  it('is served by the VMM where the device is not there, and the user is told', async (t) => {
    await rename(DEVICE, `${DEVICE}.away`);
    t.after(() => rename(`${DEVICE}.away`, DEVICE));
    const guest = await bootOnTap(t, 22, 'vhost');
    assert.match(await guest.sh('ping -c 3 10.9.22.1'), /3 packets received/);
    assert.match(guest.run.errors, /this host has no \/dev\/vhost-net: .* net0 runs without it/);
    assert.equal(await guest.powerOff(), 0);
  });
});
