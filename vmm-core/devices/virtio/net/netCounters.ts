/**
 * What has become of frames, for the inspector. Counted in numbers of this thread, and put into the shared
 * registers at the end of a go: a bigint per frame is too dear.
 */
import type { DropReason, LinkReport } from '../../../backends/net/netLink.ts';
import { Rates } from '../../../backends/net/rates.ts';
import type { Registers } from '../../../bus/stateBlock.ts';
import type { NetState } from './netState.ts';

export class NetCounters {
  readonly #regs: Registers<NetState>;
  #framesSent = 0;
  #bytesSent = 0;
  #framesReceived = 0;
  #bytesReceived = 0;
  #isFresh = false;
  readonly #rates = new Rates(performance.now());

  constructor(regs: Registers<NetState>) {
    this.#regs = regs;
  }

  sent(lengthBytes: number): void {
    this.#framesSent++;
    this.#bytesSent += lengthBytes;
    this.#isFresh = true;
  }

  received(lengthBytes: number): void {
    this.#framesReceived++;
    this.#bytesReceived += lengthBytes;
    this.#isFresh = true;
  }

  /** A frame of the guest. It always has room. */
  sentDropped(reason: Exclude<DropReason, 'noRoom'>): void {
    const regs = this.#regs;
    switch (reason) {
      case 'malformed':
        regs.sentMalformed++;
        return;
      case 'filtered':
        regs.sentFiltered++;
        return;
      case 'linkDown':
        regs.sentLinkDown++;
        return;
      case 'hostBusy':
        regs.sentHostBusy++;
    }
  }

  /** A frame for the guest. */
  receivedDropped(reason: DropReason): void {
    const regs = this.#regs;
    switch (reason) {
      case 'noRoom':
        regs.receivedNoRoom++;
        return;
      case 'malformed':
        regs.receivedMalformed++;
        return;
      case 'filtered':
        regs.receivedFiltered++;
        return;
      case 'linkDown':
        regs.receivedLinkDown++;
        return;
      case 'hostBusy':
        regs.receivedHostBusy++;
    }
  }

  publish(): void {
    if (!this.#isFresh) return;
    this.#isFresh = false;
    const regs = this.#regs;
    regs.framesSent += BigInt(this.#framesSent);
    regs.bytesSent += BigInt(this.#bytesSent);
    regs.framesReceived += BigInt(this.#framesReceived);
    regs.bytesReceived += BigInt(this.#bytesReceived);
    this.#framesSent = this.#bytesSent = this.#framesReceived = this.#bytesReceived = 0;
  }

  /** A row for each way, with rates of late. Between two goes. */
  report(nowMs: number): readonly LinkReport[] {
    const regs = this.#regs;
    const sent = [regs.framesSent, regs.bytesSent].map(Number);
    const received = [regs.framesReceived, regs.bytesReceived].map(Number);
    const rates = this.#rates.of(nowMs, [...sent, ...received]);
    return [
      {
        ...counted('fromGuest', sent, rates.slice(0, 2)),
        noRoom: 0, // see sentDropped
        malformed: regs.sentMalformed,
        filtered: regs.sentFiltered,
        linkDown: regs.sentLinkDown,
        hostBusy: regs.sentHostBusy,
      },
      {
        ...counted('toGuest', received, rates.slice(2)),
        noRoom: regs.receivedNoRoom,
        malformed: regs.receivedMalformed,
        filtered: regs.receivedFiltered,
        linkDown: regs.receivedLinkDown,
        hostBusy: regs.receivedHostBusy,
      },
    ];
  }
}

function counted(
  way: string,
  [frames = 0, bytes = 0]: readonly number[],
  [framesPerSecond = 0, bytesPerSecond = 0]: readonly number[],
): LinkReport {
  return { way, frames, bytes, framesPerSecond, bytesPerSecond };
}
