/**
 * The user network as a stock Debian kernel's own driver and clients use it: addresses, names, connections
 * both ways, many and large ones, a firewall, the link's state.
 */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { describe, it } from 'node:test';
import { reasonToSkipDisks } from './inside/diskImages.ts';
import { deadEnds, narrowWay, serveEcho, serveFile, serveIperf3, serveNames } from './inside/l1Network.ts';
import { awaitIpv6, bootNetGuest, configure, GUEST, HOST, HOST6, startEcho } from './inside/netGuest.ts';
import { longTest, testOver } from './inside/longTest.ts';

const MIB = 2 ** 20;
const FORWARDED = 2222;
const IPERF3 = 5201;
const NAMED = [10, 9, 8, 7] as const;

interface Iperf3 {
  readonly end: {
    readonly sum_sent: { readonly bits_per_second: number };
    readonly sum_received: { readonly bits_per_second: number };
  };
}

describe('a stock Debian kernel on the user network', { skip: reasonToSkipDisks() }, () => {
  for (const transport of ['pci', 'mmio'] as const) {
    testOver(transport)(
      `has an address, a name server, IPv6, and files by HTTP both ways over ${transport}`,
      async (t) => {
        await serveNames(t, NAMED);
        const http = await serveFile(t, 4 * MIB);
        const networks = [`user,transport=${transport},forward=tcp:${FORWARDED}:80`];
        const guest = await bootNetGuest(t, { networks });
        const lease = await configure(guest);
        assert.match(lease, new RegExp(`^ip=${GUEST}$`, 'm'));
        assert.match(lease, new RegExp(`^router=${HOST}$`, 'm'));
        await guest.sh(`ping -c 3 ${HOST}`);
        assert.match(await guest.sh('nslookup -type=a lab.test'), new RegExp(NAMED.join('\\.')));
        assert.match(await awaitIpv6(guest), /default via fe80::/);

        const url = `http://${HOST}:${http.port}/file`;
        assert.match(await guest.sh(`wget -q -O - ${url} | sha256sum`), new RegExp(http.sha256));

        await guest.sh('mkdir -p /tmp/www && dd if=/dev/urandom of=/tmp/www/file bs=1M count=4 2>/dev/null');
        await guest.sh('httpd -p 80 -h /tmp/www');
        const answer = await fetch(`http://127.0.0.1:${FORWARDED}/file`);
        const sum = createHash('sha256')
          .update(Buffer.from(await answer.arrayBuffer()))
          .digest('hex');
        assert.match(await guest.sh('sha256sum /tmp/www/file'), new RegExp(sum));
        assert.equal(await guest.powerOff(), 0);
      },
    );
  }

  // As busy as that, the emulator loses some guests (README.md), QEMU's too.
  longTest('moves data by iperf3, up, down and both at once, over IPv4 and IPv6', async (t) => {
    await serveIperf3(t, IPERF3);
    const guest = await bootNetGuest(t, { networks: ['user'] });
    await configure(guest);
    const hostIpv6 = /via (\S+)/.exec(await awaitIpv6(guest))?.[1] ?? '';
    for (const [name, options] of [
      ['up', ''],
      ['down', '-R'],
      ['both', '--bidir'],
    ]) {
      const text = await guest.sh(`iperf3 -c ${HOST} -p ${IPERF3} -t 2 -J ${options}`);
      const { end } = JSON.parse(text) as Iperf3;
      t.diagnostic(`${name}: ${(end.sum_received.bits_per_second / 1e9).toFixed(2)} Gb/s`);
      assert.ok(end.sum_received.bits_per_second > 0);
    }
    assert.match(await guest.sh(`ping -c 2 ${hostIpv6}%eth0`), /2 packets received/);
    assert.equal(await guest.powerOff(), 0);
  });

  it('has a thousand connections at once, short ones after each other, and datagrams of all sizes', async (t) => {
    const echo = await serveEcho(t);
    const guest = await bootNetGuest(t, {
      networks: [`user,forward=tcp:${FORWARDED}:7,forward=udp:${FORWARDED}:7`],
    });
    await configure(guest);
    assert.match(await guest.sh(`netLoad many ${HOST} ${echo} 1000`), /^answered: 1000 /);
    assert.match(await guest.sh(`netLoad short ${HOST} ${echo} 300`), /^answered: 300 /);
    assert.match(await guest.sh(`netLoad udp ${HOST} ${echo}`), /^answered: 14 /);
    await startEcho(guest, 7);
    await Promise.all(Array.from({ length: 100 }, () => askOverForward('hello, guest')));
    assert.equal(await guest.powerOff(), 0);
  });

  it('learns what the path takes, and keeps to it; datagrams of IPv6 are of all sizes, too', async (t) => {
    const echo = await serveEcho(t);
    const http = await serveFile(t, MIB);
    const guest = await bootNetGuest(t, { networks: ['user'] });
    await configure(guest);
    await awaitIpv6(guest);
    assert.match(await guest.sh(`netLoad udp ${HOST6} ${echo}`), /^answered: 15 /);
    for (const address of await narrowWay(1280)) {
      assert.match(await guest.sh(`netLoad mtu ${address} ${echo}`), /^mtu: 1280$/m);
      assert.match(await guest.sh(`netLoad udp ${address} ${echo}`), /^answered: 1[45] /);
      const host = address.includes(':') ? `[${address}]` : address;
      const url = `http://${host}:${http.port}/file`;
      assert.match(await guest.sh(`wget -q -O - ${url} | sha256sum`), new RegExp(http.sha256));
    }
    assert.equal(await guest.powerOff(), 0);
  });

  it('tells a guest that nobody is there from one that refuses', async (t) => {
    const echo = await serveEcho(t);
    const [host, network] = await deadEnds();
    const guest = await bootNetGuest(t, { networks: ['user'] });
    await configure(guest);
    const { output: unreachable } = await guest.try(`netLoad short ${host} ${echo} 1 2>&1`);
    assert.match(unreachable, /connect: No route to host/);
    const { output: nowhere } = await guest.try(`netLoad short ${network} ${echo} 1 2>&1`);
    assert.match(nowhere, /connect: Network is unreachable/);
    const { output: refused } = await guest.try(`netLoad short ${HOST} 9 1 2>&1`);
    assert.match(refused, /connect: Connection refused/);
    assert.equal(await guest.powerOff(), 0);
  });

  it('is behind a firewall of its own, and sees the MTU that its network has', async (t) => {
    const echo = await serveEcho(t);
    const modules = ['nf_tables', 'nft_ct', 'nft_reject_inet'];
    const guest = await bootNetGuest(t, { networks: [`user,mtu=9000,forward=tcp:${FORWARDED}:7`], modules });
    assert.match(await configure(guest), /^mtu=9000$/m);
    assert.match(await guest.sh(`ping -c 2 -s 8900 ${HOST}`), /2 packets received/);
    await startEcho(guest, 7);
    await askOverForward('before');
    const rules =
      'ct state established,related accept; iif lo accept; tcp dport 7 reject with tcp reset; drop';
    await guest.sh(`nft 'table inet t { chain in { type filter hook input priority 0; ${rules}; }; }'`);
    await assert.rejects(askOverForward('after'));
    assert.match(await guest.sh(`netLoad short ${HOST} ${echo} 20`), /^answered: 20 /);
    assert.equal(await guest.powerOff(), 0);
  });

  it('fetches files from folders by TFTP and HTTP', async (t) => {
    const data = randomBytes(300_000);
    await writeFile('/tmp/kernel.img', data);
    const guest = await bootNetGuest(t, { networks: ['user,tftp=/tmp,http=/tmp'] });
    await configure(guest);
    const wanted = new RegExp(createHash('sha256').update(data).digest('hex'));
    await guest.sh(`tftp -g -r kernel.img -l /tmp/tftp.img ${HOST}`);
    assert.match(await guest.sh('sha256sum /tmp/tftp.img'), wanted);
    await guest.sh(`tftp -g -b 65464 -r kernel.img -l /tmp/tftp.img ${HOST}`);
    assert.match(await guest.sh('sha256sum /tmp/tftp.img'), wanted);
    assert.match(await guest.sh(`wget -q -O - http://${HOST}/kernel.img | sha256sum`), wanted);
    assert.notEqual((await guest.try(`wget -q -O - http://${HOST}/../etc/passwd`)).code, 0);
    assert.equal(await guest.powerOff(), 0);
  });
});

/** Of netLoad in the guest, by the forwarded port. Rejects when the connection ends before the answer. */
async function askOverForward(question: string): Promise<void> {
  const socket = connect(FORWARDED, '127.0.0.1');
  try {
    let answer = '';
    socket.setEncoding('latin1').on('data', (text: string) => (answer += text));
    await once(socket, 'connect');
    socket.write(question);
    while (answer.length < question.length) await Promise.race([once(socket, 'data'), ended(socket)]);
    assert.equal(answer, question);
  } finally {
    socket.destroy();
  }
}

async function ended(socket: ReturnType<typeof connect>): Promise<never> {
  await once(socket, 'close');
  throw new Error('the connection has ended');
}
