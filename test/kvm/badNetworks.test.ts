/**
 * Networks that cannot be as their user wants them: one line, exit code 1, and nothing stays behind, neither
 * processes nor sockets, interfaces or files.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { guest } from '../guests/build.ts';
import { kvmTest } from '../support/kvmTest.ts';
import { temporaryFolder, vmm, VMM } from '../support/vmmProcess.ts';

const NOBODY = 65534;

interface Refusal {
  /** Values of --net. */
  readonly networks: readonly string[];
  readonly message: RegExp;
  readonly more?: readonly string[];
  readonly runtime?: string;
  readonly uid?: number;
  /** Root, but for the right to change networks. */
  readonly isUnprivileged?: true;
}

/** `vmm run` must say that, and leave the host as it was. */
async function refused(t: TestContext, refusal: Refusal): Promise<void> {
  const { networks, message, more = [], runtime, uid, isUnprivileged = false } = refusal;
  const folder = runtime ?? temporaryFolder(t);
  const before = interfaces();
  const nets = networks.flatMap((it) => ['--net', it]);
  const args = ['run', '--kernel', await guest('firstByte'), '--debug-exit', ...nets, ...more];
  const as = uid === undefined ? {} : { uid, gid: uid };
  const env = { XDG_RUNTIME_DIR: folder, TRAPFRAME_KVM: uid === undefined ? undefined : kvmOf(t, uid) };
  const { code, stdout, stderr } = isUnprivileged
    ? withoutNetAdmin(args, env)
    : await vmm(t, args, { ...as, env });
  assert.deepEqual({ code, stdout }, { code: 1, stdout: '' }, stderr);
  assert.equal(stderr.split('\n').length, 2, `one line, not:\n${stderr}`);
  assert.match(stderr, message);
  assert.deepEqual(interfaces(), before);
  assert.deepEqual(socketsBelow(folder), []);
}

function withoutNetAdmin(
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): { code: number | null; stdout: string; stderr: string } {
  const dropped = ['--bounding-set=-net_admin', '--inh-caps=-net_admin'];
  const options = { env: { ...process.env, ...env }, input: '', encoding: 'utf8' as const };
  const { status, ...said } = spawnSync('setpriv', [...dropped, process.execPath, VMM, ...args], options);
  return { code: status, ...said };
}

/** The device once more, for one user: /dev/kvm may be a group's. */
function kvmOf(t: TestContext, uid: number): string {
  const device = path.join(folderOf(t, uid), 'kvm');
  const made = spawnSync('mknod', [device, 'c', '10', '232']);
  assert.equal(made.status, 0, String(made.stderr));
  chownSync(device, uid, uid);
  return device;
}

/** For the control sockets of another user. */
function folderOf(t: TestContext, uid: number): string {
  const folder = temporaryFolder(t);
  chownSync(folder, uid, uid);
  return folder;
}

/** Down or up. */
function interfaces(): readonly string[] {
  return readdirSync('/sys/class/net').sort();
}

function socketsBelow(folder: string): readonly string[] {
  const all = readdirSync(folder, { recursive: true }) as string[];
  return all.filter((it) => statSync(path.join(folder, it)).isSocket());
}

const FLAGS: readonly (readonly [title: string, networks: readonly string[], message: RegExp])[] = [
  [
    'a MAC that is of a group',
    ['user,mac=01:00:5e:00:00:01'],
    /^vmm: [^\n]*must be the address of one interface: [^\n]*is a group's/,
  ],
  [
    'a MAC that another interface has',
    ['user,mac=52:54:00:00:00:01', 'user,mac=52:54:00:00:00:01'],
    /^vmm: [^\n]*52:54:00:00:00:01, which another interface has: give it one of its own\n$/,
  ],
  ['an MTU that is too small', ['user,mtu=67'], /^vmm: [^\n]*mtu[^\n]*from 68 to 65520, not 67\n$/],
  ['an MTU that is too large', ['user,mtu=65521'], /^vmm: [^\n]*mtu[^\n]*from 68 to 65520, not 65521\n$/],
  [
    'a switch whose folder is not there',
    ['switch:/no/such/switch'],
    /^vmm: [^\n]*switch \/no\/such\/switch is not a folder: make it, /,
  ],
];

for (const [title, networks, message] of FLAGS)
  kvmTest(`${title} is refused with one clear line`, (t) => refused(t, { networks, message }));

