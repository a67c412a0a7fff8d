/** Members of a switch in one process, without guests. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import type { LinkHost } from '../../vmm-core/backends/net/linkKind.ts';
import { open } from '../../vmm-core/backends/net/switch/openSwitch.ts';
import { attach } from '../../vmm-core/backends/net/switch/switchLink.ts';
import { FakeGuestPort, type FakePortOptions } from './fakeGuestPort.ts';

const ETHER_HEADER_BYTES = 14;
let root: string | undefined;
let count = 0;

/** Of folders of switches; gone with the process. */
export function switchRoot(): string {
  if (root !== undefined) return root;
  const made = mkdtempSync(path.join(tmpdir(), 'trapframe-switch-'));
  process.once('exit', () => rmSync(made, { recursive: true, force: true }));
  return (root = made);
}

export function newFolder(mode = 0o700): string {
  const name = path.join(switchRoot(), `s${count++}`);
  mkdirSync(name);
  chmodSync(name, mode);
  return name;
}

export interface MemberOptions extends FakePortOptions {
  readonly uplink?: string;
}

/** A member with the Ethernet address fe:e1:bb:d0:00:`n` unless it is given one, until its `leave`. */
export function member(
  name: string,
  n: number,
  options: MemberOptions = {},
): { port: FakeGuestPort; leave: () => void } {
  const { uplink, mac = Uint8Array.of(0xfe, 0xe1, 0xbb, 0xd0, 0, n), ...rest } = options;
  const port = new FakeGuestPort({ ...rest, mac });
  const host: LinkHost = {
    vmName: `vm${n}`,
    name: 'net0',
    index: 0,
    mac,
    mtu: port.mtu,
    pairs: 1,
    send: () => undefined,
    trouble: (sentence) => port.trouble(sentence),
  };
  const backend = open({ kind: 'switch', switch: name, ...(uplink === undefined ? {} : { uplink }) }, host);
  port.connect(attach(backend.opened, port));
  return {
    port,
    leave: () => {
      backend.close(true);
      port.close();
    },
  };
}

export function joinSwitch(t: TestContext, name: string, n: number, options?: MemberOptions): FakeGuestPort {
  const { port, leave } = member(name, n, options);
  t.after(leave);
  return port;
}

/** All of them, until it holds. */
export function settle(ports: readonly FakeGuestPort[], holds: () => boolean): void {
  const end = performance.now() + 10_000;
  while (!holds()) {
    for (const it of ports) it.turn(1);
    assert.ok(performance.now() < end, 'it does not come to that');
  }
}

export function members(
  port: FakeGuestPort,
): readonly { readonly vm: string; readonly addresses: string[] }[] {
  return port.report()['members'] as never; // switchLink.ts writes it so
}

export function ethernetFrame(
  to: readonly number[] | Uint8Array,
  from: Uint8Array,
  text: string,
): Uint8Array {
  return Buffer.concat([Uint8Array.from(to), from, Buffer.from([0x88, 0xb5]), Buffer.from(text)]);
}

export function texts(port: FakeGuestPort): string[] {
  return port.frames.map(({ bytes }) => Buffer.from(bytes.subarray(ETHER_HEADER_BYTES)).toString());
}
