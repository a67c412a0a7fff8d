import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { runtimeDir } from '../../client/runtimeDir.ts';
import { UserError } from '../../errors.ts';
import { closeFd } from '../../kvm/libc.ts';
import { ListenSocket, vsockPath } from './listenSocket.ts';

function folder(t: TestContext): string {
  const made = mkdtempSync(path.join(tmpdir(), 'trapframe-listen-'));
  t.after(() => rmSync(made, { recursive: true }));
  return made;
}

function refuses(file: string, why: RegExp): void {
  assert.throws(
    () => new ListenSocket(file),
    (error) => error instanceof UserError && why.test(error.message),
  );
}

describe('the socket that programs connect to', () => {
  it("is the owner's alone, and goes with the VM", (t) => {
    const file = path.join(folder(t), 'vsock');
    const socket = new ListenSocket(file);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    closeFd(socket.opened.listenFd);
    socket.remove();
    assert.equal(existsSync(file), false);
    socket.remove();
  });

  it('replaces what a VM that was killed has left behind', (t) => {
    const file = path.join(folder(t), 'vsock');
    closeFd(new ListenSocket(file).opened.listenFd);
    const next = new ListenSocket(file);
    closeFd(next.opened.listenFd);
    next.remove();
  });

  it('leaves the name to who has it by now', (t) => {
    const file = path.join(folder(t), 'vsock');
    const first = new ListenSocket(file);
    closeFd(first.opened.listenFd);
    const second = new ListenSocket(file);
    first.remove();
    assert.equal(existsSync(file), true);
    closeFd(second.opened.listenFd);
  });

  it('is left behind where its folder has become something else', (t) => {
    const above = folder(t);
    const made = path.join(above, 'made');
    mkdirSync(made);
    const socket = new ListenSocket(path.join(made, 'vsock'));
    closeFd(socket.opened.listenFd);
    renameSync(made, `${made}.moved`);
    writeFileSync(made, '');
    socket.remove();
    assert.equal(existsSync(path.join(`${made}.moved`, 'vsock')), true);
  });

  it('is refused where a file is, and where somebody listens', async (t) => {
    const file = path.join(folder(t), 'vsock');
    writeFileSync(file, 'precious');
    refuses(file, /is there already and no socket/);
    const other = `${file}2`;
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(other, resolve));
    t.after(() => server.close());
    refuses(other, /is a socket in use/);
  });

  it('is refused where it cannot be made', (t) => {
    const made = folder(t);
    refuses(path.join(made, 'none', 'vsock'), /cannot listen at .*ENOENT .*make its folder/);
    refuses(path.join(made, 'x'.repeat(100)), /too long a path: at most 96 bytes/);
  });

  it("has the VM's name beside the control socket, unless it was given another", () => {
    assert.equal(vsockPath({ cid: 3 }, 'alpine'), path.join(runtimeDir(), 'alpine.vsock'));
    assert.equal(vsockPath({ cid: 3, socket: '/x' }, 'alpine'), '/x');
  });
});
