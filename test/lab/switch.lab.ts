/** Switches that join VMs, as stock Debian kernels' own driver and clients use them. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { DiskGuest } from './inside/diskGuest.ts';
import { reasonToSkipDisks } from './inside/diskImages.ts';
import { serveEcho } from './inside/l1Network.ts';
import { l1 } from './inside/l1Storage.ts';
import { bootNetGuest, startEcho } from './inside/netGuest.ts';
import { longTest } from './inside/longTest.ts';

const ECHO = 7;

async function address(guest: DiskGuest, last: number): Promise<void> {
  await guest.sh(`ip addr add 10.9.0.${last}/24 dev eth0 && ip link set eth0 up`);
}

describe('stock Debian kernels on a switch', { skip: reasonToSkipDisks() }, () => {
  it('reach each other by name of the switch: TCP, UDP of all sizes, and a guest that comes again', async (t) => {
    const networks = ['switch:lab'];
    const first = await bootNetGuest(t, { networks });
    const second = await bootNetGuest(t, { networks });
    await address(first, 1);
    await address(second, 2);
    // One by one: of several, busybox waits for the last no longer than a second.
    for (let i = 0; i < 3; i++) assert.match(await second.sh('ping -c 1 10.9.0.1'), /1 packets received/);
    await startEcho(first, ECHO);
    assert.match(await second.sh(`netLoad many 10.9.0.1 ${ECHO} 50`), /^answered: 50 /);
    assert.match(await second.sh(`netLoad udp 10.9.0.1 ${ECHO}`), /^answered: 14 /);
    await second.kill();
    const again = await bootNetGuest(t, { networks });
    await address(again, 2);
    assert.match(await again.sh(`netLoad short 10.9.0.1 ${ECHO} 20`), /^answered: 20 /);
    assert.equal(await again.powerOff(), 0);
    assert.equal(await first.powerOff(), 0);
  });

  it("reach the host's network by the uplink, which another VM takes over when its holder is killed", async (t) => {
    const echo = await serveEcho(t);
    await l1('ip', 'link', 'add', 'br9', 'type', 'bridge');
    t.after(() => l1('ip', 'link', 'delete', 'br9'));
    // Else it has that of one of its ports, of which one goes.
    await l1('ip', 'link', 'set', 'br9', 'address', '02:00:00:00:09:01');
    await l1('ip', 'addr', 'add', '10.9.9.1/24', 'dev', 'br9');
    await l1('ip', 'link', 'set', 'br9', 'up');
    const networks = ['switch:up,uplink=br9'];
    const holder = await bootNetGuest(t, { networks });
    const other = await bootNetGuest(t, { networks });
    for (const [i, guest] of [holder, other].entries()) {
      await guest.sh(`ip addr add 10.9.9.${2 + i}/24 dev eth0 && ip link set eth0 up`);
      assert.match(await guest.sh('ping -c 3 10.9.9.1'), /[1-3] packets received/);
      assert.match(await guest.sh(`netLoad many 10.9.9.1 ${echo} 20`), /^answered: 20 /);
    }
    await holder.kill();
    // A port of a bridge forwards at once (no spanning tree); the lock is free a little after the socket.
    assert.match(await other.sh(`until ping -c 1 -W 1 10.9.9.1; do :; done`), /1 packets received/);
    assert.match(await other.sh(`netLoad many 10.9.9.1 ${echo} 20`), /^answered: 20 /);
    assert.equal(await other.powerOff(), 0);
  });

  longTest('are four on one switch, and each hears the others', async (t) => {
    const guests: DiskGuest[] = [];
    for (let i = 1; i <= 4; i++) {
      const guest = await bootNetGuest(t, { networks: ['switch:four'], memory: '192M' });
      await address(guest, i);
      guests.push(guest);
    }
    for (const [i, guest] of guests.entries())
      for (let peer = 1; peer <= guests.length; peer++)
        if (peer !== i + 1) assert.match(await guest.sh(`ping -c 1 10.9.0.${peer}`), /1 packets received/);
    for (const guest of guests) assert.equal(await guest.powerOff(), 0);
  });
});
