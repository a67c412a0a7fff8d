import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { constants, tmpdir } from 'node:os';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { Fields, MSIZE, NinepClient, ROOT } from '../../../../test/support/ninepClient.ts';
import * as abi from '../../../abi/ninep.ts';
import { MOST_OPEN_PLACES } from '../hostTree.ts';
import { MOST_OPEN_FILES } from './openFiles.ts';

const { EBADF, EEXIST, EINVAL, EISDIR, EMSGSIZE, ENAMETOOLONG, ENOENT, ENOTDIR, ENOTEMPTY, ENXIO } =
  constants.errno;
const { EOPNOTSUPP, EPERM, EPROTO, EROFS } = constants.errno;

/** A folder, and a secret beside it. */
function makeFolder(t: TestContext): string {
  const above = mkdtempSync(path.join(tmpdir(), 'trapframe-share-'));
  t.after(() => rmSync(above, { recursive: true }));
  writeFileSync(path.join(above, 'secret'), 'not for the guest');
  const folder = path.join(above, 'shared');
  mkdirSync(path.join(folder, 'sub/deep'), { recursive: true });
  writeFileSync(path.join(folder, 'hello'), 'hello, guest');
  writeFileSync(path.join(folder, 'sub/deep/leaf'), 'leaf');
  symlinkSync('../secret', path.join(folder, 'out'));
  symlinkSync('..', path.join(folder, 'up'));
  return folder;
}

function share(t: TestContext, options: { readonly isReadOnly?: boolean; readonly folder?: string } = {}) {
  const folder = options.folder ?? makeFolder(t);
  const client = new NinepClient(folder, options.isReadOnly ?? false).start();
  t.after(() => client.close());
  return { folder, client, on: (name: string) => path.join(folder, name) };
}

function errnoName(errno: number): string {
  return Object.entries(constants.errno).find(([, it]) => it === errno)?.[0] ?? String(errno);
}

function refuses(answer: { readonly errno: number }, errno: number, what = ''): void {
  assert.equal(errnoName(answer.errno), errnoName(errno), what);
}

describe('a session', () => {
  it('begins with Tversion, and no other message is taken before', (t) => {
    const client = new NinepClient(makeFolder(t));
    t.after(() => client.close());
    refuses(client.attach(ROOT), EPROTO);
    refuses(client.ask(abi.P9_TVERSION, new Fields().u32(1000).string('9P2000.L')), EMSGSIZE);
    const other = client.ask(abi.P9_TVERSION, new Fields().u32(8192).string('9P2000.u'));
    other.u32();
    assert.equal(other.string(), 'unknown');
    refuses(client.attach(ROOT), EPROTO);
    const huge = client.ask(abi.P9_TVERSION, new Fields().u32(0xffff_ffff).string('9P2000.L'));
    assert.equal(huge.u32(), 512 * 1024);
  });

  it('ends with the next Tversion: its fids are gone', (t) => {
    const { client } = share(t);
    const fid = client.at('hello');
    client.open(fid);
    client.start();
    refuses(client.read(fid, 0, 10), EBADF);
    assert.equal(client.server.session.openFiles, 0);
    assert.equal(client.server.session.fids, 1);
  });

  it('has fids for one thing each, until they are clunked', (t) => {
    const { client } = share(t);
    assert.equal(client.walk(ROOT, 5).errno, 0);
    refuses(client.walk(ROOT, 5), EBADF);
    refuses(client.attach(5), EBADF);
    assert.equal(client.clunk(5).errno, 0);
    refuses(client.clunk(5), EBADF);
    assert.equal(client.attach(5).errno, 0);
  });

  it('refuses authentication, extended attributes and what is not of its dialect', (t) => {
    const { client } = share(t);
    refuses(client.ask(abi.P9_TAUTH, new Fields().u32(9).string('root').string('').u32(0)), EOPNOTSUPP);
    refuses(client.ask(abi.P9_TXATTRWALK, new Fields().u32(ROOT).u32(9).string('user.x')), EOPNOTSUPP);
    for (const type of [0, 6, 7, 112, 124, 255]) refuses(client.ask(type, new Fields()), EOPNOTSUPP);
    assert.equal(client.ask(abi.P9_TFLUSH, new Fields().u16(7)).errno, 0);
  });

  it('answers messages that are cut anywhere, or say another size, with EINVAL', (t) => {
    const { client } = share(t);
    const whole = new Fields().u32(ROOT).u32(9).u16(1).string('hello').all;
    for (let length = 0; length < whole.length; length++)
      refuses(client.ask(abi.P9_TWALK, new Fields().bytes(whole.subarray(0, length))), EINVAL);
    for (const size of [0, 6, 100]) {
      const message = new Fields().u32(size).u8(abi.P9_TCLUNK).u16(1).u32(ROOT).all;
      assert.equal(client.raw(message).readUInt32LE(7), EINVAL);
    }
  });

  it('answers with EMSGSIZE where the answer has no room', (t) => {
    const { client } = share(t);
    client.roomBytes = 20;
    refuses(client.ask(abi.P9_TGETATTR, new Fields().u32(ROOT).u64(0)), EMSGSIZE);
    client.roomBytes = MSIZE;
    assert.equal(client.attributes(ROOT).type, abi.P9_QTDIR);
  });
});

