/**
 * What two members of a switch say to each other when they meet, each once, with the memory that the other
 * shall write frames for it to (bus/frameRing.ts). What either sends by the socket later wakes the other.
 */
import { isVmName } from '../../../config/values.ts';
import { MAX_FRAME_BYTES } from '../netLink.ts';
import { OFFLOAD_HEADER_BYTES } from '../offloadHeader.ts';

export const SWITCH_VERSION = 1;
/** Of a ring: a frame and what precedes it. */
export const MAX_RECORD_BYTES = OFFLOAD_HEADER_BYTES + MAX_FRAME_BYTES;
export const MAX_GREETING_BYTES = 512;
const MAX_ID_LENGTH = 200;
const LLADDR = /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/;

export interface Greeting {
  readonly version: number;
  /** Unlike that of any other member. */
  readonly id: string;
  /** For people. */
  readonly vm: string;
  /** Of its guest, `fe:e1:bb:d0:00:01`: no two members may have the same. */
  readonly lladdr: string;
  readonly mtu: number;
}

export function greetingBytes(greeting: Greeting): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(greeting));
}

/** A sentence: why that is none. */
export function readGreeting(bytes: Uint8Array): Greeting | string {
  if (bytes.length === 0 || bytes.length > MAX_GREETING_BYTES) return 'its greeting has no sensible length';
  let it: unknown;
  try {
    it = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return 'its greeting is not JSON';
  }
  if (typeof it !== 'object' || it === null) return 'its greeting is no object';
  const { version, id, vm, lladdr, mtu } = it as Readonly<Record<string, unknown>>;
  if (version !== SWITCH_VERSION)
    return `it speaks version ${String(version).slice(0, 20)} of switches, and this VMM version ${SWITCH_VERSION}`;
  if (typeof id !== 'string' || typeof vm !== 'string' || id.length === 0) return 'its greeting has no name';
  if (Math.max(id.length, vm.length) > MAX_ID_LENGTH) return 'its name is too long';
  // It is shown to people, at a terminal that it must not steer.
  if (!isVmName(vm)) return 'its name is none of a VM';
  if (typeof lladdr !== 'string' || !LLADDR.test(lladdr)) return 'its Ethernet address is none';
  if (typeof mtu !== 'number' || !Number.isInteger(mtu) || mtu < 68 || mtu > 0xffff)
    return 'its MTU is out of range';
  return { version, id, vm, lladdr, mtu };
}
