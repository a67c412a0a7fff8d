import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, it } from 'node:test';
import { LOOP, NetMachine } from '../../../../test/support/netMachine.ts';
import { UserError } from '../../../errors.ts';

const ENHANCED_PACKET = 6;
const folder = mkdtempSync(path.join(tmpdir(), 'trapframe-capture-'));
after(() => rmSync(folder, { recursive: true }));
const at = (name: string): string => path.join(folder, name);

function frame(lengthBytes: number, mark: number): Uint8Array {
  return new Uint8Array(lengthBytes).fill(mark).fill(0xff, 0, 6);
}

interface Packet {
  readonly length: number;
  readonly captured: number;
  readonly mark: number;
}

/** The frames in a file, with their last byte. */
function packets(
  file: string,
): { readonly length: number; readonly captured: number; readonly mark: number }[] {
  const bytes = readFileSync(file);
  const found: Packet[] = [];
  for (let i = 0; i < bytes.length; i += bytes.readUInt32LE(i + 4)) {
    if (bytes.readUInt32LE(i) !== ENHANCED_PACKET) continue;
    const captured = bytes.readUInt32LE(i + 20);
    found.push({ captured, length: bytes.readUInt32LE(i + 24), mark: bytes[i + 28 + captured - 1] ?? -1 });
  }
  return found;
}

/** A frame each way. */
function exchange(machine: NetMachine, mark: number): void {
  machine.send(frame(100, mark));
  machine.offer([70, 1600]);
  machine.link.deliver(frame(200, mark + 1));
  machine.received();
}

describe('a capture of an interface', () => {
  it('has frames of both ways from its start to its end, and nothing else', async () => {
    const machine = new NetMachine();
    const { network } = machine;
    exchange(machine, 1);
    await network.startCapture({ path: at('a.pcapng'), comment: 'a test' });
    machine.run();
    assert.equal(network.capture, at('a.pcapng'));
    exchange(machine, 3);
    const stopped = network.stopCapture();
    assert.equal(network.capture, undefined);
    machine.run();
    exchange(machine, 5);
    assert.deepEqual(await stopped, { frames: 2, dropped: 0, paths: [at('a.pcapng')] });
    assert.deepEqual(packets(at('a.pcapng')), [
      { length: 100, captured: 100, mark: 3 },
      { length: 200, captured: 200, mark: 4 },
    ]);
  });

  it('may have the beginning of each frame only', async () => {
    const machine = new NetMachine();
    await machine.network.startCapture({ path: at('b.pcapng'), snapBytes: 64 });
    machine.run();
    exchange(machine, 1);
    const stopped = machine.network.stopCapture();
    machine.run();
    await stopped;
    assert.deepEqual(
      packets(at('b.pcapng')).map((it) => [it.captured, it.length]),
      [
        [64, 100],
        [64, 200],
      ],
    );
  });

  it('has no frames that are not on the wire', async () => {
    const machine = new NetMachine({ network: { ...LOOP, isLocked: true } });
    await machine.network.startCapture({ path: at('c.pcapng') });
    machine.run();
    machine.send(frame(100, 1)); // from an address that is not its own
    machine.network.setUp(false);
    machine.run();
    machine.send(frame(100, 2));
    const stopped = machine.network.stopCapture();
    machine.run();
    assert.equal((await stopped).frames, 0);
  });

  it('is one at a time', async () => {
    const { network } = new NetMachine();
    await assert.rejects(network.stopCapture(), UserError);
    await network.startCapture({ path: at('d.pcapng') });
    await assert.rejects(network.startCapture({ path: at('e.pcapng') }), {
      name: 'UserError',
      message: `net0 is captured to "${at('d.pcapng')}" already: stop that first`,
    });
  });

  it('may begin with the VM, and is whole when that ends', async () => {
    const machine = new NetMachine({ network: { ...LOOP, capture: at('f.pcapng') } });
    exchange(machine, 1);
    machine.service.pause();
    machine.service.close();
    await machine.ended();
    assert.equal(packets(at('f.pcapng')).length, 2);
    assert.equal(statSync(at('f.pcapng')).size % 4, 0);
    assert.throws(() => new NetMachine({ network: { ...LOOP, capture: at('none/f.pcapng') } }), UserError);
  });

  it('may follow another at once', async () => {
    const machine = new NetMachine();
    await machine.network.startCapture({ path: at('g.pcapng') });
    machine.run();
    exchange(machine, 1);
    const first = machine.network.stopCapture();
    await machine.network.startCapture({ path: at('h.pcapng') });
    machine.run();
    exchange(machine, 3);
    const second = machine.network.stopCapture();
    machine.run();
    assert.deepEqual([(await first).frames, (await second).frames], [2, 2]);
    assert.deepEqual(
      packets(at('h.pcapng')).map((it) => it.mark),
      [3, 4],
    );
  });
});
