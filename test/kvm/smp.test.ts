/** Several vCPUs: all stop, all resume, one can be stepped alone, and simultaneous hits are all reported. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { guest } from '../guests/build.ts';
import { guestSymbols } from '../support/guestSymbols.ts';
import { kvmTest } from '../support/kvmTest.ts';
import { type LiveClient, startVm } from '../support/liveVm.ts';
import { hostEmulatesKernels } from '../support/vmmProcess.ts';

const AP_BASE = 0x8000;
const AP_COUNT = '0x8ff0';
const NOP = 0x90;
const FEW_EXITS = [100, 0, 0, 0];
const MAX_LOOKS = 1000;
const JMP_SELF = [0xeb, 0xfe];

interface Spinning {
  readonly client: LiveClient;
  /** Where vCPU 0 spins. */
  readonly boot: string;
  /** The loop of the others: its first instruction, and its jump. */
  readonly others: readonly [string, string];
}

/** The guest `smp` with every vCPU started, its halts and its end made loops. Paused. */
async function startSpinning(t: TestContext, cpus: number): Promise<Spinning> {
  const kernel = await guest('smp');
  const { client } = await startVm(t, { kernel, cpus });
  const at = guestSymbols(kernel);
  const apBytes = Number(at('ap_end')) - Number(at('ap_start'));
  await client.write({ address: at('ap_end', -3) }, [NOP]); // 1: hlt; jmp 1b
  await client.write({ address: at('wait', 1) }, FEW_EXITS); // mov $WAIT_EXITS, %ecx: we look ourselves who has started
  await client.write({ address: at('print') }, JMP_SELF);
  await client.setBreakpoints({ address: at('print'), temporary: true });
  assert.equal((await client.runUntilStop()).cause.kind, 'breakpoint');
  for (let looks = 0; ((await client.word(AP_COUNT)) & 0xffff) < cpus; looks++) {
    assert.ok(looks < MAX_LOOKS, 'not all vCPUs started');
    await client.resume();
    await client.pause();
    await client.stop();
  }
  const loop = AP_BASE + apBytes - 3;
  return { client, boot: at('print'), others: [`0x${loop.toString(16)}`, `0x${(loop + 1).toString(16)}`] };
}

/** Linear RIPs: the others are in real mode. */
async function positions(client: LiveClient, cpus: number): Promise<string[]> {
  const all: string[] = [];
  for (let cpu = 0; cpu < cpus; cpu++) {
    const { values, segments } = await client.registers(cpu);
    all.push(`0x${(BigInt(values.rip ?? 0) + BigInt(segments['cs']?.base ?? 0)).toString(16)}`);
  }
  return all;
}

for (const cpus of [2, 4]) {
  kvmTest(`${cpus} spinning vCPUs are paused and resumed 100 times, one stop each`, async (t) => {
    const { client, boot, others } = await startSpinning(t, cpus);
    for (let i = 0; i < 100; i++) {
      await client.resume();
      await client.pause();
      const stop = await client.stop();
      assert.equal(stop.cause.kind, 'pause');
      assert.deepEqual(client.untakenStops(), []);
      const [first, ...rest] = await positions(client, cpus);
      assert.equal(first, boot);
      for (const rip of rest) assert.ok(rip === others[0] || rip === others[1], `RIP ${rip}`);
    }
  });

  kvmTest(`one of ${cpus} vCPUs is stepped alone`, async (t) => {
    const { client, others } = await startSpinning(t, cpus);
    await client.resume();
    await client.pause();
    await client.stop();
    for (let i = 0; i < 20; i++) {
      const before = await positions(client, cpus);
      const stop = await client.step({ cpu: 1 });
      assert.deepEqual({ kind: stop.cause.kind, cpu: stop.cpu }, { kind: 'step', cpu: 1 });
      const expected = before.map((rip, cpu) =>
        cpu !== 1 ? rip : rip === others[0] ? others[1] : others[0],
      );
      assert.deepEqual(await positions(client, cpus), expected);
    }
  });
}

/**
 * nop; the instruction with the breakpoint; a loop that is never left: each vCPU that runs through it hits
 * once.
 */
