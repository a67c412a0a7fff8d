/**
 * Guests of a shared folder. One kind is correct, and does to a small tree what it does to a model of it in
 * memory: both have to be the same, message by message and in the end. The other sends what it likes, while
 * the host moves things about: nothing is thrown, each answer is one, and what is beside the folder stays as
 * it is.
 */
import assert from 'node:assert/strict';
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as abi from '../../vmm-core/abi/ninep.ts';
import { randomNumbers } from './devices.ts';
import { type Answer, Fields, MSIZE, NinepClient, ROOT } from './ninepClient.ts';

type Random = (below: number) => number;

const STEPS = 120;
const NAMES = ['a', 'b', 'c', 'd'];
const FIDS = 12;
const SECRET = 'not for the guest';

interface Folder {
  readonly kind: 'folder';
  readonly entries: Map<string, Node>;
  /** Its name and all above it are still there. */
  parent: Folder | undefined;
}
interface File {
  readonly kind: 'file';
  data: Buffer;
}
interface Link {
  readonly kind: 'link';
  readonly target: string;
}
type Node = Folder | File | Link;

export function ninepRound(seed: number): void {
  const random = randomNumbers(seed + 1);
  const above = mkdtempSync(path.join(tmpdir(), 'trapframe-fuzz-9p-'));
  try {
    const folder = path.join(above, 'shared');
    mkdirSync(folder);
    writeFileSync(path.join(above, 'secret'), SECRET);
    if (seed % 2 === 0) new CorrectGuest(folder, random).run();
    else hostileRound(folder, random);
    assert.equal(readFileSync(path.join(above, 'secret'), 'utf8'), SECRET);
    assert.deepEqual(readdirSync(above).sort(), ['secret', 'shared']);
  } finally {
    rmSync(above, { recursive: true });
  }
}

/** Knows of each of its fids which node of the model it is. */
class CorrectGuest {
  readonly #folder: string;
  readonly #random: Random;
  readonly #client: NinepClient;
  readonly #root: Folder = { kind: 'folder', entries: new Map(), parent: undefined };
  readonly #fids = new Map<number, { node: Node; isOpen: boolean }>();

  constructor(folder: string, random: Random) {
    this.#folder = folder;
    this.#random = random;
    this.#client = new NinepClient(folder, false).start();
    this.#fids.set(ROOT, { node: this.#root, isOpen: false });
  }

