/** A slot's request on the calling thread, until it is over. Returns what IoEvents.onDone would be told. */

import type { IovecTable } from './iovecTable.ts';
import { REQUEST, type SlotRequests } from './slotRequests.ts';
import { readHost, readVector, syncFile, writeHost, writeVector } from './syscalls.ts';

export function performNow(requests: SlotRequests, iovecs: IovecTable, slot: number): number {
  let answer: number;
  do answer = requests.announce(slot) || perform(requests, iovecs, slot);
  while (requests.settle(slot, answer));
  return requests.result[slot] ?? 0;
}

function perform(requests: SlotRequests, iovecs: IovecTable, slot: number): number {
  const fd = requests.fd[slot] ?? -1;
  const offset = requests.offset[slot] ?? 0;
  const segments = requests.segments(slot);
  switch (requests.request[slot]) {
    case REQUEST.READ:
      return segments === 1
        ? readHost(fd, iovecs.firstAddress(slot), requests.firstBytes(slot), offset)
        : readVector(fd, iovecs.addressOfRow(slot), segments, offset);
    case REQUEST.WRITE:
      return segments === 1
        ? writeHost(fd, iovecs.firstAddress(slot), requests.firstBytes(slot), offset)
        : writeVector(fd, iovecs.addressOfRow(slot), segments, offset);
    default:
      return syncFile(fd);
  }
}
