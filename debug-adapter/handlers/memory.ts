/** readMemory and writeMemory, linear and physical; both work while the VM runs. */
import type { DebugProtocol } from '@vscode/debugprotocol';
import type { RequestCall } from '../dapConnection.ts';
import { USER_ERROR, UserError } from '../errors.ts';
import { Cancelled } from '../pace.ts';
import type { SessionState } from '../session/sessionState.ts';
import { parseMemoryReference } from '../target/memoryReference.ts';
import { type GuestAddress, hex, type MemoryRead } from '../target/vmTarget.ts';
import { memoryChanged } from '../session/invalidation.ts';

/** More than an editor shows; keeps one mistyped length from filling its memory. */
const MAX_READ_BYTES = 16 * 1024 * 1024;
const LARGE_READ_BYTES = 1024 * 1024;

export async function readMemory(
  state: SessionState,
  args: DebugProtocol.ReadMemoryArguments,
  call: RequestCall,
): Promise<DebugProtocol.ReadMemoryResponse['body']> {
  const at = resolve(state, args.memoryReference, args.offset);
  if (args.count > MAX_READ_BYTES)
    throw new UserError(
      USER_ERROR.limit,
      `readMemory of ${args.count} bytes: at most ${MAX_READ_BYTES} can be read at once`,
    );
  const read = async (): Promise<MemoryRead> => {
    if (call.signal.aborted) throw new Cancelled();
    return state.requireTarget().readMemory(at, args.count);
  };
  const { data, unreadableBytes } =
    args.count < LARGE_READ_BYTES ? await read() : await inTurn(state, call, read);
  return {
    address: hex(at.address),
    data: Buffer.from(data).toString('base64'),
    ...(unreadableBytes > 0 ? { unreadableBytes } : {}),
  };
}

/**
 * Large reads run one at a time, and only while the client takes the answers: until then each is in our
 * memory.
 */
function inTurn<T>(state: SessionState, call: RequestCall, read: () => Promise<T>): Promise<T> {
  return state.largeReads.take(async () => {
    await call.room();
    return read();
  });
}

export async function writeMemory(
  state: SessionState,
  args: DebugProtocol.WriteMemoryArguments,
): Promise<DebugProtocol.WriteMemoryResponse['body']> {
  const at = resolve(state, args.memoryReference, args.offset);
  const data = decodeBase64(args.data);
  const written = args.allowPartial === true ? await writableBytes(state, at, data.length) : data.length;
  if (written === 0 && data.length > 0)
    throw new UserError(USER_ERROR.memory, `no memory at ${hex(at.address)}`);
  const bytesWritten = await state.requireTarget().writeMemory(at, data.subarray(0, written));
  memoryChanged(state, args.memoryReference, args.offset ?? 0, bytesWritten);
  return { offset: 0, bytesWritten };
}

/** RFC 4648 §4, nothing else: `Buffer` decodes whatever it is given, and would write garbage. */
function decodeBase64(text: string): Buffer {
  const data = Buffer.from(text, 'base64');
  if (data.toString('base64') === text) return data;
  throw new UserError(
    USER_ERROR.badValue,
    'writeMemory: data is not base64: letters, digits, + and /, padded with = to a multiple of 4 characters',
  );
}

/** The VM writes all or nothing; a partial write is one up to the end of what is readable. */
async function writableBytes(state: SessionState, at: GuestAddress, lengthBytes: number): Promise<number> {
  return (await state.requireTarget().readMemory(at, lengthBytes)).data.length;
}

/** References without a vCPU mean the one that stopped last. */
function resolve(state: SessionState, reference: string, offset: number | undefined): GuestAddress {
  const at = parseMemoryReference(reference, offset ?? 0);
  return at.physical === true || at.cpu !== undefined ? at : { ...at, cpu: state.currentCpu };
}
