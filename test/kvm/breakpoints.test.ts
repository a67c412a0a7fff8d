/**
 * Breakpoints on a real vCPU: both ways of arming them, conditions, and what a guest or a reader sees.
 */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { BREAKPOINT_MODES, type BreakpointStatus } from '../../vmm-core/protocol/run.ts';
import { guest } from '../guests/build.ts';
import { within } from '../support/deadline.ts';
import { guestSymbols } from '../support/guestSymbols.ts';
import { kvmTest } from '../support/kvmTest.ts';
import { type LiveClient, type LiveVm, startVm } from '../support/liveVm.ts';

interface Counter extends LiveVm {
  readonly at: ReturnType<typeof guestSymbols>;
}

async function startCounter(t: TestContext, options: { readonly cpus?: number } = {}): Promise<Counter> {
  const kernel = await guest('counter');
  return { ...(await startVm(t, { kernel, ...options })), at: guestSymbols(kernel) };
}

function armedAs(statuses: readonly BreakpointStatus[]): (string | undefined)[] {
  return statuses.map(({ armed, message }) => armed ?? message);
}

/** Resumes `times` times; each must stop at `pc` by the breakpoint `id`. */
async function expectHits(client: LiveClient, times: number, pc: string, id: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    assert.deepEqual(await client.runUntilStop(), {
      cause: { kind: 'breakpoint' },
      cpu: 0,
      pc,
      breakpointIds: [id],
    });
  }
}

for (const mode of BREAKPOINT_MODES) {
  kvmTest(
    `a breakpoint in a loop is hit once per turn, with every instruction run once (${mode})`,
    async (t) => {
      const { client, at } = await startCounter(t);
      const [status] = await client.setBreakpoints({ id: 5, address: at('add_one'), mode });
      assert.equal(status?.verified, true, status?.message);
      for (let turn = 0; turn < 50; turn++) {
        await expectHits(client, 1, at('add_one'), 5);
        assert.equal(await client.word(at('counter')), turn);
      }
      await client.setBreakpoints();
      await client.resume();
      await client.pause();
      assert.equal((await client.stop()).cause.kind, 'pause');
      assert.deepEqual(client.untakenStops(), []);
    },
  );

  kvmTest(`breakpoints on neighbouring instructions are all hit (${mode})`, async (t) => {
    const { client, at } = await startCounter(t);
    const addresses = [at('step'), at('step', 5), at('add_one'), at('add_one', 6)];
    await client.setBreakpoints(...addresses.map((address, i) => ({ id: i, address, mode })));
    for (let turn = 0; turn < 5; turn++) {
      for (const [i, address] of addresses.entries()) await expectHits(client, 1, address, i);
    }
  });
}

kvmTest('auto arms debug registers while paging is off, and int3 once they are used up', async (t) => {
  const { client, at } = await startCounter(t);
  const addresses = [
    at('step'),
    at('step', 5),
    at('step', 10),
    at('add_one'),
    at('add_one', 6),
    at('loop'),
    at('loop', 5),
  ];
  const statuses = await client.setBreakpoints(...addresses.map((address) => ({ address })));
  assert.deepEqual(armedAs(statuses), ['hw', 'hw', 'hw', 'hw', 'sw', 'sw', 'sw']);
  for (const i of [5, 0, 1, 3, 4, 2, 6, 5, 0, 1]) {
    assert.deepEqual((await client.runUntilStop()).breakpointIds, [i + 1]);
  }
});

kvmTest('auto arms int3 where paging maps the address, a debug register where it does not yet', async (t) => {
  const kernel = await guest('fault');
  const { client } = await startVm(t, { kernel });
  const at = guestSymbols(kernel);
  const statuses = await client.setBreakpoints({ address: at('faulting') }, { address: '0xdeadb000000' });
  assert.deepEqual(armedAs(statuses), ['sw', 'hw']);
  await expectHits(client, 1, at('faulting'), 1);
  const handler = await client.setBreakpoints({ id: 2, address: at('on_page_fault') });
  assert.deepEqual(armedAs(handler), ['sw']);
  await expectHits(client, 1, at('on_page_fault'), 2);
  assert.equal((await client.registers()).values.cr2, '0xdeadb000000');
});