describe('a walk', () => {
  it('goes as far as there are names, and then there is no new fid', (t) => {
    const { client } = share(t);
    const whole = client.walk(ROOT, 9, 'sub', 'deep', 'leaf');
    assert.equal(whole.u16(), 3);
    assert.deepEqual([whole.qid().type, whole.qid().type, whole.qid().type], [0x80, 0x80, 0]);
    const part = client.walk(ROOT, 10, 'sub', 'missing', 'leaf');
    assert.equal(part.u16(), 1);
    assert.equal(part.body.length, 2 + 13);
    refuses(client.clunk(10), EBADF);
    refuses(client.walk(ROOT, 10, 'missing'), ENOENT);
    refuses(client.walk(client.at('hello'), 10, 'x'), ENOTDIR);
    const names = Array.from({ length: 17 }, () => 'sub');
    refuses(client.walk(ROOT, 10, ...names), EINVAL);
  });

  it('takes no name that is none', (t) => {
    const { client } = share(t);
    for (const name of ['', '.', 'sub/deep', '/', 'sub\0', '../secret'])
      refuses(client.walk(ROOT, 9, name), EINVAL, JSON.stringify(name));
    refuses(client.walk(ROOT, 9, 'x'.repeat(256)), ENAMETOOLONG);
  });

  it('never leaves the folder: ".." ends there, and links are the guest\'s to follow', (t) => {
    const { client } = share(t);
    const root = client.attributes(ROOT).path;
    const up = client.walk(ROOT, 9, 'sub', '..', '..', '..');
    assert.equal(up.u16(), 4);
    assert.equal(client.attributes(9).path, root);
    refuses(client.walk(9, 10, 'secret'), ENOENT);
    for (const name of ['out', 'up']) {
      const fid = client.at(name);
      assert.equal(client.attributes(fid).type, abi.P9_QTSYMLINK);
      refuses(client.open(fid), ENXIO);
      refuses(client.walk(fid, 11, 'secret'), ENOTDIR);
    }
    assert.equal(client.readlink('out').string(), '../secret');
    refuses(client.readlink('hello'), EINVAL);
    assert.notEqual(client.list('').find((it) => it.name === '..')?.path, BigInt(statSync('..').ino));
    assert.equal(client.list('').find((it) => it.name === '..')?.path, root);
  });

  it('is not led astray when the host puts a link where a directory was', (t) => {
    const { client, on } = share(t);
    const deep = client.at('sub/deep');
    const leaf = client.at('sub/deep/leaf');
    renameSync(on('sub'), on('elsewhere'));
    symlinkSync('..', on('sub'));
    mkdirSync(path.join(on('..'), 'deep'));
    writeFileSync(path.join(on('..'), 'deep/leaf'), 'another');
    refuses(client.walk(ROOT, 12, 'sub', 'deep'), 0);
    refuses(client.clunk(12), EBADF);
    const opened = client.open(leaf);
    if (opened.errno === 0) assert.equal(client.read(leaf, 0, 10).body.toString('utf8', 4), 'leaf');
    assert.equal(client.attributes(deep).type, abi.P9_QTDIR);
  });

  it('sees what the host has there now', (t) => {
    const { client, on } = share(t);
    const before = client.at('hello');
    client.attributes(before);
    writeFileSync(on('new'), 'another file');
    renameSync(on('new'), on('hello'));
    assert.equal(client.contents('hello').toString(), 'another file');
    rmSync(on('hello'));
    refuses(client.walk(ROOT, 9, 'hello'), ENOENT);
  });

  it('keeps few descriptors open, and finds again what it has closed', (t) => {
    const { client, on } = share(t);
    const count = 2 * MOST_OPEN_PLACES;
    for (let i = 0; i < count; i++) {
      mkdirSync(on(`d${i}`));
      writeFileSync(on(`d${i}/f`), String(i));
    }
    const before = readdirSync('/proc/self/fd').length;
    const fids = Array.from({ length: count }, (_, i) => client.at(`d${i}/f`));
    assert.ok(readdirSync('/proc/self/fd').length - before <= MOST_OPEN_PLACES + 2);
    fids.forEach((fid, i) => {
      assert.equal(client.open(fid).errno, 0);
      assert.equal(client.read(fid, 0, 10).body.toString('utf8', 4), String(i));
      client.clunk(fid);
    });
    assert.equal(client.server.session.tree.places, 0);
    assert.equal(client.server.session.tree.openPlaces, 0);
  });

  it('has more files open than a process may, and goes on with each where it was', (t) => {
    const { client, on } = share(t);
    const count = MOST_OPEN_FILES + 100;
    const before = readdirSync('/proc/self/fd').length;
    mkdirSync(on('open'));
    const fids = Array.from({ length: count }, (_, i) => {
      const fid = client.at('open');
      assert.equal(client.create(fid, `f${i}`).errno, 0);
      assert.equal(client.write(fid, 0, Buffer.from('one')).u32(), 3);
      return fid;
    });
    const open = readdirSync('/proc/self/fd').length - before;
    assert.ok(open <= MOST_OPEN_FILES + MOST_OPEN_PLACES + 2, `${open} are open`);
    refuses(client.ask(abi.P9_TUNLINKAT, new Fields().u32(client.at('open')).string('f0').u32(0)), 0);
    fids.forEach((fid, i) => {
      assert.equal(client.write(fid, 3, Buffer.from(' two')).u32(), 4, `file ${i}`);
      assert.equal(client.read(fid, 0, 100).body.toString('utf8', 4), 'one two');
      client.clunk(fid);
    });
    assert.equal(readFileSync(on(`open/f${count - 1}`), 'utf8'), 'one two');
    assert.equal(client.server.session.openFiles, 0);
  });

  it('knows names that are no UTF-8', (t) => {
    const { client, folder } = share(t);
    const name = Buffer.from([0x66, 0xff, 0xe4]);
    writeFileSync(Buffer.concat([Buffer.from(`${folder}/`), name]), 'latin');
    assert.equal(client.walk(ROOT, 9, name).u16(), 1);
    assert.equal(client.attributes(9).size, 5n);
  });
});

