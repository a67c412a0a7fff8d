/** With passt where it is installed, and with programs that behave as it may. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { Arrivals } from '../../../../test/support/deadline.ts';
import { FakeGuestPort } from '../../../../test/support/fakeGuestPort.ts';
import { nthFaults } from '../../../../test/support/ioFaults.ts';
import { UserError } from '../../../errors.ts';
import { EMFILE } from '../../../kvm/errno.ts';
import { injectFaults } from '../../../kvm/io/faults.ts';
import type { LinkBackend, LinkHost } from '../linkKind.ts';
import { open as openPasst } from './openPasst.ts';
import { StreamLink, type StreamMessage, type StreamOpened } from './streamLink.ts';

const MAC = [0xfe, 0xe1, 0xbb, 0xd0, 0, 1];

let folder: string;
let backend: LinkBackend | undefined;
let port: FakeGuestPort;
let troubles: Arrivals<string>;
let sent: Arrivals<StreamMessage>;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'trapframe-passt-'));
  port = new FakeGuestPort();
  troubles = new Arrivals('a trouble to be told');
  sent = new Arrivals('a new connection');
});
afterEach(() => {
  backend?.close(true);
  backend = undefined;
  port.close();
  rmSync(folder, { recursive: true });
});

function linkHost(): LinkHost {
  return {
    ...{ vmName: 'alpine', name: 'net0', index: 0, mac: Uint8Array.from(MAC), mtu: 1400, pairs: 1 },
    send: (message) => sent.put(message as StreamMessage),
    trouble: (sentence) => troubles.put(sentence),
  };
}

function attach(opened: unknown): StreamLink {
  const link = new StreamLink(opened as StreamOpened, port);
  port.connect(link);
  return link;
}

/** A program in its place. */
function program(script: string): string {
  const file = path.join(folder, 'program');
  writeFileSync(file, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return file;
}

const noPasst = spawnSync('passt', ['--version']).error === undefined ? false : 'passt is not installed';

test('passt answers the guest, and ends with the VM', { skip: noPasst }, async () => {
  backend = openPasst({ kind: 'passt' }, linkHost());
  const link = attach(backend.opened);
  assert.ok(port.isUp);
  const target = [10, 77, 1, 2];
  const arp = [0, 1, 8, 0, 6, 4, 0, 1, ...MAC, 10, 77, 1, 1, 0, 0, 0, 0, 0, 0, ...target];
  const request = Uint8Array.from([255, 255, 255, 255, 255, 255, ...MAC, 8, 6, ...arp]);
  port.send(request);
  const isReply = (it: Uint8Array): boolean => it[12] === 8 && it[13] === 6 && it[21] === 2;
  const isAnswered = port.waitFor(() => port.frames.some(({ bytes }) => isReply(bytes)), 5000);
  if (!isAnswered) {
    const why = await troubles.take(); // where it may not run
    return assert.match(why, /^passt has ended/);
  }
  const reply = port.frames.map(({ bytes }) => bytes).find(isReply) ?? assert.fail();
  assert.deepEqual([...reply.subarray(28, 32)], target);
  assert.deepEqual(link.report(), { peer: 'passt', state: 'up' });
});

test('a program that ends is run again, with a new connection, and that is told once', async () => {
  backend = openPasst({ kind: 'passt' }, linkHost(), program('echo "no external interface" >&2; exit 3'));
  const link = attach(backend.opened);
  const sentence = await troubles.take();
  assert.equal(
    sentence,
    'passt has ended (status 3: no external interface): net0 has no link until it runs again, which is tried',
  );
  assert.ok(port.waitFor(() => !port.isUp));
  for (let i = 0; i < 2; i++) {
    link.onMessage(await sent.take());
    assert.ok(port.waitFor(() => !port.isUp));
  }
  assert.deepEqual(troubles.takeAll(), []);
});

test('where no socket can be made for it just then, it is run again later', async (t) => {
  t.after(() => injectFaults(undefined));
  backend = openPasst({ kind: 'passt' }, linkHost(), program('exit 3'));
  const link = attach(backend.opened);
  const faults = nthFaults({ socket: { 1: { errno: EMFILE } } });
  injectFaults(faults);
  await troubles.take();
  link.onMessage(await sent.take());
  assert.equal(faults.seen.socket, 2);
});

test('a program is given its connection, and the size of what the guest may send', async () => {
  const said = path.join(folder, 'arguments');
  backend = openPasst({ kind: 'passt' }, linkHost(), program(`echo "$@" > ${said}; echo x >&3`));
  attach(backend.opened);
  await troubles.take();
  assert.equal(readFileSync(said, 'utf8').trim(), '--foreground --quiet --fd 3 --mtu 1400');
  assert.ok(port.waitFor(() => !port.isUp));
});

test('where it is not installed one sentence says what to do', () => {
  assert.throws(
    () => openPasst({ kind: 'passt' }, linkHost(), 'no-such-program-here'),
    (error: unknown) => error instanceof UserError && /^passt is not installed: /.test(error.message),
  );
});

test('one that runs already is connected to', () => {
  backend = openPasst({ kind: 'passt', socket: '/run/passt.sock' }, linkHost());
  assert.deepEqual(backend.opened, { address: { family: 'unix', path: '/run/passt.sock' } });
});
