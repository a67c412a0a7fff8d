/** A 9P2000.L client for tests of the server: messages as bytes, answers as fields. */
import assert from 'node:assert/strict';
import * as abi from '../../vmm-core/abi/ninep.ts';
import { NinepServer } from '../../vmm-core/backends/share/ninep/server.ts';
import { openShare } from '../../vmm-core/backends/share/openShare.ts';
import { closeFd } from '../../vmm-core/kvm/libc.ts';

export const MSIZE = 128 * 1024;

/** Fields of a message, in order. */
export class Fields {
  readonly #parts: Buffer[] = [];

  u8(value: number): this {
    return this.#add(1, (it) => it.writeUInt8(value));
  }
  u16(value: number): this {
    return this.#add(2, (it) => it.writeUInt16LE(value));
  }
  u32(value: number): this {
    return this.#add(4, (it) => it.writeUInt32LE(value >>> 0));
  }
  u64(value: number | bigint): this {
    return this.#add(8, (it) => it.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value))));
  }
  string(text: string | Buffer): this {
    const bytes = typeof text === 'string' ? Buffer.from(text) : text;
    return this.u16(bytes.length).bytes(bytes);
  }
  bytes(bytes: Uint8Array): this {
    this.#parts.push(Buffer.from(bytes));
    return this;
  }
  get all(): Buffer {
    return Buffer.concat(this.#parts);
  }
  #add(length: number, write: (into: Buffer) => void): this {
    const part = Buffer.alloc(length);
    write(part);
    this.#parts.push(part);
    return this;
  }
}

/** The answer to a message: what is behind its header, or an errno. */
export class Answer {
  readonly errno: number;
  readonly body: Buffer;
  #at = 0;

  constructor(bytes: Buffer, type: number) {
    assert.equal(bytes.readUInt32LE(0), bytes.length, 'the answer has the size that it says');
    const isError = bytes.readUInt8(4) === abi.P9_TLERROR + 1;
    if (!isError) assert.equal(bytes.readUInt8(4), type + 1);
    this.body = Buffer.from(bytes.subarray(abi.P9_HDRSZ));
    this.errno = isError ? this.body.readUInt32LE(0) : 0;
  }

