/**
 * Finds the connection of a segment by addresses and ports. A guest that chooses them badly on purpose gains
 * nothing: the hash has a secret.
 */
import { randomFillSync } from 'node:crypto';
import type { IpPacket } from '../packet/ipPacket.ts';
import type { TcpSegment } from '../packet/tcpSegment.ts';
import type { TcpConnection } from './tcpConnection.ts';
import { MAX_CONNECTIONS, TCP_TAGS } from './tcpHost.ts';

const BUCKETS = 2 * MAX_CONNECTIONS;
const GENERATIONS = TCP_TAGS / MAX_CONNECTIONS;
/** Of IPv6: two addresses and two ports. */
export const KEY_WORDS = 9;
const NONE = -1;

export class ConnectionTable {
  readonly #slots = new Array<TcpConnection | undefined>(MAX_CONNECTIONS).fill(undefined);
  readonly #generations = new Uint16Array(MAX_CONNECTIONS);
  readonly #free = Int32Array.from({ length: MAX_CONNECTIONS }, (_, i) => MAX_CONNECTIONS - 1 - i);
  readonly #buckets = new Int32Array(BUCKETS).fill(NONE);
  readonly #next = new Int32Array(MAX_CONNECTIONS).fill(NONE);
  readonly #secret = randomFillSync(new Int32Array(2));
  /** Of the segment that was last looked for: addresses as the guest sends, then ports. */
  readonly key = new Int32Array(KEY_WORDS);
  keyWords = 0;
  size = 0;

  /** Its key remains in `key`, for `add`. */
  find(packet: IpPacket, { sourcePort, destinationPort }: TcpSegment): TcpConnection | undefined {
    const { key } = this;
    const words = packet.addressBytes >> 1; // two addresses, which follow each other
    for (let i = 0; i < words; i++) key[i] = packet.view.getInt32(packet.sourceAt + 4 * i);
    key[words] = (sourcePort << 16) | destinationPort;
    this.keyWords = words + 1;
    return this.#lookUp();
  }

  /** See `find`. */
  findOf(
    guest: Uint8Array,
    guestPort: number,
    peer: Uint8Array,
    peerPort: number,
  ): TcpConnection | undefined {
    const words = guest.length >> 2;
    for (let i = 0; i < words; i++) {
      this.key[i] = wordAt(guest, 4 * i);
      this.key[words + i] = wordAt(peer, 4 * i);
    }
    this.key[2 * words] = (guestPort << 16) | peerPort;
    this.keyWords = 2 * words + 1;
    return this.#lookUp();
  }

  get isFull(): boolean {
    return this.size === MAX_CONNECTIONS;
  }

  /** Of the key that was looked for last; there is room. */
  add(connection: TcpConnection): void {
    const slot = this.#free[MAX_CONNECTIONS - 1 - this.size] ?? 0;
    this.size++;
    this.#slots[slot] = connection;
    const generation = ((this.#generations[slot] ?? 0) + 1) % GENERATIONS;
    this.#generations[slot] = generation;
    connection.slot = slot;
    connection.tag = generation * MAX_CONNECTIONS + slot;
    connection.key = this.key.slice(0, this.keyWords);
    const bucket = this.#bucket();
    connection.bucket = bucket;
    this.#next[slot] = this.#buckets[bucket] ?? NONE;
    this.#buckets[bucket] = slot;
  }

  remove({ slot, bucket }: TcpConnection): void {
    this.#slots[slot] = undefined;
    this.size--;
    this.#free[MAX_CONNECTIONS - 1 - this.size] = slot;
    const after = this.#next[slot] ?? NONE;
    let at = this.#buckets[bucket] ?? NONE;
    if (at === slot) {
      this.#buckets[bucket] = after;
      return;
    }
    while (this.#next[at] !== slot) at = this.#next[at] ?? NONE;
    this.#next[at] = after;
  }

  /** undefined: that connection is gone. */
  byTag(tag: number): TcpConnection | undefined {
    const connection = this.#slots[tag % MAX_CONNECTIONS];
    return connection?.tag === tag ? connection : undefined;
  }

  /** Those that are there may be removed meanwhile. */
  forEach(visit: (connection: TcpConnection) => void): void {
    for (const connection of this.#slots) if (connection !== undefined) visit(connection);
  }

  #lookUp(): TcpConnection | undefined {
    for (let slot = this.#buckets[this.#bucket()] ?? NONE; slot !== NONE; slot = this.#next[slot] ?? NONE) {
      const connection = this.#slots[slot];
      if (connection !== undefined && this.#isKey(connection.key)) return connection;
    }
    return undefined;
  }

  #isKey(key: Int32Array): boolean {
    if (key.length !== this.keyWords) return false;
    for (let i = 0; i < key.length; i++) if (key[i] !== this.key[i]) return false;
    return true;
  }

  /** Murmur's mixing, from a secret on. */
  #bucket(): number {
    let hash = this.#secret[0] ?? 0;
    for (let i = 0; i < this.keyWords; i++) {
      hash = Math.imul(hash ^ (this.key[i] ?? 0), 0x5bd1_e995);
      hash ^= hash >>> 15;
    }
    hash = Math.imul(hash ^ (this.#secret[1] ?? 0), 0x85eb_ca6b | 0);
    return (hash ^ (hash >>> 13)) & (BUCKETS - 1);
  }
}

function wordAt(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] ?? 0) << 24) |
    ((bytes[at + 1] ?? 0) << 16) |
    ((bytes[at + 2] ?? 0) << 8) |
    (bytes[at + 3] ?? 0)
  );
}
