/**
 * A 9P2000.L server for a folder of the host: request in, answer out. It answers one message at a time, and
 * whatever is in it; what a message asks of the host's file system is done when its answer is there. No
 * message is waited for, none is answered late, so that tags need no table. On the thread that serves the
 * share, which a slow disk holds up: a share has one of its own.
 */
import { P9_HDRSZ, P9_TVERSION } from '../../../abi/ninep.ts';
import { EINVAL, EMSGSIZE, EOPNOTSUPP, EPROTO } from '../../../kvm/errno.ts';
import { ATTRIBUTES } from './attributes.ts';
import { CHANGES } from './changes.ts';
import { DATA } from './data.ts';
import { type Handler, type MessageData, NinepSession, type SessionOptions } from './session.ts';
import { WALKING } from './walking.ts';

/** By type. What is not here is not part of the dialect, or is of extended attributes and authentication. */
const HANDLERS: readonly (Handler | undefined)[] = Array.from(
  { length: 256 },
  (_, type) => WALKING[type] ?? ATTRIBUTES[type] ?? DATA[type] ?? CHANGES[type],
);

export class NinepServer {
  readonly session: NinepSession;
  messages = 0;
  errors = 0;

  constructor(options: SessionOptions) {
    this.session = new NinepSession(options);
  }

  /** Where a request is put, and where its answer is then. */
  get request(): Uint8Array {
    return this.session.reader.bytes;
  }

  get answer(): Uint8Array {
    return this.session.writer.bytes;
  }

  /** What the message in `request` is, as far as it has a header. */
  get type(): number {
    return this.request[4] ?? 0;
  }

  /**
   * Answers what is in `request`, which has at least a header. `roomBytes`: for the answer, and for an error
   * at least. `data`: has the data of Tread and Twrite, of which `request` and
   * `answer` then only have the header. Returns the answer's length.
   */
  serve(lengthBytes: number, roomBytes: number, data?: MessageData): number {
    const { session } = this;
    session.data = data;
    const { reader, writer } = session;
    this.messages++;
    reader.begin(lengthBytes);
    const size = reader.u32();
    const type = reader.u8();
    const tag = reader.u16();
    const most = session.msize === 0 ? roomBytes : Math.min(roomBytes, session.msize);
    writer.begin(type + 1, tag, Math.min(most, writer.bytes.length));
    session.lengthBytes = lengthBytes;
    const errno = this.#perform(type, size, lengthBytes);
    if (errno === 0 && !writer.isFull) return writer.end();
    this.errors++;
    return writer.error(tag, errno === 0 ? EMSGSIZE : errno);
  }

  /** The driver has gone, or begins anew. */
  reset(): void {
    this.session.dropAll();
  }

  #perform(type: number, size: number, lengthBytes: number): number {
    const { session } = this;
    if (size < P9_HDRSZ || size > lengthBytes) return EINVAL;
    if (session.msize === 0 ? type !== P9_TVERSION : lengthBytes > session.msize) return EPROTO;
    session.reader.end(size);
    return HANDLERS[type]?.(session) ?? EOPNOTSUPP;
  }
}
