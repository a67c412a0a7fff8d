/** Interfaces that are no user network, as a stock Debian kernel sees them; their link's state; a capture. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { attach } from './inside/attachment.ts';
import { reasonToSkipDisks, vmm } from './inside/diskImages.ts';
import { passtOutside, serveEcho, serveFile, serveIperf3, serveNames } from './inside/l1Network.ts';
import { l1 } from './inside/l1Storage.ts';
import { awaitIpv6, bootNetGuest, configure, HOST } from './inside/netGuest.ts';
import { longTest } from './inside/longTest.ts';

const IPERF3 = 5201;
/** Until the guest has its addresses; and of what it does then. */
const FIRST = '/tmp/addresses.pcapng';
const CAPTURE = '/tmp/net0.pcapng';

describe('interfaces of a stock Debian kernel', { skip: reasonToSkipDisks() }, () => {
  it('are on a tap of the host, with several queues: connections, datagrams of all sizes', async (t) => {
    const echo = await serveEcho(t);
    const guest = await bootNetGuest(t, { networks: ['tap7'], cpus: 2 });
    await l1('ip', 'addr', 'add', '10.9.7.1/24', 'dev', 'tap7');
    await l1('ip', 'link', 'set', 'tap7', 'up');
    await guest.sh('ip addr add 10.9.7.2/24 dev eth0 && ip link set eth0 up');
    assert.match(await guest.sh('ls /sys/class/net/eth0/queues'), /rx-1/);
    assert.match(await guest.sh(`netLoad many 10.9.7.1 ${echo} 200`), /^answered: 200 /);
    assert.match(await guest.sh(`netLoad udp 10.9.7.1 ${echo}`), /^answered: 14 /);
    assert.equal(await guest.powerOff(), 0);
    await assert.rejects(l1('ip', 'link', 'show', 'tap7'), /tap7/);
  });

  // As busy as that, the emulator loses some guests (README.md), QEMU's too.
  longTest('move data by iperf3 over a tap, up and down', async (t) => {
    await serveIperf3(t, IPERF3);
    const guest = await bootNetGuest(t, { networks: ['tap8'] });
    await l1('ip', 'addr', 'add', '10.9.8.1/24', 'dev', 'tap8');
    await l1('ip', 'link', 'set', 'tap8', 'up');
    await guest.sh('ip addr add 10.9.8.2/24 dev eth0 && ip link set eth0 up');
    for (const way of ['', '-R']) {
      const said = await guest.sh(`iperf3 -c 10.9.8.1 -p ${IPERF3} -t 2 ${way} | grep receiver`);
      t.diagnostic(said);
      assert.match(said, /bits\/sec/);
    }
    assert.equal(await guest.powerOff(), 0);
  });

  it("are a private link to the host, with vmd's addresses", async (t) => {
    const echo = await serveEcho(t);
    const guest = await bootNetGuest(t, { networks: ['local'] });
    const lease = await configure(guest);
    const router = /^router=(100\.\d+\.\d+\.\d+)$/m.exec(lease)?.[1] ?? assert.fail(lease);
    assert.match(await guest.sh(`netLoad many ${router} ${echo} 20`), /^answered: 20 /);
    assert.equal(await guest.powerOff(), 0);
  });

  it('are a private link with IPv6, of which the guest makes itself an address', async (t) => {
    const http = await serveFile(t, 2 ** 20);
    const guest = await bootNetGuest(t, { networks: ['local,prefix6=fd00::/8'] });
    await configure(guest);
    assert.match(await awaitIpv6(guest), /default via fe80::/);
    const [, host = ''] =
      /inet6 (fd[0-9a-f:]+:1)\/64 scope global/.exec(await l1('ip', '-6', 'addr', 'show', 'dev', 'tap0')) ??
      [];
    await guest.sh(`until ping -6 -c 1 -W 1 ${host}; do :; done`); // the host tests its own first, for a second
    assert.match(await guest.sh(`ping -6 -c 3 ${host}`), /3 packets received/);
    assert.match(
      await guest.sh(`wget -q -O - http://[${host}]:${http.port}/ | sha256sum`),
      new RegExp(http.sha256),
    );
    assert.equal(await guest.powerOff(), 0);
  });

  longTest('are behind passt', async (t) => {
    const echo = await serveEcho(t);
    await passtOutside();
    const guest = await bootNetGuest(t, { networks: ['passt'] });
    const router = /^router=(\S+)$/m.exec(await configure(guest))?.[1] ?? '';
    assert.match(await guest.sh(`netLoad many ${router} ${echo} 20`), /^answered: 20 /);
    assert.equal(await guest.powerOff(), 0);
  });

  it('lose their link and get it back, and are captured meanwhile', async (t) => {
    const echo = await serveEcho(t);
    const http = await serveFile(t, 20_000);
    await serveNames(t, [10, 9, 8, 7]);
    const guest = await bootNetGuest(t, {
      networks: [`user,capture=${FIRST}`],
      more: ['--name', 'captured'],
    });
    await configure(guest);
    await vmm('net', 'captured', 'capture', 'net0', 'stop');
    attach(t, FIRST);
    await vmm('net', 'captured', 'capture', 'net0', CAPTURE, '--comment', 'made by the lab');
    await guest.sh(`ping -c 3 ${HOST}`);
    await guest.sh('nslookup -type=a lab.test');
    await guest.sh(`wget -q -O /dev/null http://${HOST}:${http.port}/file`);
    await guest.sh(`netLoad udp ${HOST} ${echo}`);
    await vmm('net', 'captured', 'down', 'net0');
    assert.equal(await guest.sh('cat /sys/class/net/eth0/carrier'), '0');
    assert.notEqual((await guest.try(`ping -c 1 -W 1 ${HOST}`)).code, 0);
    await vmm('net', 'captured', 'up', 'net0');
    assert.equal(await guest.sh('cat /sys/class/net/eth0/carrier'), '1');
    await guest.sh(`ping -c 5 ${HOST}`); // Linux sends nothing for up to a second after the carrier is there
    t.diagnostic(await vmm('net', 'captured', 'capture', 'net0', 'stop'));
    attach(t, CAPTURE);
    const shown = await vmm('net', 'captured', 'show', 'net0');
    t.diagnostic(shown);
    assert.match(shown, /10\.0\.2\.15/);
    assert.match(shown, /^ +fromGuest +[1-9]/m);
    assert.equal(await guest.powerOff(), 0);
  });
});