describe('a file', () => {
  it('is read at any offset, and ends where it ends', (t) => {
    const { client } = share(t);
    const fid = client.at('hello');
    refuses(client.read(fid, 0, 5), EBADF, 'not open yet');
    assert.equal(client.open(fid).errno, 0);
    refuses(client.open(fid), EBADF, 'open already');
    assert.equal(client.read(fid, 7, 100).body.toString('utf8', 4), 'guest');
    assert.equal(client.read(fid, 12, 100).u32(), 0);
    assert.equal(client.read(fid, 2 ** 40, 100).u32(), 0);
    refuses(client.ask(abi.P9_TREAD, new Fields().u32(fid).u64(-1n).u32(9)), EINVAL);
    assert.equal(client.read(fid, 0, 0xffff_ffff).u32(), 12);
  });

  it('is created, written, truncated and removed', (t) => {
    const { client, on } = share(t);
    const fid = client.at('sub');
    assert.equal(client.create(fid, 'new', abi.P9_DOTL_RDWR, 0o600).qid().type, abi.P9_QTFILE);
    assert.equal(client.write(fid, 0, Buffer.from('0123456789')).u32(), 10);
    assert.equal(client.write(fid, 5, Buffer.from('abc')).u32(), 3);
    assert.equal(readFileSync(on('sub/new'), 'utf8'), '01234abc89');
    assert.equal(client.setattr(fid, abi.P9_ATTR_SIZE, { size: 4 }).errno, 0);
    assert.equal(readFileSync(on('sub/new'), 'utf8'), '0123');
    assert.equal(client.ask(abi.P9_TFSYNC, new Fields().u32(fid).u32(0)).errno, 0);
    assert.equal(client.ask(abi.P9_TFSYNC, new Fields().u32(fid).u32(1)).errno, 0);
    assert.equal(statSync(on('sub/new')).mode & 0o7777, 0o600);
    refuses(client.create(client.at('sub'), 'new', abi.P9_DOTL_RDWR | abi.P9_DOTL_EXCL), EEXIST);
    const again = client.at('sub');
    assert.equal(client.create(again, 'new', abi.P9_DOTL_WRONLY | abi.P9_DOTL_TRUNC).errno, 0);
    assert.equal(statSync(on('sub/new')).size, 0);
    assert.equal(client.ask(abi.P9_TREMOVE, new Fields().u32(client.at('sub/new'))).errno, 0);
    assert.ok(!existsSync(on('sub/new')));
    assert.equal(client.write(fid, 0, Buffer.from('still')).u32(), 5, 'who has it open still has it');
    assert.equal(client.attributes(fid).links, 0n);
  });

  it('of the data that a message says it has, all must be there', (t) => {
    const { client } = share(t);
    const fid = client.at('hello');
    client.open(fid, abi.P9_DOTL_RDWR);
    refuses(
      client.ask(abi.P9_TWRITE, new Fields().u32(fid).u64(0).u32(100).bytes(Buffer.from('few'))),
      EINVAL,
    );
    refuses(client.ask(abi.P9_TWRITE, new Fields().u32(fid).u64(0).u32(0xffff_ffff)), EINVAL);
    assert.equal(client.contents('hello').toString(), 'hello, guest');
  });

  it('may be written with data that the size of the message leaves out, as Linux before 4.18 did', (t) => {
    const { client } = share(t);
    const fid = client.at('hello');
    client.open(fid, abi.P9_DOTL_RDWR);
    const header = new Fields().u32(abi.P9_WRITE_HEADER).u8(abi.P9_TWRITE).u16(1).u32(fid).u64(0).u32(5);
    const answer = client.raw(header.bytes(Buffer.from('HELLO')).all);
    assert.equal(answer.readUInt8(4), abi.P9_TWRITE + 1);
    assert.equal(client.contents('hello').toString(), 'HELLO, guest');
  });

  it('never runs as its owner on the host', (t) => {
    const { client, on } = share(t);
    client.create(client.at(''), 'tool', abi.P9_DOTL_RDWR, 0o6755);
    assert.equal(statSync(on('tool')).mode & 0o6000, 0);
    assert.equal(client.setattr(client.at('tool'), abi.P9_ATTR_MODE, { mode: 0o6711 }).errno, 0);
    assert.equal(statSync(on('tool')).mode & 0o7777, 0o711);
  });

  it('has the times it is given', (t) => {
    const { client, on } = share(t);
    const fid = client.at('hello');
    const valid = abi.P9_ATTR_MTIME | abi.P9_ATTR_MTIME_SET;
    assert.equal(client.setattr(fid, valid, { mtime: 1_000_000 }).errno, 0);
    assert.equal(statSync(on('hello')).mtimeMs, 1e9);
    assert.equal(client.setattr(fid, abi.P9_ATTR_MTIME).errno, 0);
    assert.ok(statSync(on('hello')).mtimeMs > 1e12);
  });

  it('of another kind is not opened: a FIFO would have us wait', (t) => {
    const { client, on } = share(t);
    execFileSync('mkfifo', [on('fifo')]);
    refuses(client.open(client.at('fifo')), ENXIO);
    refuses(client.create(client.at(''), 'fifo', abi.P9_DOTL_RDWR), ENXIO);
    refuses(client.create(client.at(''), 'out', abi.P9_DOTL_RDWR), ENXIO);
    refuses(client.create(client.at(''), 'sub', abi.P9_DOTL_RDWR), EISDIR);
    refuses(client.setattr(client.at('fifo'), abi.P9_ATTR_SIZE, { size: 0 }), EINVAL);
    assert.equal(readFileSync(path.join(on('..'), 'secret'), 'utf8'), 'not for the guest');
  });
});

