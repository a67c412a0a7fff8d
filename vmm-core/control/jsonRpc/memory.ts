/** Requests of protocol/memory.ts. */
import { UserError } from '../../errors.ts';
import type { Translation } from '../../memory/pageWalk.ts';
import { hex } from '../../protocol/hex.ts';
import { readMemory, translate, writeMemory } from '../../protocol/memory.ts';
import type { MemoryPlace, Session } from '../session.ts';
import { address, bytes, fields, flag, integer, shown } from './decode.ts';
import type { RequestTable } from './table.ts';

const MAX_READ_BYTES = 64 * 1024 * 1024;

export function serveMemory(on: RequestTable, session: Session): void {
  on.request(readMemory, readParams, async ({ place, lengthBytes }) => {
    const data = await session.readMemory(place, lengthBytes);
    return { data, unreadableBytes: lengthBytes - data.length };
  });
  on.request(writeMemory, writeParams, async ({ place, data }) => {
    await session.writeMemory(place, data);
    return { writtenBytes: data.length };
  });
  on.request(translate, placeParams, (place) => inHex(session.translate(place.address, place.cpu)));
}

function placeParams(params: unknown): MemoryPlace {
  const it = fields(params);
  return {
    address: address(it['address']),
    physical: flag(it, 'physical'),
    cpu: it['cpu'] === undefined ? 0 : integer(it, 'cpu'),
  };
}

export function readParams(params: unknown): { readonly place: MemoryPlace; readonly lengthBytes: number } {
  const lengthBytes = fields(params)['lengthBytes'];
  const isLength = typeof lengthBytes === 'number' && Number.isInteger(lengthBytes) && lengthBytes >= 0;
  if (!isLength || lengthBytes > MAX_READ_BYTES)
    throw new UserError(`a read of ${shown(lengthBytes)} bytes: at most ${MAX_READ_BYTES} at once`);
  return { place: placeParams(params), lengthBytes };
}

function writeParams(params: unknown): { readonly place: MemoryPlace; readonly data: Uint8Array } {
  return { place: placeParams(params), data: bytes(fields(params), 'data') };
}

function inHex({ gpa, entries, ...rights }: Translation) {
  return {
    ...(gpa === undefined ? {} : { gpa: hex(gpa) }),
    ...rights,
    entries: entries.map((entry) => ({ level: entry.level, gpa: hex(entry.gpa), value: hex(entry.value) })),
  };
}
