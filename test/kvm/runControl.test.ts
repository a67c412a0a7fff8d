/** Run control of one vCPU through the control socket, with the usual client. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { guest } from '../guests/build.ts';
import { guestSymbols } from '../support/guestSymbols.ts';
import { kvmTest } from '../support/kvmTest.ts';
import { type LiveVm, startVm } from '../support/liveVm.ts';

interface Counter extends LiveVm {
  readonly at: ReturnType<typeof guestSymbols>;
}

/** `counter`, at its first instruction: loop calls step, which calls add_one, for ever. */
async function startCounter(t: TestContext): Promise<Counter> {
  const kernel = await guest('counter');
  return { ...(await startVm(t, { kernel })), at: guestSymbols(kernel) };
}

kvmTest('a VM is created paused at its first instruction and says so', async (t) => {
  const { client, at } = await startCounter(t);
  const info = await client.info();
  assert.equal(info.state, 'paused');
  assert.equal(info.bootProtocol, 'multiboot');
  assert.equal(info.entry, at('start'));
  const registers = await client.registers();
  assert.equal(registers.values.rip, at('start'));
  assert.equal(registers.values.rax, '0x2badb002');
  assert.equal(registers.mode, 'protected32');
  assert.equal(registers.cpl, 0);
  assert.equal(registers.runnable, true);
  assert.deepEqual(client.untakenStops(), []);
});

kvmTest('resume runs the guest, pause stops one that never exits, and both may be repeated', async (t) => {
  const kernel = await guest('spin');
  const { client } = await startVm(t, { kernel });
  const spin = guestSymbols(kernel)('spin');
  await client.attachSerial();
  await client.resume();
  await client.resumed();
  await client.printed('S');
  assert.equal((await client.info()).state, 'running');
  for (let i = 0; i < 20; i++) {
    await client.resume(); // no-op while running
    await client.pause();
    assert.deepEqual(await client.stop(), { cause: { kind: 'pause' }, cpu: 0, pc: spin, breakpointIds: [] });
    await client.pause(); // no-op while paused
    assert.deepEqual(client.untakenStops(), []);
    await client.resume();
  }
  await client.pause();
  assert.equal((await client.info()).state, 'paused');
});

kvmTest('a step runs one instruction and reports where it ended', async (t) => {
  const { client, at } = await startCounter(t);
  assert.equal((await client.step()).pc, at('start', 7)); // after lgdt
  await client.setBreakpoints({ address: at('loop'), temporary: true });
  assert.equal((await client.runUntilStop()).cause.kind, 'breakpoint');
  assert.deepEqual(await client.step(), {
    cause: { kind: 'step' },
    cpu: 0,
    pc: at('step'),
    breakpointIds: [],
  });
  assert.equal((await client.step()).pc, at('step', 5)); // mov $1, %ebx
  assert.equal((await client.registers()).values.rbx, '0x1');
  assert.equal((await client.step()).pc, at('add_one'));
  const before = await client.word(at('counter'));
  assert.equal((await client.step()).pc, at('add_one', 6));
  assert.equal(await client.word(at('counter')), before + 1);
  assert.equal((await client.step()).pc, at('step', 10));
  assert.equal((await client.step()).pc, at('loop', 5));
  assert.equal((await client.step()).pc, at('loop'));
});

kvmTest('a step over a call ends after it, the callee having run once', async (t) => {
  const { client, at } = await startCounter(t);
  await client.setBreakpoints({ address: at('loop'), temporary: true });
  await client.runUntilStop();
  for (let i = 1; i <= 10; i++) {
    const stop = await client.step({ over: true });
    assert.deepEqual(stop, { cause: { kind: 'step' }, cpu: 0, pc: at('loop', 5), breakpointIds: [] });
    assert.equal(await client.word(at('counter')), i);
    assert.equal((await client.step({ over: true })).pc, at('loop'));
  }
});

kvmTest('a range step goes on until RIP leaves the range, through or over calls', async (t) => {
  const { client, at } = await startCounter(t);
  await client.setBreakpoints({ address: at('step'), temporary: true });
  await client.runUntilStop();
  const range = { start: at('step'), end: at('step', 10) }; // mov and call
  assert.equal((await client.step({ range })).pc, at('add_one'), 'into the call');
  await client.setBreakpoints({ address: at('step'), temporary: true });
  await client.runUntilStop();
  assert.equal((await client.step({ range, over: true })).pc, at('step', 10), 'over the call');
  const loop = { start: at('loop'), end: at('step') };
  assert.equal(
    (await client.step({ range, over: true })).pc,
    at('loop', 5),
    'out of the function by its ret',
  );
  assert.equal((await client.step({ range: loop })).pc, at('step'), 'jmp and call, into the call');
});