kvmTest('a fifth hardware breakpoint is refused with the reason, the others stay armed', async (t) => {
  const { client, at } = await startCounter(t);
  const addresses = [at('loop'), at('loop', 5), at('step'), at('step', 5), at('add_one')];
  const statuses = await client.setBreakpoints(
    ...addresses.map((address) => ({ address, mode: 'hw' as const })),
  );
  assert.deepEqual(armedAs(statuses), ['hw', 'hw', 'hw', 'hw', 'all 4 debug registers are used']);
  assert.deepEqual(statuses.at(-1)?.verified, false);
  await expectHits(client, 1, at('loop'), 1);
  await expectHits(client, 1, at('step'), 3);
});

kvmTest('a software breakpoint where there is no RAM is refused with advice', async (t) => {
  const { client } = await startCounter(t);
  const unmapped = 'the address is not mapped yet: use mode hw, or stop later';
  assert.deepEqual(armedAs(await client.setBreakpoints({ address: '0xfffffff0', mode: 'sw' })), [unmapped]);
  assert.deepEqual(armedAs(await client.setBreakpoints({ address: '0xfffffff0', mode: 'hw' })), ['hw']);
});

kvmTest('a planted int3 is hidden from reads, linear and physical, and survives writes', async (t) => {
  const { client, at } = await startCounter(t);
  const address = at('add_one');
  const real = [...(await client.read({ address, lengthBytes: 7 })).data];
  await client.setBreakpoints(
    { id: 1, address, mode: 'sw' },
    { id: 2, address: at('add_one', 6), mode: 'sw' },
  );
  assert.deepEqual([...(await client.read({ address, lengthBytes: 7 })).data], real);
  assert.deepEqual([...(await client.read({ address, lengthBytes: 7, physical: true })).data], real);

  // sub instead of add, written over the planted byte: armed over the new code, and the new code runs.
  const sub = [0x29, ...real.slice(1, 6)];
  assert.equal(await client.write({ address }, sub), 6);
  assert.deepEqual([...(await client.read({ address, lengthBytes: 7 })).data], [...sub, real[6]]);
  await expectHits(client, 1, address, 1);
  await expectHits(client, 1, at('add_one', 6), 2);
  assert.equal(await client.word(at('counter')), 0xffff_ffff);

  await client.setBreakpoints();
  assert.deepEqual([...(await client.read({ address, lengthBytes: 7 })).data], [...sub, real[6]]);
});

kvmTest('a temporary breakpoint goes with its hit, and with any other stop', async (t) => {
  const { client, at } = await startCounter(t);
  await client.setBreakpoints(
    { id: 1, address: at('add_one') },
    { id: 2, address: at('step'), temporary: true },
  );
  await expectHits(client, 1, at('step'), 2);
  await expectHits(client, 2, at('add_one'), 1);
  await client.setBreakpoints(
    { id: 1, address: at('step') },
    { id: 2, address: at('add_one'), temporary: true },
  );
  await expectHits(client, 1, at('step'), 1);
  await expectHits(client, 2, at('step'), 1); // add_one is passed
});

kvmTest('a breakpoint of another vCPU is passed, one of a shallower stack too', async (t) => {
  const { client, at } = await startCounter(t);
  const { rsp = '' } = await atAddOne(client, at);
  const below = `0x${(BigInt(rsp) - 1n).toString(16)}`;
  await client.setBreakpoints(
    { id: 1, address: at('add_one'), cpu: 1 },
    { id: 2, address: at('step'), stackAbove: '0xffffffff' },
    { id: 3, address: at('add_one', 6), cpu: 0, stackAbove: below },
  );
  await expectHits(client, 3, at('add_one', 6), 3);
  await client.setBreakpoints(
    { id: 4, address: at('add_one', 6), stackAbove: rsp },
    { id: 5, address: at('loop') },
  );
  await expectHits(client, 3, at('loop'), 5);
});

async function expectEnd(client: LiveClient, output: string): Promise<void> {
  await client.resume();
  assert.equal((await within(client.ended, 'the end of the VM')).exitCode, 33);
  assert.equal(client.serial, output);
}

kvmTest("a step over the guest's own int3 ends in its handler", async (t) => {
  const kernel = await guest('int3Self');
  const { client } = await startVm(t, { kernel });
  const at = guestSymbols(kernel);
  await client.setBreakpoints({ address: at('own_int3'), mode: 'hw', temporary: true });
  await client.runUntilStop();
  const stop = await client.step();
  // Hardware, and KVM with it, traps after the handler's first instruction: the exception is delivered on
  // the way to it.
  assert.equal(stop.cause.kind, 'step');
  assert.ok([at('on_breakpoint'), at('on_breakpoint', 7)].includes(stop.pc), stop.pc);
  await client.attachSerial();
  await expectEnd(client, 'BA');
});