kvmTest('a tap that is not there is refused to who may not make one', async (t) => {
  if (process.getuid?.() !== 0) return t.skip('only root may open /dev/net/tun everywhere');
  const message =
    /^vmm: [^\n]*there is no interface "tap97531", and making one needs root: "[^\n]*" does it\n$/;
  await refused(t, { networks: ['tap97531'], message, isUnprivileged: true });
});

kvmTest('a port that another program has is refused with its name, over TCP and UDP', async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const inUse =
    /^vmm: [^\n]*cannot forward (?:tcp|udp) 127\.0\.0\.1:\d+ to the guest: the port is in use by [^\n]*; take another or end that\n$/;
  // What was opened before it is closed again, and may be opened at once.
  const socket = path.join(temporaryFolder(t), 'ssh');
  await refused(t, {
    networks: [`user,forward=tcp:unix:${socket}:22,forward=tcp:${port}:80`],
    message: inUse,
  });
  assert.deepEqual(socketsBelow(path.dirname(socket)), []);
  const datagrams = createSocket('udp4').bind(0, '127.0.0.1');
  t.after(() => datagrams.close());
  await once(datagrams, 'listening');
  const networks = ['user', `user,forward=udp:${datagrams.address().port}:53`];
  await refused(t, { networks, message: inUse });
});

kvmTest("a prefix of the host's own networks is refused, which says whose it is", async (t) => {
  const own = Object.values(networkInterfaces())
    .flatMap((it) => it ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal);
  if (own === undefined) return t.skip('this host has no network');
  const prefix = `${own.address.split('.').slice(0, 3).join('.')}.0/24`;
  const message =
    /^vmm: [^\n]*the prefix [\d./]+ is in use on this host \([^\n]*\): take another, as [\d./]+\n$/;
  await refused(t, { networks: [`user,prefix=${prefix}`], message });
});

kvmTest("another user's switch is refused, and so is one that everybody may write", async (t) => {
  if (process.getuid?.() !== 0) return t.skip('only root can make a folder of another user');
  const folder = temporaryFolder(t);
  chmodSync(folder, 0o755);
  const [theirs, everybodys] = ['theirs', 'everybodys'].map((it) => path.join(folder, it));
  assert.ok(theirs !== undefined && everybodys !== undefined);
  mkdirSync(theirs, { mode: 0o700 });
  mkdirSync(everybodys);
  chmodSync(everybodys, 0o777);
  const runtime = folderOf(t, NOBODY);
  for (const [folderOfSwitch, message] of [
    [theirs, /^vmm: [^\n]*cannot join switch [^\n]*theirs[^\n]*: is the switch another user's\?\n$/],
    [
      path.join(theirs, 'inner'),
      /^vmm: [^\n]*inner: you may not look there: ask its owner to let you join\n$/,
    ],
  ] as const)
    await refused(t, { networks: [`switch:${folderOfSwitch}`], message, uid: NOBODY, runtime });
  const anybody = /^vmm: [^\n]*everybody may write that folder, and so join: chmod o-w it\n$/;
  await refused(t, { networks: [`switch:${everybodys}`], message: anybody });
  assert.deepEqual([...readdirSync(theirs), ...readdirSync(everybodys)], []);
});

kvmTest("another user's tap is refused, and stays as it is", async (t) => {
  if (process.getuid?.() !== 0) return t.skip('only root can make a tap');
  const name = `tap${1_000_000 + (process.pid % 1_000_000)}`;
  const owner = ['user', String(NOBODY)];
  const made = spawnSync('ip', ['tuntap', 'add', name, 'mode', 'tap', ...owner], { encoding: 'utf8' });
  if (made.status !== 0) return t.skip(`no tap can be made: ${made.stderr ?? String(made.error)}`);
  t.after(() => spawnSync('ip', ['link', 'delete', name]));
  const message = new RegExp(
    `^vmm: [^\\n]*the interface "${name}" belongs to the user ${NOBODY}: [^\\n]*\\n$`,
  );
  await refused(t, { networks: [name], message, isUnprivileged: true });
});

kvmTest('a capture that cannot be written is refused before the guest starts', async (t) => {
  const file = path.join(temporaryFolder(t), 'file');
  writeFileSync(file, '');
  const networks = [`user,capture=${file}/net.pcapng`];
  const message =
    /^vmm: [^\n]*the capture cannot be written to "[^\n]*" \([^\n]*\): name a file that can be\n$/;
  await refused(t, { networks, message });
});
