/** Guest memory and registers through the control socket, of a real VM. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { guest } from '../guests/build.ts';
import { guestSymbols } from '../support/guestSymbols.ts';
import { kvmTest } from '../support/kvmTest.ts';
import { type LiveClient, type LiveVm, startVm } from '../support/liveVm.ts';

const RAM_END = 0x100_0000; // 16 MiB
const USER = 1;
const ADDRESS = 5;

async function started(t: TestContext, name: 'counter' | 'linux64' | 'realMode16'): Promise<LiveVm> {
  const kernel = await guest(name);
  return startVm(t, { kernel, ...(name === 'realMode16' ? { protocol: 'flat' } : {}) });
}

async function bytesAt(
  client: LiveClient,
  address: number,
  lengthBytes: number,
  physical = false,
): Promise<number[]> {
  const { data, unreadableBytes } = await client.read({
    address: `0x${address.toString(16)}`,
    lengthBytes,
    physical,
  });
  assert.equal(unreadableBytes, lengthBytes - data.length);
  return [...data];
}

kvmTest('what is written can be read back, linear and physical, across page boundaries', async (t) => {
  const { client } = await started(t, 'counter');
  const pattern = Array.from({ length: 10_000 }, (_, i) => (i * 7) & 0xff);
  assert.equal(await client.write({ address: '0x200ff8' }, pattern), pattern.length);
  assert.deepEqual(await bytesAt(client, 0x200ff8, pattern.length, true), pattern);
  assert.equal(await client.write({ address: '0x300ffe', physical: true }, pattern), pattern.length);
  assert.deepEqual(await bytesAt(client, 0x300ffe, pattern.length), pattern);
});

kvmTest('a read ends at the first byte that is not RAM and says how many are missing', async (t) => {
  const { client } = await started(t, 'counter');
  assert.equal((await bytesAt(client, RAM_END - 16, 32)).length, 16);
  assert.equal((await bytesAt(client, RAM_END - 16, 32, true)).length, 16);
  assert.deepEqual(await bytesAt(client, RAM_END, 8), []);
  assert.deepEqual(await bytesAt(client, 0xfee00000, 8, true), []);
  assert.deepEqual(await bytesAt(client, 0, 0), []);
  const whole = await client.read({ address: '0x0', lengthBytes: RAM_END, physical: true });
  assert.equal(whole.data.length, RAM_END);
});

kvmTest('a write that does not fit changes nothing and names the address', async (t) => {
  const { client } = await started(t, 'counter');
  const address = `0x${(RAM_END - 4).toString(16)}`;
  await client.write({ address }, [1, 2, 3, 4]);
  await assert.rejects(client.write({ address }, [9, 9, 9, 9, 9]), {
    code: ADDRESS,
    message: `no guest RAM at address 0x${RAM_END.toString(16)} length 0x1`,
  });
  assert.deepEqual(await bytesAt(client, RAM_END - 4, 4), [1, 2, 3, 4]);
});

kvmTest('invalid addresses and lengths are refused with how to write them', async (t) => {
  const { client } = await started(t, 'counter');
  for (const address of ['', '10', '0x', '0x1g', '-0x1', '0x11112222333344445']) {
    await assert.rejects(client.read({ address, lengthBytes: 1 }), {
      code: USER,
      message: `${address} is not an address: write it as 0x… with up to 16 digits`,
    });
  }
  for (const lengthBytes of [-1, 0.5, 2 ** 40]) {
    await assert.rejects(client.read({ address: '0x0', lengthBytes }), {
      code: USER,
      message: `a read of ${lengthBytes} bytes: at most 67108864 at once`,
    });
  }
  assert.deepEqual(await bytesAt(client, Number.MAX_SAFE_INTEGER, 1), []);
  const top = await client.read({ address: '0xffffffffffffffff', lengthBytes: 16, physical: true });
  assert.equal(top.data.length, 0);
});

kvmTest('without paging every address of RAM is itself, others are not mapped', async (t) => {
  const { client } = await started(t, 'counter');
  const here = await client.translate({ address: '0x100000' });
  assert.deepEqual({ gpa: here.gpa, entries: here.entries }, { gpa: '0x100000', entries: [] });
  assert.equal((await client.translate({ address: '0xd0000000' })).gpa, undefined);
});

kvmTest('in long mode a walk names its entries, and what is outside the tables is not mapped', async (t) => {
  const { client } = await started(t, 'linux64');
  const { values } = await client.registers();
  const here = await client.translate({ address: values.rip ?? '' });
  assert.equal(here.gpa, values.rip);
  assert.equal(here.pageBytes, 0x20_0000);
  assert.deepEqual(
    here.entries.map(({ level }) => level),
    [4, 3, 2],
  );
  assert.equal(here.entries[0]?.gpa, values.cr3);
  const outside = await client.translate({ address: '0x7fff00000000' });
  assert.equal(outside.gpa, undefined);
  assert.deepEqual(
    await client.read({ address: '0x7fff00000000', lengthBytes: 4 }).then(({ data }) => data.length),
    0,
  );
  assert.equal((await client.translate({ address: '0x800000000000' })).gpa, undefined, 'not canonical');
});

kvmTest('a walk follows the page tables as they are now, not as they were at boot', async (t) => {
  const { client } = await started(t, 'linux64');
  const entry = (await client.translate({ address: '0x400000' })).entries.at(-1);
  assert.equal((await client.read({ address: '0x3ffff0', lengthBytes: 32 })).unreadableBytes, 0);
  await client.write({ address: entry?.gpa ?? '', physical: true }, [0]); // not present
  const gone = await client.translate({ address: '0x400000' });
  assert.deepEqual({ gpa: gone.gpa, levels: gone.entries.length }, { gpa: undefined, levels: 3 });
  assert.equal((await client.read({ address: '0x3ffff0', lengthBytes: 32 })).data.length, 16);
  assert.equal((await client.read({ address: '0x3ffff0', lengthBytes: 32, physical: true })).data.length, 32);
  await assert.rejects(client.write({ address: '0x3ffff0' }, new Array<number>(32).fill(1)), {
    code: ADDRESS,
  });
});

kvmTest('registers can be set, and the guest continues with them', async (t) => {
  const { client } = await started(t, 'counter');
  const at = guestSymbols(await guest('counter'));
  const after = await client.writeRegisters({
    rip: at('add_one'),
    rbx: '0x10',
    rflags: '0x2',
    rsp: '0x300000',
  });
  assert.deepEqual(
    [after.values.rip, after.values.rbx, after.values.rsp],
    [at('add_one'), '0x10', '0x300000'],
  );
  assert.equal((await client.step()).pc, at('add_one', 6));
  assert.equal(await client.word(at('counter')), 0x10);
});

kvmTest('a value that is refused changes nothing, not even the others of its request', async (t) => {
  const { client } = await started(t, 'linux64');
  const before = await client.registers();
  const cases: readonly (readonly [Record<string, string>, RegExp])[] = [
    [{ rax: '0x1', nosuch: '0x1' }, /^nosuch is not a register that can be set$/],
    [{ rax: '0x1', rbx: 'seven' }, /^rbx: seven is not a hexadecimal number of up to 64 bits$/],
    [{ rax: '0x1', rbx: '0x11111222223333344' }, /^rbx: 0x11111222223333344 is not a hexadecimal number/],
    [{ rax: '0x1', gdt_limit: '0x10000' }, /^gdt_limit: 0x10000 does not fit in 16 bits$/],
    [{ rax: '0x1', cs: '0x12345' }, /^cs: 0x12345 does not fit in 16 bits$/],
    [{ rax: '0x1', cs: '0x0' }, /^cs cannot hold a null selector$/],
    [{ rax: '0x1', ds: '0xfff8' }, /^selector 0xfff8 is beyond the descriptor table's limit$/],
    [{ rax: '0x1', cr4: '0x0' }, /^the processor does not accept rax, cr4 with that value$/], // long mode needs PAE
    [{ rax: '0x1', cr0: '0x80000000' }, /^the processor does not accept rax, cr0 with that value$/], // PG without PE
  ];
  for (const [values, message] of cases) {
    await assert.rejects(client.writeRegisters(values), { code: USER, message });
    assert.deepEqual(await client.registers(), before, JSON.stringify(values));
  }
});

kvmTest('a selector is loaded from the GDT in protected mode, and is its base in real mode', async (t) => {
  const { client } = await started(t, 'counter');
  const { values } = await client.registers();
  // A writable data segment at 0x123000, byte granular, limit 0xfff, DPL 3, in the slot after the present
  // ones.
  const slot = (Number(values.gdt_limit) + 1) & ~7;
  const descriptor = [0xff, 0x0f, 0x00, 0x30, 0x12, 0xf2, 0x40, 0x00];
  await client.write({ address: `0x${(Number(values.gdt_base) + slot).toString(16)}` }, descriptor);
  const limit = `0x${(slot + 7).toString(16)}`;
  const loaded = await client.writeRegisters({ gdt_limit: limit, ds: `0x${(slot | 3).toString(16)}` });
  const { ds } = loaded.segments;
  assert.deepEqual(
    {
      selector: ds?.selector,
      base: ds?.base,
      limit: ds?.limit,
      dpl: ds?.dpl,
      type: ds?.type,
      db: ds?.db,
      g: ds?.g,
    },
    { selector: slot | 3, base: '0x123000', limit: '0xfff', dpl: 3, type: 3, db: true, g: false },
  );
  const real = (await started(t, 'realMode16')).client;
  const after = await real.writeRegisters({ ds: '0x1234' });
  assert.equal(after.segments['ds']?.base, '0x12340');
  assert.equal(after.mode, 'real');
});

kvmTest('registers and memory in real mode: linear addresses include the segment base', async (t) => {
  const { client } = await started(t, 'realMode16');
  const registers = await client.registers();
  assert.deepEqual({ mode: registers.mode, rip: registers.values.rip }, { mode: 'real', rip: '0x7c00' });
  const moved = await client.writeRegisters({ cs: '0x7c0', rip: '0x0' });
  assert.equal(moved.segments['cs']?.base, '0x7c00');
  assert.equal((await client.step()).pc, '0x7c02'); // xor %ax, %ax
});
