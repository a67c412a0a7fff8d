/** For the inspector: who is connected to whom, how far, and what waits. */
import { vsockPath } from '../../../backends/vsock/listenSocket.ts';
import type { Decoded } from '../../../protocol/devices.ts';
import type { Registers } from '../../../bus/stateBlock.ts';
import { MAX_CONNECTIONS, STATE, type VsockInstance, type VsockState } from './vsockState.ts';

const U32 = 2 ** 32;
const STATE_NAMES = Object.fromEntries(Object.entries(STATE).map(([name, value]) => [value, name]));

export function vsockReport({ vsock, vmName }: VsockInstance, regs: Registers<VsockState>): Decoded {
  const rows = Array.from({ length: MAX_CONNECTIONS }, (_, row) => row);
  return {
    cid: vsock.cid,
    socket: vsockPath(vsock, vmName),
    packetsFromGuest: regs.packetsFromGuest,
    packetsToGuest: regs.packetsToGuest,
    resetsToGuest: regs.resetsToGuest,
    malformed: regs.malformed,
    connections: rows
      .filter((row) => regs.connectionState[row] !== STATE.free)
      .map((row) => connectionReport(row, regs)),
  };
}

function connectionReport(row: number, regs: Registers<VsockState>): Decoded {
  const at = (column: Uint32Array): number => column[row] ?? 0;
  const state = STATE_NAMES[at(regs.connectionState)] ?? 'unknown';
  if (at(regs.connectionState) === STATE.greeting) return { state };
  const underWay = (at(regs.sentBytes) - at(regs.peerFwdCnt)) >>> 0;
  return {
    state,
    guestPort: at(regs.guestPort),
    hostPort: at(regs.hostPort),
    fromGuestBytes: at(regs.receivedHigh) * U32 + at(regs.receivedBytes),
    toGuestBytes: at(regs.sentHigh) * U32 + at(regs.sentBytes),
    waitingForHostBytes: (at(regs.receivedBytes) - at(regs.forwardedBytes)) >>> 0,
    waitingForGuestBytes: underWay,
    guestCreditBytes: Math.max(0, at(regs.peerBufAlloc) - underWay),
  };
}