kvmTest('a pause ends a range step over a loop that never leaves it', async (t) => {
  const kernel = await guest('spin');
  const { client } = await startVm(t, { kernel });
  const at = guestSymbols(kernel);
  await client.setBreakpoints({ address: at('spin'), temporary: true });
  await client.runUntilStop();
  const stepping = client.step({ range: { start: at('spin'), end: at('spin', 2) } });
  await client.pause();
  assert.deepEqual(await stepping, { cause: { kind: 'pause' }, cpu: 0, pc: at('spin'), breakpointIds: [] });
});

kvmTest('a step over a call stops at a breakpoint in the callee, and at the callee itself', async (t) => {
  const { client, at } = await startCounter(t);
  await client.setBreakpoints({ address: at('loop'), temporary: true });
  await client.runUntilStop();
  await client.setBreakpoints({ id: 7, address: at('add_one') });
  assert.deepEqual(await client.step({ over: true }), {
    cause: { kind: 'breakpoint' },
    cpu: 0,
    pc: at('add_one'),
    breakpointIds: [7],
  });
  await client.setBreakpoints({ address: at('loop'), temporary: true });
  await client.runUntilStop();
  await client.setBreakpoints({ id: 8, address: at('step') });
  const stop = await client.step({ over: true });
  assert.deepEqual(
    { kind: stop.cause.kind, pc: stop.pc, ids: stop.breakpointIds },
    { kind: 'breakpoint', pc: at('step'), ids: [8] },
  );
});

kvmTest('a step onto a breakpoint of another vCPU, or of a shallower stack, is a step', async (t) => {
  const { client, at } = await startCounter(t);
  await client.setBreakpoints({ address: at('loop'), temporary: true });
  await client.runUntilStop();
  await client.setBreakpoints(
    { id: 1, address: at('step'), stackAbove: '0xffffffff' },
    { id: 2, address: at('step', 5), cpu: 1 },
  );
  assert.deepEqual(await client.step(), {
    cause: { kind: 'step' },
    cpu: 0,
    pc: at('step'),
    breakpointIds: [],
  });
  assert.deepEqual(await client.step(), {
    cause: { kind: 'step' },
    cpu: 0,
    pc: at('step', 5),
    breakpointIds: [],
  });
});

kvmTest('a step onto a breakpoint reports it', async (t) => {
  const { client, at } = await startCounter(t);
  await client.setBreakpoints({ address: at('loop'), temporary: true });
  await client.runUntilStop();
  await client.setBreakpoints({ id: 3, address: at('step') });
  const stop = await client.step();
  assert.deepEqual(stop, { cause: { kind: 'breakpoint' }, cpu: 0, pc: at('step'), breakpointIds: [3] });
  assert.equal((await client.step()).pc, at('step', 5));
});

kvmTest('reset goes back to the first instruction, keeps breakpoints, and runs on if it ran', async (t) => {
  const { client, at } = await startCounter(t);
  await client.setBreakpoints({ id: 1, address: at('add_one') });
  await client.runUntilStop();
  await client.runUntilStop();
  assert.equal(await client.word(at('counter')), 1);
  await client.reset();
  const registers = await client.registers();
  assert.equal(registers.values.rip, at('start'));
  assert.equal(registers.values.rbx, '0x6000'); // multiboot information, as at the first start
  assert.equal(await client.word(at('counter')), 0);
  assert.equal((await client.info()).state, 'paused');
  assert.deepEqual((await client.runUntilStop()).breakpointIds, [1]);

  await client.setBreakpoints();
  await client.attachSerial();
  await client.resume();
  const starts = client.serial.length;
  await client.reset();
  assert.equal((await client.info()).state, 'running');
  await client.printed('C'.repeat(starts + 1));
});

kvmTest('requests in the wrong state are refused with what to do', async (t) => {
  const { client, at } = await startCounter(t);
  await client.resume();
  const running = { code: 4, message: 'the VM is running: pause it first' };
  await assert.rejects(client.registers(), running);
  await assert.rejects(client.writeRegisters({ rax: '0x1' }), running);
  await assert.rejects(client.step(), running);
  assert.equal((await client.read({ address: at('loop'), lengthBytes: 1 })).data[0], 0xe8);
  await client.pause();
  await assert.rejects(client.registers(3), { code: 1, message: 'there is no vCPU 3: the VM has 1' });
  await assert.rejects(client.create({ ...((await client.info()).config ?? assert.fail()) }), {
    code: 4,
    message: 'this process has a VM already',
  });
});