  run(): void {
    for (let step = 0; step < STEPS; step++) this.#step();
    assert.deepEqual(hostTree(this.#folder), modelTree(this.#root));
    this.#client.close();
    const { session } = this.#client.server;
    assert.deepEqual([session.openFiles, session.fids, session.tree.places], [0, 0, 0]);
    assert.equal(session.tree.openPlaces, 0);
  }

  #step(): void {
    switch (this.#random(12)) {
      case 0:
      case 1:
      case 2:
        return this.#walk();
      case 3:
        return this.#make();
      case 4:
        return this.#create();
      case 5:
        return this.#rename();
      case 6:
        return this.#remove();
      case 7:
        return this.#list();
      case 8:
        return this.#clunk();
      default:
        return this.#transfer();
    }
  }

  #walk(): void {
    const [from, to] = [this.#anyFid(), 2 + this.#random(FIDS)];
    const start = this.#fids.get(from);
    const names = Array.from({ length: this.#random(4) }, () => this.#name('..'));
    let node = start?.node;
    let steps = 0;
    for (const name of names) {
      const next = node === undefined ? undefined : stepOf(node, name, this.#root);
      if (next === undefined) break;
      node = next;
      steps++;
    }
    const isFree = to === from ? start?.isOpen === false : !this.#fids.has(to);
    const answer = this.#client.walk(from, to, ...names);
    if (!isFree || (steps === 0 && names.length > 0)) return assert.notEqual(answer.errno, 0);
    assert.equal(answer.errno, 0);
    assert.equal(answer.u16(), steps);
    if (steps === names.length && node !== undefined) this.#fids.set(to, { node, isOpen: false });
  }

  #make(): void {
    const { fid, folder } = this.#anyFolder();
    const name = this.#name('');
    const mayBe = folder !== undefined && name !== '' && !folder.entries.has(name);
    if (this.#random(3) === 0) {
      const target = ['../secret', '/', 'a', '..'][this.#random(4)] ?? '';
      const fields = new Fields().u32(fid).string(name).string(target).u32(0);
      if (this.#told(this.#client.ask(abi.P9_TSYMLINK, fields), mayBe))
        folder?.entries.set(name, { kind: 'link', target });
      return;
    }
    const fields = new Fields().u32(fid).string(name).u32(0o755).u32(0);
    if (this.#told(this.#client.ask(abi.P9_TMKDIR, fields), mayBe))
      folder?.entries.set(name, { kind: 'folder', entries: new Map(), parent: folder });
  }

  #create(): void {
    const { fid, folder, isOpen } = this.#anyFolder();
    const name = this.#name('');
    const there = folder?.entries.get(name);
    const isExclusive = this.#random(2) === 0;
    const mayBe =
      folder !== undefined &&
      !isOpen &&
      name !== '' &&
      (there === undefined || (there.kind === 'file' && !isExclusive));
    const flags = abi.P9_DOTL_RDWR | (isExclusive ? abi.P9_DOTL_EXCL : 0);
    if (fid === ROOT) return; // the one fid that is kept
    const isMade = this.#told(this.#client.create(fid, name, flags), mayBe);
    if (!isMade) {
      // Where it could not be opened, the fid may have become the file.
      this.#client.clunk(fid);
      this.#fids.delete(fid);
      return;
    }
    const node: Node = there ?? { kind: 'file', data: Buffer.alloc(0) };
    folder?.entries.set(name, node);
    this.#fids.set(fid, { node, isOpen: true });
  }

  #rename(): void {
    const from = this.#anyFolder();
    const to = this.#anyFolder();
    const [oldName, newName] = [this.#name(''), this.#name('')];
    const moved = from.folder?.entries.get(oldName);
    const replaced = to.folder?.entries.get(newName);
    const mayBe =
      from.folder !== undefined &&
      to.folder !== undefined &&
      moved !== undefined &&
      newName !== '' &&
      (moved === replaced || canReplace(moved, replaced)) &&
      !isWithin(to.folder, moved) &&
      !(replaced?.kind === 'folder' && moved !== replaced && isWithin(from.folder, replaced));
    const fields = new Fields().u32(from.fid).string(oldName).u32(to.fid).string(newName);
    if (!this.#told(this.#client.ask(abi.P9_TRENAMEAT, fields), mayBe) || moved === undefined) return;
    if (moved === replaced) return; // two names of one file: nothing is done
    if (replaced?.kind === 'folder') replaced.parent = undefined;
    from.folder?.entries.delete(oldName);
    to.folder?.entries.set(newName, moved);
    if (moved.kind === 'folder') moved.parent = to.folder;
  }

  #remove(): void {
    const { fid, folder } = this.#anyFolder();
    const name = this.#name('');
    const there = folder?.entries.get(name);
    const flags = this.#random(2) === 0 ? abi.P9_DOTL_AT_REMOVEDIR : 0;
    const mayBe =
      there !== undefined &&
      (there.kind === 'folder' ? flags !== 0 && there.entries.size === 0 : flags === 0);
    const fields = new Fields().u32(fid).string(name).u32(flags);
    if (!this.#told(this.#client.ask(abi.P9_TUNLINKAT, fields), mayBe)) return;
    if (there?.kind === 'folder') there.parent = undefined;
    folder?.entries.delete(name);
  }

  #list(): void {
    const path_ = this.#anyPath();
    const found = this.#client.list(path_.text, 60 + this.#random(200)).map((it) => it.name);
    assert.deepEqual(found.sort(), ['.', '..', ...path_.folder.entries.keys()].sort());
  }

  #clunk(): void {
    const fid = 2 + this.#random(FIDS);
    assert.equal(this.#client.clunk(fid).errno === 0, this.#fids.delete(fid));
  }

  /** Opens, writes, reads, truncates. */
  #transfer(): void {
    const fid = this.#anyFid();
    const known = this.#fids.get(fid);
    if (known?.node.kind !== 'file') return;
    const { node } = known;
    if (!known.isOpen) {
      known.isOpen = this.#client.open(fid, abi.P9_DOTL_RDWR).errno === 0;
      // One that was removed cannot be opened any more.
      assert.ok(known.isOpen || !holds(this.#root, node));
      return;
    }
    const offset = this.#random(300);
    if (this.#random(5) === 0) {
      assert.equal(this.#client.setattr(fid, abi.P9_ATTR_SIZE, { size: offset }).errno, 0);
      node.data = Buffer.concat([node.data, Buffer.alloc(offset)]).subarray(0, offset);
    } else if (this.#random(2) === 0) {
      const data = Buffer.from(Array.from({ length: this.#random(200) }, () => this.#random(256)));
      assert.equal(this.#client.write(fid, offset, data).u32(), data.length);
      const end = data.length === 0 ? 0 : offset + data.length;
      if (node.data.length < end)
        node.data = Buffer.concat([node.data, Buffer.alloc(end - node.data.length)]);
      data.copy(node.data, offset);
    } else {
      const answer = this.#client.read(fid, offset, 150);
      assert.equal(answer.errno, 0);
      assert.deepEqual(answer.bytes(answer.u32()), node.data.subarray(offset, offset + 150));
    }
    assert.equal(this.#client.attributes(fid).size, BigInt(node.data.length));
  }

  /** True: it was done. */
  #told({ errno }: Answer, mayBe: boolean): boolean {
    assert.equal(errno === 0, mayBe, `errno ${errno}`);
    return mayBe;
  }

  #name(other: string): string {
    return this.#random(10) === 0 ? other : (NAMES[this.#random(NAMES.length)] ?? '');
  }

  #anyFid(): number {
    const all = [...this.#fids.keys()];
    return all[this.#random(all.length)] ?? ROOT;
  }

  /** Of a fid that is a folder, and still there: in what is gone the kernel decides. */
  #anyFolder(): { readonly fid: number; readonly folder: Folder | undefined; readonly isOpen: boolean } {
    const fid = this.#anyFid();
    const known = this.#fids.get(fid);
    if (known?.node.kind !== 'folder') return { fid, folder: undefined, isOpen: known?.isOpen ?? false };
    if (!isWithin(known.node, this.#root)) return { fid: ROOT, folder: this.#root, isOpen: false };
    return { fid, folder: known.node, isOpen: known.isOpen };
  }

  #anyPath(): { readonly text: string; readonly folder: Folder } {
    let folder = this.#root;
    const names: string[] = [];
    while (this.#random(3) !== 0) {
      const below = [...folder.entries].find(([, it]) => it.kind === 'folder');
      if (below?.[1].kind !== 'folder') break;
      names.push(below[0]);
      folder = below[1];
    }
    return { text: names.join('/'), folder };
  }
}

function stepOf(node: Node, name: string, root: Folder): Node | undefined {
  if (name === '..') return node.kind === 'folder' ? (node.parent ?? root) : parentOf(root, node);
  if (node.kind !== 'folder' || name === '') return undefined;
  return isWithin(node, root) ? node.entries.get(name) : undefined;
}

/** 9P lets a client go up from a file. */
function parentOf(folder: Folder, node: Node): Folder {
  return findParent(folder, node) ?? folder;
}

function findParent(folder: Folder, node: Node): Folder | undefined {
  for (const it of folder.entries.values()) {
    if (it === node) return folder;
    const found = it.kind === 'folder' ? findParent(it, node) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

function holds(folder: Folder, node: Node): boolean {
  return findParent(folder, node) !== undefined;
}

function isWithin(folder: Folder, node: Node): boolean {
  for (let it: Folder | undefined = folder; it !== undefined; it = it.parent) if (it === node) return true;
  return false;
}

function canReplace(moved: Node, replaced: Node | undefined): boolean {
  if (replaced === undefined) return true;
  if (moved.kind !== 'folder') return replaced.kind !== 'folder';
  return replaced.kind === 'folder' && replaced.entries.size === 0;
}

function modelTree(folder: Folder): unknown {
  const all = [...folder.entries].map(([name, node]) => {
    if (node.kind === 'folder') return [name, modelTree(node)];
    return [name, node.kind === 'link' ? `-> ${node.target}` : node.data.toString('hex')];
  });
  return Object.fromEntries(all);
}

function hostTree(folder: string): unknown {
  const all = readdirSync(folder).map((name) => {
    const file = path.join(folder, name);
    const stats = lstatSync(file);
    if (stats.isDirectory()) return [name, hostTree(file)];
    return [name, stats.isSymbolicLink() ? `-> ${readlinkSync(file)}` : readFileSync(file).toString('hex')];
  });
  return Object.fromEntries(all);
}

const TYPES = [
  ...[abi.P9_TSTATFS, abi.P9_TLOPEN, abi.P9_TLCREATE, abi.P9_TSYMLINK, abi.P9_TMKNOD, abi.P9_TRENAME],
  ...[abi.P9_TREADLINK, abi.P9_TGETATTR, abi.P9_TSETATTR, abi.P9_TXATTRWALK, abi.P9_TREADDIR, abi.P9_TFSYNC],
  ...[abi.P9_TLOCK, abi.P9_TGETLOCK, abi.P9_TLINK, abi.P9_TMKDIR, abi.P9_TRENAMEAT, abi.P9_TUNLINKAT],
  ...[abi.P9_TWALK, abi.P9_TWALK, abi.P9_TREAD, abi.P9_TWRITE, abi.P9_TCLUNK, abi.P9_TREMOVE, abi.P9_TATTACH],
];
/** What each begins with: fids, then names. */
const WORDS = ['a', 'b', 'c', '..', '.', '', '../secret', '/', 'a/b', 'a\0', 'x'.repeat(300), 'up'];

function hostileRound(folder: string, random: Random): void {
  for (const name of ['a', 'b']) mkdirSync(path.join(folder, name));
  writeFileSync(path.join(folder, 'c'), 'content');
  symlinkSync('..', path.join(folder, 'up'));
  const isReadOnly = random(4) === 0;
  const before = hostTree(folder);
  const client = new NinepClient(folder, isReadOnly).start();
  for (let step = 0; step < STEPS; step++) {
    client.roomBytes = random(10) === 0 ? abi.P9_READ_HEADER + random(40) : MSIZE;
    const answer = client.raw(hostileMessage(random));
    assert.ok(answer.length >= abi.P9_HDRSZ && answer.readUInt32LE(0) === answer.length);
    if (!isReadOnly && random(20) === 0) disturb(folder, random);
    if (random(60) === 0) client.roomBytes = MSIZE;
  }
  if (isReadOnly) assert.deepEqual(hostTree(folder), before);
  client.close();
  const { session } = client.server;
  assert.deepEqual([session.openFiles, session.fids, session.tree.places], [0, 0, 0]);
}

function hostileMessage(random: Random): Buffer {
  const fields = new Fields();
  const fid = (): number => (random(12) === 0 ? random(2 ** 31) : random(6));
  const type = random(30) === 0 ? random(256) : (TYPES[random(TYPES.length)] ?? 0);
  fields.u32(fid());
  if (type === abi.P9_TWALK) {
    const names = random(4);
    fields.u32(fid()).u16(random(30) === 0 ? random(0x1_0000) : names);
    for (let i = 0; i < names; i++) fields.string(WORDS[random(WORDS.length)] ?? '');
  } else if (type === abi.P9_TLINK || type === abi.P9_TRENAME) {
    fields.u32(fid()).string(WORDS[random(WORDS.length)] ?? '');
  } else if (type === abi.P9_TREAD || type === abi.P9_TREADDIR) {
    fields
      .u64(random(3) === 0 ? random(2 ** 31) * 2 ** 20 : random(100))
      .u32(random(2) === 0 ? 0xffff_ffff : random(500));
  } else {
    for (let left = random(4); left > 0; left--)
      if (random(2) === 0) fields.string(WORDS[random(WORDS.length)] ?? '');
      else fields.u32(random(3) === 0 ? random(2 ** 31) : random(8));
    fields.bytes(Buffer.alloc(random(60), random(256)));
  }
  const body = fields.all;
  const size = abi.P9_HDRSZ + body.length;
  const header = new Fields()
    .u32(random(20) === 0 ? random(2 * size) : size)
    .u8(type)
    .u16(random(0x1_0000));
  const whole = Buffer.concat([header.all, body]);
  if (random(15) === 0) whole[random(whole.length)] = random(256);
  // Tversion ends what is there, and is a message of its own kind.
  if (whole[4] === abi.P9_TVERSION) whole[4] = abi.P9_TFLUSH;
  return random(15) === 0 ? whole.subarray(0, abi.P9_HDRSZ + random(body.length + 1)) : whole;
}

/** What a user of the host may do meanwhile. */
function disturb(folder: string, random: Random): void {
  const [one, other] = [path.join(folder, NAMES[random(4)] ?? ''), path.join(folder, NAMES[random(4)] ?? '')];
  try {
    if (random(2) === 0) renameSync(one, other);
    else {
      rmSync(one, { recursive: true, force: true });
      symlinkSync('..', one);
    }
  } catch {
    // It is not there, or not to be replaced: then not.
  }
}
