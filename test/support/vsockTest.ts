/** What tests of the vsock device have in common: connections that are there, and short names. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import * as abi from '../../vmm-core/abi/virtioVsock.ts';
import {
  type Listener,
  type Packet,
  type Peer,
  VsockMachine,
  type VsockMachineOptions,
} from './vsockMachine.ts';

export const {
  VIRTIO_VSOCK_OP_CREDIT_REQUEST: CREDIT_REQUEST,
  VIRTIO_VSOCK_OP_CREDIT_UPDATE: CREDIT_UPDATE,
  VIRTIO_VSOCK_OP_REQUEST: REQUEST,
  VIRTIO_VSOCK_OP_RESPONSE: RESPONSE,
  VIRTIO_VSOCK_OP_RST: RST,
  VIRTIO_VSOCK_OP_RW: RW,
  VIRTIO_VSOCK_OP_SHUTDOWN: SHUTDOWN,
  VIRTIO_VSOCK_SHUTDOWN_RCV: RCV,
  VIRTIO_VSOCK_SHUTDOWN_SEND: SEND,
} = abi;
export const BUFFER = 256 * 1024;
/** Of the guest, in tests that do not care. */
export const PLENTY = { bufAlloc: 1 << 30 };
export const GUEST_PORT = 4000;
export const HOST_PORT = 1234;
export const ENDS = { srcPort: GUEST_PORT, dstPort: HOST_PORT };

interface Connected {
  readonly vsock: VsockMachine;
  readonly program: Peer;
}

export function machine(t: TestContext, options: VsockMachineOptions = {}): VsockMachine {
  const made = new VsockMachine(options);
  t.after(() => made.close());
  return made;
}

/** The guest has connected to a program. */
export function connected(
  t: TestContext,
  options: VsockMachineOptions & { readonly bufAlloc?: number } = {},
): Connected & { readonly listener: Listener } {
  const vsock = machine(t, options);
  const listener = vsock.listen(HOST_PORT);
  vsock.send({ op: REQUEST, ...ENDS, bufAlloc: options.bufAlloc ?? PLENTY.bufAlloc });
  const [response] = vsock.received();
  assert.equal(response?.op, RESPONSE);
  return { vsock, program: listener.accept(), listener };
}

/** A program has connected to the guest. */
export function accepted(t: TestContext): Connected & { readonly ends: typeof ENDS } {
  const vsock = machine(t);
  const program = vsock.connect();
  program.send(`CONNECT ${GUEST_PORT}\n`);
  vsock.run();
  const [request] = vsock.received();
  assert.equal(request?.op, REQUEST);
  const ends = { srcPort: GUEST_PORT, dstPort: request?.srcPort ?? 0 };
  vsock.send({ op: RESPONSE, ...ends, ...PLENTY });
  assert.equal(program.text(), `OK ${ends.dstPort}\n`);
  return { vsock, program, ends };
}

export function ops(packets: readonly Packet[]): number[] {
  return packets.map(({ op }) => op);
}

export function dataOf(packets: readonly Packet[]): Buffer {
  return Buffer.concat(packets.filter(({ op }) => op === RW).map(({ data }) => data));
}

export function pattern(lengthBytes: number, seed = 1): Uint8Array {
  return Uint8Array.from({ length: lengthBytes }, (_, i) => (i * 7 + (i >> 8) * seed + seed) & 0xff);
}

/** All that the program can read now. */
export function drain(program: Peer, vsock: VsockMachine): Buffer {
  const parts: Uint8Array[] = [];
  for (let part = program.receive(); part !== undefined && part.length > 0; part = program.receive()) {
    parts.push(part);
    vsock.run();
  }
  return Buffer.concat(parts);
}