describe('a link', () => {
  it('is changed itself, not what it names', (t) => {
    const { client, on } = share(t);
    const secret = path.join(on('..'), 'secret');
    chmodSync(secret, 0o640);
    const fid = client.at('out');
    refuses(client.setattr(fid, abi.P9_ATTR_MODE, { mode: 0o777 }), EOPNOTSUPP);
    refuses(client.setattr(fid, abi.P9_ATTR_SIZE, { size: 0 }), EINVAL);
    client.setattr(fid, abi.P9_ATTR_MTIME | abi.P9_ATTR_MTIME_SET, { mtime: 5 });
    assert.ok(statSync(secret).mtimeMs > 1e12);
    assert.equal(lstatSync(on('out')).mtimeMs, 5000);
    assert.equal(statSync(secret).mode & 0o777, 0o640);
    refuses(client.ask(abi.P9_TLINK, new Fields().u32(ROOT).u32(fid).string('again')), 0);
    assert.equal(readlinkSync(on('again')), '../secret');
  });

  it('may name anything, and is made and read as it is', (t) => {
    const { client, on } = share(t);
    const make = (name: string, target: string) =>
      client.ask(abi.P9_TSYMLINK, new Fields().u32(ROOT).string(name).string(target).u32(0));
    assert.equal(make('etc', '/etc/passwd').qid().type, abi.P9_QTSYMLINK);
    assert.equal(readlinkSync(on('etc')), '/etc/passwd');
    assert.equal(client.readlink('etc').string(), '/etc/passwd');
    refuses(make('etc', 'x'), EEXIST);
    refuses(make('nul', 'a\0b'), EINVAL);
    refuses(make('../x', 'a'), EINVAL);
    refuses(make('long', 'x'.repeat(4096)), ENAMETOOLONG);
  });
});