const PASSAGE = [NOP, NOP, ...JMP_SELF];
const PASSAGE_AT = AP_BASE + 0x100;

kvmTest('a breakpoint that several vCPUs run into is hit by each and stops them all', async (t) => {
  const { client } = await startSpinning(t, 4);
  const [breakpoint, end] = [PASSAGE_AT + 1, PASSAGE_AT + 2].map((it) => `0x${it.toString(16)}`);
  await client.write({ address: `0x${PASSAGE_AT.toString(16)}` }, PASSAGE);
  // In real mode a host that emulates kernels takes int3 through the guest's own vector 3, and KVM does not
  // tell us.
  const emulated = hostEmulatesKernels();
  if (emulated) t.diagnostic('int3 in real mode is not tested: this host emulates it');
  for (const mode of emulated ? (['hw'] as const) : (['hw', 'sw'] as const)) {
    for (let round = 0; round < 10; round++) {
      await client.setBreakpoints({ id: 9, address: breakpoint ?? '', mode });
      for (const cpu of [1, 2, 3])
        await client.writeRegisters({ rip: `0x${(PASSAGE_AT - AP_BASE).toString(16)}` }, cpu);
      const hits = await hitsUntilAll(client, breakpoint ?? '', 3);
      assert.deepEqual(hits.toSorted(), [1, 2, 3], 'each once, whether together or one by one');
      await client.setBreakpoints();
      for (let looks = 0; (await positions(client, 4)).slice(1).some((rip) => rip !== end); looks++) {
        assert.ok(looks < MAX_LOOKS, 'not all vCPUs went on');
        await client.resume();
        await client.pause();
        await client.stop();
      }
    }
  }
});

/**
 * Runs until `count` vCPUs have been seen on the breakpoint; each moves on when the VM is resumed.
 */
async function hitsUntilAll(client: LiveClient, breakpoint: string, count: number): Promise<number[]> {
  const hits: number[] = [];
  for (;;) {
    const stop = await client.runUntilStop();
    const there = (await positions(client, 4)).flatMap((rip, cpu) => (rip === breakpoint ? [cpu] : []));
    assert.deepEqual(
      { kind: stop.cause.kind, pc: stop.pc, ids: stop.breakpointIds },
      { kind: 'breakpoint', pc: breakpoint, ids: [9] },
    );
    assert.ok(there.includes(stop.cpu), 'the vCPU that is named is there');
    hits.push(...there);
    if (hits.length >= count) return hits;
  }
}

kvmTest('a breakpoint of one vCPU stops only that one', async (t) => {
  const { client, others } = await startSpinning(t, 4);
  for (const cpu of [3, 1, 2]) {
    await client.setBreakpoints({ id: cpu, address: others[0], cpu });
    for (let i = 0; i < 10; i++) {
      const stop = await client.runUntilStop();
      assert.deepEqual(
        { cpu: stop.cpu, pc: stop.pc, ids: stop.breakpointIds },
        { cpu, pc: others[0], ids: [cpu] },
      );
    }
  }
});

kvmTest('breakpoints come and go while several vCPUs run', async (t) => {
  const { client, boot, others } = await startSpinning(t, 4);
  await client.resume();
  for (let i = 0; i < 20; i++) {
    await client.setBreakpoints({ id: i, address: i % 2 === 0 ? boot : others[0] });
    assert.deepEqual((await client.stop()).breakpointIds, [i]);
    await client.setBreakpoints();
    await client.resume();
  }
  await client.pause();
  assert.equal((await client.stop()).cause.kind, 'pause');
  assert.deepEqual(client.untakenStops(), []);
});

kvmTest('a reset sends the other vCPUs back to wait for INIT, and they start again', async (t) => {
  const kernel = await guest('smp');
  const { client } = await startVm(t, { kernel, cpus: 4 });
  const at = guestSymbols(kernel);
  await client.setBreakpoints({ id: 1, address: at('print') });
  for (let i = 0; i < 3; i++) {
    assert.equal((await client.runUntilStop()).pc, at('print'));
    assert.equal((await client.word(AP_COUNT)) & 0xffff, 4);
    await client.reset();
    assert.deepEqual((await client.registers(3)).runnable, false);
  }
});
