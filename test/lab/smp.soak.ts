/**
 * Stock Linux guests whose two CPUs are busy all the time: `npm run test:soak`. Each test is one VM;
 * test/soak/labSmp.ts counts.
 */
import { describe, it } from 'node:test';
import { EmulatorLostError } from './inside/emulatorLoss.ts';
import { PAYLOADS } from './inside/labProtocol.ts';
import { VmmRun } from './inside/vmmRun.ts';

const VMS = Number(process.env['SOAK_VMS'] ?? '1');
const BUSY_MS = 30_000;
/** Rounds take 0.25 to 4 s, depending on how busy the machine is. */
const SILENCE_MS = 120_000;

describe('a Linux guest with two busy CPUs', () => {
  for (let vm = 1; vm <= VMS; vm++) {
    it(`does one round after another (VM ${vm})`, async (t) => {
      const guest = ['--kernel', PAYLOADS.bzImage, '--initrd', PAYLOADS.initrd, '--memory', '256M'];
      const run = new VmmRun([...guest, '--cmdline', 'console=ttyS0 quiet', '--cpus', '2']);
      t.after(() => run.kill());
      let rounds = 0;
      try {
        await run.expect(/TRAPFRAME-INIT-READY\r\n/, SILENCE_MS);
        run.type('busy\n');
        await run.expect(/forked: 4 of 4\r\n/, SILENCE_MS);
        const end = performance.now() + BUSY_MS;
        for (; performance.now() < end; rounds++)
          await run.expect(new RegExp(`round ${rounds + 1}\r\n`), SILENCE_MS);
      } catch (error) {
        if (!(error instanceof EmulatorLostError)) throw error;
        t.diagnostic(`lost: ${error.message.split('\n')[0]}`);
      } finally {
        t.diagnostic(`rounds: ${rounds}`);
      }
    });
  }
});