describe('a directory', () => {
  it('is listed whole, by messages of any size', (t) => {
    const { client, on } = share(t);
    const names = Array.from({ length: 3000 }, (_, i) => `file-${i}-${'x'.repeat(i % 60)}`);
    mkdirSync(on('many'));
    for (const name of names) writeFileSync(on(`many/${name}`), '');
    for (const count of [100, 1000, 64 * 1024]) {
      const found = client.list('many', count).map((it) => it.name);
      assert.deepEqual(found.sort(), ['.', '..', ...names].sort());
    }
    const fid = client.at('many');
    client.open(fid);
    refuses(client.ask(abi.P9_TREADDIR, new Fields().u32(fid).u64(0).u32(10)), EINVAL);
    refuses(client.read(fid, 0, 10), EISDIR);
    refuses(client.write(fid, 0, Buffer.from('x')), EISDIR);
    refuses(client.open(client.at('many'), abi.P9_DOTL_RDWR), EISDIR);
    const file = client.at('hello');
    client.open(file);
    refuses(client.ask(abi.P9_TREADDIR, new Fields().u32(file).u64(0).u32(100)), ENOTDIR);
  });

  it('is made and removed, when it is empty', (t) => {
    const { client, on } = share(t);
    const mkdir = (name: string) =>
      client.ask(abi.P9_TMKDIR, new Fields().u32(ROOT).string(name).u32(0o755).u32(0));
    const unlink = (name: string, flags = 0) =>
      client.ask(abi.P9_TUNLINKAT, new Fields().u32(ROOT).string(name).u32(flags));
    assert.equal(mkdir('made').qid().type, abi.P9_QTDIR);
    assert.ok(statSync(on('made')).isDirectory());
    refuses(mkdir('made'), EEXIST);
    refuses(mkdir('..'), EINVAL);
    refuses(unlink('made'), EISDIR);
    refuses(unlink('sub', abi.P9_DOTL_AT_REMOVEDIR), ENOTEMPTY);
    refuses(unlink('..', abi.P9_DOTL_AT_REMOVEDIR), EINVAL);
    refuses(unlink('hello', 4), EINVAL);
    refuses(unlink('hello', abi.P9_DOTL_AT_REMOVEDIR), ENOTDIR);
    assert.equal(unlink('made', abi.P9_DOTL_AT_REMOVEDIR).errno, 0);
    assert.equal(unlink('hello').errno, 0);
    assert.deepEqual(readdirSync(on('')).sort(), ['out', 'sub', 'up']);
  });

  it('is renamed with all that is open below it', (t) => {
    const { client, on } = share(t);
    const leaf = client.at('sub/deep/leaf');
    const renameat = (from: number, old: string, to: number, name: string) =>
      client.ask(abi.P9_TRENAMEAT, new Fields().u32(from).string(old).u32(to).string(name));
    assert.equal(renameat(ROOT, 'sub', ROOT, 'moved').errno, 0);
    assert.equal(client.open(leaf).errno, 0);
    const deep = client.at('moved/deep');
    assert.equal(client.ask(abi.P9_TRENAME, new Fields().u32(deep).u32(ROOT).string('up2')).errno, 0);
    assert.equal(client.contents('up2/leaf').toString(), 'leaf');
    assert.equal(client.attributes(deep).path, client.attributes(client.at('up2')).path);
    assert.equal(renameat(client.at('up2'), 'leaf', ROOT, 'hello').errno, 0);
    assert.equal(readFileSync(on('hello'), 'utf8'), 'leaf');
    refuses(renameat(ROOT, 'up2', client.at('up2'), 'inside'), EINVAL);
    refuses(renameat(ROOT, '..', ROOT, 'x'), EINVAL);
    refuses(renameat(ROOT, 'hello', ROOT, 'a/b'), EINVAL);
  });

  it('removes and renames no file that the host has put in place of an open one', (t) => {
    const { client, on } = share(t);
    const [removed, renamed] = [client.at('hello'), client.at('hello')];
    for (const fid of [removed, renamed]) assert.equal(client.open(fid).errno, 0);
    writeFileSync(on('saved'), 'another');
    renameSync(on('saved'), on('hello'));
    refuses(client.ask(abi.P9_TRENAME, new Fields().u32(renamed).u32(ROOT).string('moved')), ENOENT);
    refuses(client.ask(abi.P9_TREMOVE, new Fields().u32(removed)), ENOENT);
    assert.equal(readFileSync(on('hello'), 'latin1'), 'another');
    assert.equal(client.read(renamed, 0, 5).u32(), 5); // what it has open is still the file that it was
  });

  it('leaves two names of one file as they are when one is renamed to the other', (t) => {
    const { client, on } = share(t);
    linkSync(on('hello'), on('twin'));
    const [hello, twin] = [client.at('hello'), client.at('twin')];
    const fields = new Fields().u32(ROOT).string('hello').u32(ROOT).string('twin');
    assert.equal(client.ask(abi.P9_TRENAMEAT, fields).errno, 0);
    assert.deepEqual([existsSync(on('hello')), existsSync(on('twin'))], [true, true]); // rename(2)
    assert.equal(client.ask(abi.P9_TREMOVE, new Fields().u32(hello)).errno, 0);
    assert.deepEqual([existsSync(on('hello')), existsSync(on('twin'))], [false, true]);
    assert.equal(client.ask(abi.P9_TREMOVE, new Fields().u32(twin)).errno, 0);
  });

  it('has nodes of the guest only where they are no devices', (t) => {
    const { client, on } = share(t);
    const mknod = (name: string, mode: number) =>
      client.ask(abi.P9_TMKNOD, new Fields().u32(ROOT).string(name).u32(mode).u32(1).u32(3).u32(0));
    refuses(mknod('null', 0o020666), EPERM);
    refuses(mknod('disk', 0o060666), EPERM);
    assert.equal(mknod('fifo', 0o010600).errno, 0);
    assert.ok(statSync(on('fifo')).isFIFO());
    assert.equal(mknod('plain', 0o100600).errno, 0);
    assert.ok(statSync(on('plain')).isFile());
  });
});

