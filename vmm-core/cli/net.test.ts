/** `vmm net` as a user calls it, on a VM that has no guest. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { bundled } from '../../scripts/bundle.ts';
import { FakeVmm } from '../../test/support/fakeVmm.ts';
import { vmConfig } from '../../test/support/liveVm.ts';
import { ownRuntimeDir } from '../../test/support/ownRuntimeDir.ts';
import { VmmProcess } from '../../test/support/vmmProcess.ts';
import { socketPath } from '../client/runtimeDir.ts';

const KERNEL = path.join(import.meta.dirname, '../../test/dap/fixtures/steps.elf');

type Net = (...args: readonly string[]) => Promise<string>;

/** Runs `vmm net guest …`: what it prints, after its exit code where that is not 0. */
async function guestWith(t: TestContext, networks: readonly unknown[]): Promise<Net> {
  ownRuntimeDir(t);
  const fake = await FakeVmm.start({ socket: socketPath('guest') });
  t.after(() => fake.close());
  fake.createNow(vmConfig({ kernel: KERNEL, name: 'guest', networks }));
  return async (...args) => {
    const child = new VmmProcess(['net', 'guest', ...args], { vmmPath: bundled('vmm-core/main.ts') });
    const { code, stdout, stderr } = await child.finished;
    return `${code === 0 ? '' : String(code)}${stderr}${stdout}`;
  };
}

test('interfaces are listed, and put down and up by name and number', async (t) => {
  const net = await guestWith(t, [{ kind: 'user', mac: '52:54:00:00:00:01' }, 'tap0']);
  assert.equal(
    await net(),
    `INTERFACE  KIND  ADDRESS            LINK  CAPTURE
net0       user  52:54:00:00:00:01  up
net1       tap   fe:e1:bb:d0:00:01  up
`,
  );
  assert.equal(await net('down', 'net0'), '');
  assert.equal(await net('down', '1'), '');
  assert.equal(await net('up', '0'), '');
  const listed: unknown = JSON.parse(await net('--json'));
  assert.ok(Array.isArray(listed));
  assert.deepEqual(listed[1], { name: 'net1', kind: 'tap', lladdr: 'fe:e1:bb:d0:00:01', isUp: false });
  assert.equal(await net('show', 'net1'), 'kind  tap\n');
  assert.equal(await net('show', 'net1', '--json'), '{"kind":"tap"}\n');
});

test('a capture is begun, and its end says what it has', async (t) => {
  const net = await guestWith(t, ['user']);
  assert.equal(await net('capture', 'net0', 'a.pcapng', '--rotate', '1M', '--files', '3'), '');
  const file = path.resolve('a.pcapng');
  assert.match(await net(), new RegExp(`up {4}${file}\n$`));
  assert.equal(await net('capture', 'net0', 'stop'), `0 frames in ${file}\n`);
  assert.equal(await net('capture', 'net0', 'stop'), '1vmm: net0 is not being captured\n');
});

test('ports are forwarded as they are written elsewhere', async (t) => {
  const net = await guestWith(t, ['user', 'tap0']);
  assert.equal(await net('forward', '0', 'tcp:2222:22'), '');
  assert.equal(await net('forward', '0', 'tcp:127.0.0.1:2222:22'), '1vmm: the port is busy\n');
  assert.equal(await net('unforward', '0', 'tcp:2222:22'), '');
  assert.equal(await net('unforward', '0', 'tcp:2222:22'), '1vmm: there is no such forward\n');
  assert.equal(await net('forward', '1', 'tcp:2222:22'), '1vmm: net1 has no forwards\n');
});

test('what is wrong is said in one line', async (t) => {
  const net = await guestWith(t, ['user']);
  const cases: readonly (readonly [args: string, message: RegExp])[] = [
    ['up', /which interface\? write "vmm net NAME up net0"/],
    ['pull net0', /"pull" is not something to do with an interface; "vmm net --help" tells what is/],
    ['net0', /"net0" is not something to do with an interface/],
    ['up net0 now', /"now" is one argument too many/],
    ['up net9', /there is no network interface "net9"/],
    ['capture net0', /give the file to write to, or "stop"/],
    ['capture net0 a --rotate much', /--rotate takes a size such as 100M, not "much"/],
    ['capture net0 a --files x', /--files takes a whole number, not "x"/],
    ['up net0 --snap 64', /--snap is only for "vmm net NAME capture IF FILE"/],
    ['up net0 --json', /--json is only for the list of interfaces/],
    ['forward net0', /give the forward: vmm net NAME forward net0 tcp:2222:22/],
    ['forward net0 22', /the forward must be a text such as "tcp:2222:22", .*, not "22"/],
  ];
  await Promise.all(
    cases.map(async ([args, message]) => {
      const text = await net(...args.split(' '));
      assert.match(text, message);
      assert.match(text, /^1vmm: .*\n$/, args);
    }),
  );
});
