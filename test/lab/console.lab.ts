/**
 * What goes by ports of the virtio console, as a stock Debian kernel's own driver has them: named ports, and
 * sizes of terminals.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, it, type TestContext } from 'node:test';
import { serialAttach, serialInput, serialOutput, serialResize } from '../../vmm-core/protocol/serial.ts';
import { bootWithoutDisks, type DiskGuest, reasonToSkip } from './inside/diskGuest.ts';
import { clientOf } from './inside/lostGuest.ts';
import { testOver } from './inside/longTest.ts';

/** Of silence. */
const ANSWER_MS = 60_000;
const HVC0 = 4;
const NAMED = ['org.example.agent', 'shell', 'log'] as const;
const LOG = '/tmp/console.log';

const skip = reasonToSkip();

/** The other ends of its ports, all of one client. */
async function attach(t: TestContext, guest: DiskGuest) {
  const client = await clientOf(guest.run.pid);
  t.after(() => client.dispose());
  const { connection } = client;
  const text: string[] = [];
  let changed: () => void = () => undefined;
  connection.onNotification(serialOutput, ({ port, data }) => {
    text[port] = (text[port] ?? '') + Buffer.from(data).toString();
    changed();
  });
  return {
    attach: (port: number) => connection.sendRequest(serialAttach, { port }),
    type: (port: number, line: string) =>
      connection.sendNotification(serialInput, { port, data: Buffer.from(line) }),
    resize: (port: number, columns: number, rows: number) =>
      connection.sendNotification(serialResize, { port, columns, rows }),
    /** Rejects when nothing has come for ANSWER_MS. */
    async has(port: number, wanted: string): Promise<void> {
      while (text[port]?.includes(wanted) !== true) {
        let timer: NodeJS.Timeout | undefined;
        const late = new Promise<void>((_, reject) => {
          const message = `port ${port} is silent; it said ${JSON.stringify(text[port]?.slice(-200))}`;
          timer = setTimeout(() => reject(new Error(message)), ANSWER_MS);
        });
        const more = new Promise<void>((resolve) => (changed = resolve));
        await Promise.race([more, late]).finally(() => clearTimeout(timer));
      }
    },
  };
}

/** Its own driver tells the terminal some time after the device has. */
function awaitSize(guest: DiskGuest, device: string, wanted: string): Promise<string> {
  const size = `stty size <${device}`;
  return guest.sh(`until [ "$(${size})" = "${wanted}" ]; do echo "$(${size})"; sleep 0.2; done; ${size}`);
}

describe('ports of the virtio console, for a stock Debian kernel', { skip }, () => {
  for (const bus of ['pci', 'mmio']) {
    testOver(bus)(`have their names, and carry bytes both ways, over ${bus}`, async (t) => {
      const [agent, shell, log] = NAMED;
      const ports = [agent, `${shell},tty`, `${log}=file:${LOG}`].flatMap((it) => ['--console', it]);
      const guest = await bootWithoutDisks(t, '--virtio', bus, ...ports);
      const names = await guest.sh('cat /sys/class/virtio-ports/*/name | sort');
      assert.deepEqual(names.split('\n'), [...NAMED].sort());
      const ends = await attach(t, guest);
      const first = HVC0; // there is no hvc0
      await ends.attach(first);
      const path = (name: string): string =>
        `/dev/$(basename $(dirname $(grep -lx ${name} /sys/class/virtio-ports/*/name)))`;
      const talk = guest.sh(
        `exec 3<>${path(agent)}; echo hello from the guest >&3; read -r line <&3; echo "$line"`,
      );
      await ends.has(first, 'hello from the guest\n');
      await ends.type(first, 'hello, agent\n');
      assert.equal(await talk, 'hello, agent');
      const much = 'head -c 1048576 /dev/zero | tr "\\0" x';
      await guest.sh(`(${much}; echo; echo whole) >${path(agent)}`);
      await ends.has(first, `${'x'.repeat(1 << 20)}\nwhole\n`);
      await guest.sh(`echo logged >${path(log)}`);
      await ends.attach(first + 1);
      await guest.sh('exec 4<>/dev/hvc0; stty raw -echo <&4; echo on the shell >&4');
      await ends.has(first + 1, 'on the shell');
      assert.equal(await guest.powerOff(), 0);
      assert.equal(await readFile(LOG, 'utf8'), 'logged\n');
    });
  }

  it("have their terminal's size, from the first and at each change: hvc0, and named ones", async (t) => {
    const serial = ['stdio', 'null', 'null', 'null', 'terminal'].flatMap((it) => ['--serial', it]);
    const guest = await bootWithoutDisks(t, ...serial, '--console', 'shell,tty');
    const ends = await attach(t, guest);
    // Both are open from here on: the last to close a terminal hangs it up, which whoever opens it can see.
    const open = '(exec 3<>/dev/hvc0 4<>/dev/hvc1; : >/tmp/open; sleep 1000) >/dev/null 2>&1 &';
    await guest.sh(`${open} until [ -e /tmp/open ]; do usleep 20000; done`);
    for (const [port, device] of [
      [HVC0, '/dev/hvc0'],
      [HVC0 + 1, '/dev/hvc1'],
    ] as const) {
      await ends.resize(port, 132, 43);
      assert.equal(await awaitSize(guest, device, '43 132'), '43 132');
      await ends.resize(port, 80, 25);
      assert.equal(await awaitSize(guest, device, '25 80'), '25 80');
    }
    assert.equal(await guest.powerOff(), 0);
  });
});