describe('a read-only share', () => {
  it('refuses every change with EROFS', (t) => {
    const { client, folder } = share(t, { isReadOnly: true });
    const before = execFileSync('ls', ['-lRi', '--time-style=full-iso', folder]).toString();
    const hello = client.at('hello');
    const requests: readonly (readonly [number, Fields])[] = [
      [abi.P9_TLCREATE, new Fields().u32(ROOT).string('x').u32(2).u32(0o644).u32(0)],
      [abi.P9_TMKDIR, new Fields().u32(ROOT).string('x').u32(0o755).u32(0)],
      [abi.P9_TSYMLINK, new Fields().u32(ROOT).string('x').string('y').u32(0)],
      [abi.P9_TMKNOD, new Fields().u32(ROOT).string('x').u32(0o100644).u32(0).u32(0).u32(0)],
      [abi.P9_TLINK, new Fields().u32(ROOT).u32(hello).string('x')],
      [abi.P9_TRENAME, new Fields().u32(hello).u32(ROOT).string('x')],
      [abi.P9_TRENAMEAT, new Fields().u32(ROOT).string('hello').u32(ROOT).string('x')],
      [abi.P9_TUNLINKAT, new Fields().u32(ROOT).string('hello').u32(0)],
      [abi.P9_TREMOVE, new Fields().u32(client.at('hello'))],
      ...[1, 2, abi.P9_DOTL_TRUNC].map(
        (flags) => [abi.P9_TLOPEN, new Fields().u32(hello).u32(flags)] as const,
      ),
    ];
    for (const [type, fields] of requests) refuses(client.ask(type, fields), EROFS, `message ${type}`);
    for (let bit = 0; bit < 9; bit++) refuses(client.setattr(hello, 1 << bit), EROFS);
    assert.equal(client.open(hello).errno, 0);
    refuses(client.write(hello, 0, Buffer.from('x')), EROFS);
    assert.equal(execFileSync('ls', ['-lRi', '--time-style=full-iso', folder]).toString(), before);
  });

  it('grants locks, and tells how full the disk is', (t) => {
    const { client } = share(t, { isReadOnly: true });
    const range = new Fields().u32(ROOT).u8(1).u32(0).u64(0).u64(0).u32(1).string('guest');
    assert.equal(client.ask(abi.P9_TLOCK, range).u8(), abi.P9_LOCK_SUCCESS);
    const asked = new Fields().u32(ROOT).u8(1).u64(5).u64(6).u32(1).string('guest');
    const known = client.ask(abi.P9_TGETLOCK, asked);
    assert.deepEqual(
      [known.u8(), known.u64(), known.u64(), known.u32(), known.string()],
      [2, 5n, 6n, 1, 'guest'],
    );
    const space = client.ask(abi.P9_TSTATFS, new Fields().u32(ROOT));
    assert.equal(space.u32(), abi.V9FS_MAGIC);
    assert.ok(space.u32() >= 512);
    assert.equal(space.body.length, 60);
  });
});
