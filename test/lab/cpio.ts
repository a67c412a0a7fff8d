/**
 * Writes "newc" cpio archives, what Linux unpacks as an initramfs
 * (Documentation/driver-api/early-userspace/buffer-format.rst). Archives may simply be concatenated, which
 * is how the lab appends what changes to what does not.
 */

const S_IFDIR = 0o040000;
const S_IFCHR = 0o020000;
const S_IFREG = 0o100000;
const S_IFLNK = 0o120000;

/** Concatenated archives must start at a multiple of 4; a block is what cpio(1) itself pads to. */
const BLOCK = 512;

interface Member {
  readonly mode: number;
  readonly data: Uint8Array;
  readonly device: readonly [major: number, minor: number];
}

export class CpioArchive {
  readonly #chunks: Uint8Array[] = [];
  readonly #names = new Set<string>();
  #inode = 1;

  /** Names are absolute or relative; parents are made as needed. The first to take a name wins. */
  file(name: string, data: Uint8Array | string, permissions = 0o644): this {
    return this.#add(name, { mode: S_IFREG | permissions, data: toBytes(data), device: [0, 0] });
  }

  directory(name: string, permissions = 0o755): this {
    return this.#add(name, { mode: S_IFDIR | permissions, data: new Uint8Array(), device: [0, 0] });
  }

  symlink(name: string, target: string): this {
    return this.#add(name, { mode: S_IFLNK | 0o777, data: toBytes(target), device: [0, 0] });
  }

  characterDevice(name: string, major: number, minor: number): this {
    return this.#add(name, { mode: S_IFCHR | 0o600, data: new Uint8Array(), device: [major, minor] });
  }

  /** The whole archive. Nothing may be added afterwards. */
  finish(): Buffer {
    this.#append('TRAILER!!!', { mode: 0, data: new Uint8Array(), device: [0, 0] });
    const bytes = Buffer.concat(this.#chunks);
    return Buffer.concat([bytes, Buffer.alloc(-bytes.length & (BLOCK - 1))]);
  }

  #add(name: string, member: Member): this {
    const relative = name.replace(/^\/+/, '');
    if (this.#names.has(relative)) return this;
    const slash = relative.lastIndexOf('/');
    if (slash > 0) this.directory(relative.slice(0, slash));
    this.#names.add(relative);
    this.#append(relative, member);
    return this;
  }

  #append(name: string, { mode, data, device }: Member): void {
    const nameBytes = toBytes(`${name}\0`);
    const links = (mode & S_IFDIR) === S_IFDIR ? 2 : 1;
    const owner = [0, 0]; // root: the image does not depend on who builds it
    const mtime = 0;
    const fields = [
      this.#inode++,
      mode,
      ...owner,
      links,
      mtime,
      data.length,
      0,
      0,
      ...device,
      nameBytes.length,
      0,
    ];
    const header = '070701' + fields.map((it) => it.toString(16).padStart(8, '0')).join('');
    this.#chunks.push(...padded(Buffer.concat([toBytes(header), nameBytes])), ...padded(data));
  }
}

function toBytes(data: Uint8Array | string): Uint8Array {
  return typeof data === 'string' ? Buffer.from(data) : data;
}

function padded(bytes: Uint8Array): Uint8Array[] {
  return [bytes, new Uint8Array(-bytes.length & 3)];
}
