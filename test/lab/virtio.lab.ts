/**
 * The small virtio devices as a stock Debian kernel's own drivers use them, over PCI and over MMIO: random
 * numbers, and hvc0 as a serial port.
 */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { serialAttach, serialInput, serialOutput } from '../../vmm-core/protocol/serial.ts';
import type { VmmClient } from '../../vmm-core/client/vmmClient.ts';
import { bootWithoutDisks, type DiskGuest, reasonToSkip } from './inside/diskGuest.ts';
import { testOver } from './inside/longTest.ts';
import { clientOf } from './inside/lostGuest.ts';

const HVC0 = 4;
const ROUNDS = Number(process.env['LAB_ROUNDS'] ?? '5');
/** Of silence. */
const ANSWER_MS = 60_000;
const RANDOM_BYTES = 8 * 1024;

const skip = reasonToSkip();

/** The other end of hvc0: what has come, and a way to type. */
async function attach(t: TestContext, guest: DiskGuest) {
  const client: VmmClient = await clientOf(guest.run.pid);
  t.after(() => client.dispose());
  const { connection } = client;
  let text = '';
  let changed: () => void = () => undefined;
  connection.onNotification(serialOutput, ({ port, data }) => {
    if (port !== HVC0) return;
    text += Buffer.from(data).toString();
    changed();
  });
  await connection.sendRequest(serialAttach, { port: HVC0 });
  return {
    type: (line: string) => connection.sendNotification(serialInput, { port: HVC0, data: Buffer.from(line) }),
    /** Rejects when nothing has come for ANSWER_MS. */
    async has(wanted: string): Promise<void> {
      while (!text.includes(wanted)) {
        let timer: NodeJS.Timeout | undefined;
        const late = new Promise<void>((_, reject) => {
          const message = `hvc0 is silent; it said ${JSON.stringify(text.slice(-200))}`;
          timer = setTimeout(() => reject(new Error(message)), ANSWER_MS);
        });
        const more = new Promise<void>((resolve) => (changed = resolve));
        await Promise.race([more, late]).finally(() => clearTimeout(timer));
      }
    },
  };
}

describe("a stock Debian kernel's virtio drivers", { skip }, () => {
  for (const bus of ['pci', 'mmio']) {
    it(`read random numbers over ${bus}, and are bound again and again`, async (t) => {
      const guest = await bootWithoutDisks(t, '--virtio', bus);
      const device = await guest.sh('basename /sys/bus/virtio/drivers/virtio_rng/virtio*');
      assert.match(await guest.sh('cat /sys/class/misc/hw_random/rng_current'), /^virtio_rng/);
      const read = `dd if=/dev/hwrng bs=4096 count=${RANDOM_BYTES / 4096} iflag=fullblock 2>/dev/null`;
      assert.equal(await guest.sh(`${read} | wc -c`), String(RANDOM_BYTES));
      assert.notEqual(await guest.sh(`${read} | sha256sum`), await guest.sh(`${read} | sha256sum`));
      const driver = '/sys/bus/virtio/drivers/virtio_rng';
      for (let round = 0; round < ROUNDS; round++) {
        await guest.sh(`echo ${device} > ${driver}/unbind && echo ${device} > ${driver}/bind`);
        assert.equal(await guest.sh(`${read} | wc -c`), String(RANDOM_BYTES));
      }
      t.diagnostic(await guest.sh('grep virtio /proc/interrupts'));
      assert.equal(await guest.powerOff(), 0);
      t.diagnostic(`rounds: ${ROUNDS}`);
    });

    testOver(bus)(
      `has hvc0 over ${bus}: what is typed comes back, and much at once arrives whole`,
      async (t) => {
        const ports = ['stdio', 'null', 'null', 'null', 'terminal'].flatMap((it) => ['--serial', it]);
        const guest = await bootWithoutDisks(t, '--virtio', bus, ...ports);
        const hvc0 = await attach(t, guest);
        // The driver forgets its settings when nobody has it open.
        await guest.sh('exec 3<>/dev/hvc0 && stty -F /dev/hvc0 raw -echo && (cat <&3 >&3 2>/dev/null &)');
        await hvc0.type('hello, hvc0\n');
        await hvc0.has('hello, hvc0');
        const lines = Array.from({ length: 200 }, (_, i) => `line ${i} of what is typed`).join('\n');
        await hvc0.type(`${lines}\nthe end\n`);
        await hvc0.has(`${lines}\nthe end\n`);
        assert.equal(await guest.powerOff(), 0);
      },
    );
  }
});