async function atAddOne(client: LiveClient, at: Counter['at']): Promise<Readonly<Record<string, string>>> {
  await client.setBreakpoints({ address: at('add_one', 6), temporary: true });
  await client.runUntilStop();
  return (await client.registers()).values;
}

for (const mode of ['hw', 'sw'] as const) {
  kvmTest(
    `a breakpoint set while the guest runs is hit, removed while it runs is passed (${mode})`,
    async (t) => {
      const { client, at } = await startCounter(t);
      await client.resume();
      for (let i = 0; i < 10; i++) {
        const [status] = await client.setBreakpoints({ id: i, address: at('step'), mode });
        assert.equal(status?.armed, mode);
        assert.deepEqual(await client.stop(), {
          cause: { kind: 'breakpoint' },
          cpu: 0,
          pc: at('step'),
          breakpointIds: [i],
        });
        await client.resume();
        await client.stop(); // hit again
        await client.resume();
        await client.setBreakpoints(); // it may have been hit before this came
        if (client.untakenStops().length > 0) await client.resume();
        assert.equal((await client.info()).state, 'running');
        assert.deepEqual(client.untakenStops(), []);
      }
    },
  );
}

kvmTest('a breakpoint under the instruction that a running guest spins on is hit', async (t) => {
  const kernel = await guest('spin');
  const { client } = await startVm(t, { kernel });
  const spin = guestSymbols(kernel)('spin');
  await client.attachSerial();
  await client.resume();
  await client.printed('S');
  await client.setBreakpoints({ id: 1, address: spin });
  assert.deepEqual((await client.stop()).breakpointIds, [1]);
  await expectHits(client, 3, spin, 1);
});

kvmTest("a guest's own int3 reaches the guest with breakpoints of ours around it", async (t) => {
  const kernel = await guest('int3Self');
  const { client } = await startVm(t, { kernel });
  const at = guestSymbols(kernel);
  await client.attachSerial();
  await client.setBreakpoints(
    { id: 1, address: at('on_breakpoint'), mode: 'sw' },
    { id: 2, address: at('after'), mode: 'sw' },
  );
  await expectHits(client, 1, at('on_breakpoint'), 1);
  await expectHits(client, 1, at('after'), 2);
  await expectEnd(client, 'BA');
});

kvmTest(
  'a breakpoint of ours on the int3 of the guest is hit first, then the guest gets its own',
  async (t) => {
    const kernel = await guest('int3Self');
    const { client } = await startVm(t, { kernel });
    await client.setBreakpoints({ id: 1, address: guestSymbols(kernel)('own_int3'), mode: 'sw' });
    await expectHits(client, 1, guestSymbols(kernel)('own_int3'), 1);
    await client.attachSerial();
    await client.resume();
    assert.equal((await client.ended).exitCode, 33);
    assert.equal(client.serial, 'BA');
  },
);

kvmTest(
  'two clients: each has its own breakpoints and ids, both see every stop, a leaving one takes only its own',
  async (t) => {
    const vm = await startCounter(t);
    const { client: first, at } = vm;
    const second = await vm.connect();
    await first.setBreakpoints({ id: 1, address: at('step') });
    await second.setBreakpoints({ id: 1, address: at('add_one') });
    await first.resume();
    assert.deepEqual((await first.stop()).breakpointIds, [1]);
    assert.deepEqual((await second.stop()).breakpointIds, []);
    await second.resume();
    assert.deepEqual((await first.stop()).breakpointIds, []);
    assert.deepEqual((await second.stop()).breakpointIds, [1]);
    await second.setBreakpoints();
    await first.runUntilStop();
    assert.equal((await second.stop()).pc, at('step'));
    await second.setBreakpoints({ id: 3, address: at('add_one') });
    second.vmm.dispose();
    await second.vmm.closed;
    await first.info(); // the core has seen the end of the connection by the answer to a later request
    assert.equal((await first.runUntilStop()).pc, at('step'));
    assert.equal((await first.runUntilStop()).pc, at('step'));
  },
);
