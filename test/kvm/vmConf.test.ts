/** `vmm run -f`: VMs of a vm.conf boot, with the settings in the file. */
import assert from 'node:assert/strict';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { EXIT_OK, guest, type GuestName } from '../guests/build.ts';
import { kvmTest } from '../support/kvmTest.ts';
import { type Finished, temporaryFolder, vmm } from '../support/vmmProcess.ts';

const OK = (EXIT_OK << 1) | 1;

/** Runs a VM of a vm.conf that is next to its kernel, `guest.elf`. */
async function runFrom(
  t: TestContext,
  name: GuestName,
  text: string,
  vm = 'a',
): Promise<Finished & { folder: string }> {
  const folder = temporaryFolder(t);
  copyFileSync(await guest(name), path.join(folder, 'guest.elf'));
  const file = path.join(folder, 'vm.conf');
  writeFileSync(file, text);
  const options = { env: { XDG_RUNTIME_DIR: temporaryFolder(t) }, cwd: '/' };
  return { ...(await vmm(t, ['run', '-f', file, vm], options)), folder };
}

kvmTest('a VM boots from a vm.conf in another folder, with com1 on standard output', async (t) => {
  const text =
    'k = "guest.elf"\nvm "a" {\n\tmemory 16M\n\tkernel $k\n\tdebug exit\n}\nvm "b" { kernel $k }\n';
  const { code, stdout, stderr } = await runFrom(t, 'firstByte', text);
  assert.deepEqual([code, stdout, stderr], [OK, 'F', '']);
});

kvmTest('serial com1 file and reset exit take effect', async (t) => {
  const text =
    'vm "a" {\n\tmemory 16M\n\tboot "guest.elf"\n\tserial com1 file "out.log"\n\tdebug exit\n\treset exit\n}\n';
  const { code, stdout, folder } = await runFrom(t, 'firstByte', text);
  assert.deepEqual([code, stdout], [OK, '']);
  assert.equal(readFileSync(path.join(folder, 'out.log'), 'latin1'), 'F');
});

kvmTest('nothing is started from a file with errors, and all of them are printed', async (t) => {
  const { code, stdout, stderr } = await runFrom(
    t,
    'firstByte',
    'vm "a" {\n\tkernel "guest.elf"\n\tmemory 1X\n\tcpus 0\n}\n',
  );
  assert.deepEqual([code, stdout], [1, '']);
  assert.match(stderr, /vm\.conf:3:9: .*\n.*vm\.conf:4:7: /);
});