  u8(): number {
    return this.body.readUInt8(this.#take(1));
  }
  u16(): number {
    return this.body.readUInt16LE(this.#take(2));
  }
  u32(): number {
    return this.body.readUInt32LE(this.#take(4));
  }
  u64(): bigint {
    return this.body.readBigUInt64LE(this.#take(8));
  }
  string(): string {
    return this.bytes(this.u16()).toString();
  }
  bytes(length: number): Buffer {
    return this.body.subarray(this.#take(length), this.#at);
  }
  qid(): { readonly type: number; readonly version: number; readonly path: bigint } {
    return { type: this.u8(), version: this.u32(), path: this.u64() };
  }
  get isAtEnd(): boolean {
    return this.#at === this.body.length;
  }
  #take(length: number): number {
    const at = this.#at;
    assert.ok(at + length <= this.body.length, 'the answer ends early');
    this.#at = at + length;
    return at;
  }
}

export interface Entry {
  readonly name: string;
  readonly type: number;
  readonly offset: bigint;
  readonly path: bigint;
}

export const ROOT = 1;

export class NinepClient {
  readonly server: NinepServer;
  readonly #rootFd: number;
  #nextFid = 100;
  roomBytes = MSIZE;

  constructor(folder: string, isReadOnly = true) {
    const opened = openShare({ path: folder, readonly: isReadOnly });
    this.#rootFd = opened.rootFd;
    this.server = new NinepServer(opened);
  }

  /** Up to where Linux's client begins: ROOT is the folder. */
  start(): this {
    const agreed = this.ask(abi.P9_TVERSION, new Fields().u32(MSIZE).string('9P2000.L'));
    assert.equal(agreed.u32(), MSIZE);
    assert.equal(agreed.string(), '9P2000.L');
    assert.equal(this.attach(ROOT).errno, 0);
    return this;
  }

  close(): void {
    this.server.reset();
    closeFd(this.#rootFd);
  }

  ask(type: number, fields: Fields, tag = 7): Answer {
    const body = fields.all;
    const header = new Fields()
      .u32(abi.P9_HDRSZ + body.length)
      .u8(type)
      .u16(tag).all;
    const answer = this.raw(Buffer.concat([header, body]));
    assert.equal(answer.readUInt16LE(5), tag);
    return new Answer(answer, type);
  }

  raw(message: Uint8Array): Buffer {
    this.server.request.set(message);
    const length = this.server.serve(message.length, this.roomBytes);
    assert.ok(length <= this.roomBytes);
    return Buffer.from(this.server.answer.subarray(0, length));
  }

  attach(fid: number): Answer {
    return this.ask(abi.P9_TATTACH, new Fields().u32(fid).u32(abi.P9_NOFID).string('root').string('').u32(0));
  }

  walk(from: number, to: number, ...names: readonly (string | Buffer)[]): Answer {
    const fields = new Fields().u32(from).u32(to).u16(names.length);
    for (const name of names) fields.string(name);
    return this.ask(abi.P9_TWALK, fields);
  }

  /** The fid of a path below the root; it must be there. */
  at(path: string): number {
    const fid = this.#nextFid++;
    const names = path.split('/').filter((it) => it !== '');
    const answer = this.walk(ROOT, fid, ...names);
    assert.equal(answer.errno, 0, `${path}: errno ${answer.errno}`);
    assert.equal(answer.u16(), names.length, `${path} is not there`);
    return fid;
  }

  open(fid: number, flags = 0): Answer {
    return this.ask(abi.P9_TLOPEN, new Fields().u32(fid).u32(flags));
  }

  create(fid: number, name: string, flags = abi.P9_DOTL_RDWR, mode = 0o644): Answer {
    return this.ask(abi.P9_TLCREATE, new Fields().u32(fid).string(name).u32(flags).u32(mode).u32(0));
  }

  read(fid: number, offset: number, count: number): Answer {
    return this.ask(abi.P9_TREAD, new Fields().u32(fid).u64(offset).u32(count));
  }

  write(fid: number, offset: number, data: Uint8Array): Answer {
    return this.ask(abi.P9_TWRITE, new Fields().u32(fid).u64(offset).u32(data.length).bytes(data));
  }

  clunk(fid: number): Answer {
    return this.ask(abi.P9_TCLUNK, new Fields().u32(fid));
  }

  /** All of a file. */
  contents(path: string): Buffer {
    const fid = this.at(path);
    assert.equal(this.open(fid).errno, 0);
    const parts: Buffer[] = [];
    for (let offset = 0; ;) {
      const answer = this.read(fid, offset, 4096);
      assert.equal(answer.errno, 0);
      const count = answer.u32();
      if (count === 0) break;
      parts.push(Buffer.from(answer.bytes(count)));
      offset += count;
    }
    this.clunk(fid);
    return Buffer.concat(parts);
  }

  /** All of a directory, by messages with room for so much. */
  list(path: string, count = 1000): Entry[] {
    const fid = this.at(path);
    assert.equal(this.open(fid).errno, 0);
    const found: Entry[] = [];
    for (let offset = 0n; ;) {
      const answer = this.ask(abi.P9_TREADDIR, new Fields().u32(fid).u64(offset).u32(count));
      assert.equal(answer.errno, 0);
      if (answer.u32() === 0) break;
      while (!answer.isAtEnd) {
        const { path: inode } = answer.qid();
        offset = answer.u64();
        found.push({ path: inode, offset, type: answer.u8(), name: answer.string() });
      }
    }
    this.clunk(fid);
    return found;
  }

  attributes(fid: number): {
    mode: number;
    uid: number;
    size: bigint;
    path: bigint;
    type: number;
    links: bigint;
  } {
    const answer = this.ask(abi.P9_TGETATTR, new Fields().u32(fid).u64(abi.P9_STATS_BASIC));
    assert.equal(answer.errno, 0);
    assert.equal(answer.u64(), BigInt(abi.P9_STATS_BASIC));
    const { type, path } = answer.qid();
    const [mode, uid] = [answer.u32(), answer.u32(), answer.u32()];
    const links = answer.u64();
    answer.u64();
    const size = answer.u64();
    assert.equal(answer.body.length, 153);
    return { mode: mode ?? 0, uid: uid ?? 0, size, path, type, links };
  }

  setattr(fid: number, valid: number, values: { mode?: number; size?: number; mtime?: number } = {}): Answer {
    const { mode = 0, size = 0, mtime = 0 } = values;
    return this.ask(
      abi.P9_TSETATTR,
      new Fields().u32(fid).u32(valid).u32(mode).u32(0).u32(0).u64(size).u64(0).u64(0).u64(mtime).u64(0),
    );
  }

  readlink(path: string): Answer {
    return this.ask(abi.P9_TREADLINK, new Fields().u32(this.at(path)));
  }
}
