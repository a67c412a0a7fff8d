import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DebugProtocol } from '@vscode/debugprotocol';
import type { DapClient } from '../support/dapClient.ts';
import {
  launched,
  registerGroup,
  membersOf,
  runUntilStopped,
  stackOf,
  STEPS_ELF,
  stoppedAtEntry,
  stoppedAtLine,
} from '../support/debugSession.ts';

type MemoryBody = DebugProtocol.ReadMemoryResponse['body'];
type Instructions = DebugProtocol.DisassembleResponse['body'];

async function evaluate(client: DapClient, expression: string, context = 'repl'): Promise<string> {
  return (await client.ask<{ result: string }>('evaluate', { expression, context })).result;
}

function lines(body: Instructions): string[] {
  return (body?.instructions ?? []).map((it) => `${it.address} ${it.instruction}`);
}

test('general registers are named, typed and point into memory', async (t) => {
  const { client } = await stoppedAtEntry(t);
  const { values } = await registerGroup(client, 'General');
  assert.deepEqual([...values.keys()].slice(0, 8), ['rax', 'rbx', 'rcx', 'rdx', 'rsi', 'rdi', 'rbp', 'rsp']);
  const rip = values.get('rip');
  assert.equal(rip?.value, '0x00000000001000f3');
  assert.equal(rip?.memoryReference, '0x1000f3');
  assert.equal(rip?.evaluateName, '$rip');
  assert.equal(values.get('rflags')?.value, '0x0000000000000002 []');
});

test('a symbol file of an address space counts while CR3 selects that', async (t) => {
  const program = (addressSpace: string): object => ({
    symbolFiles: [{ path: STEPS_ELF, offset: '0x40000000', addressSpace }],
  });
  const own = await stoppedAtEntry(t, program('0x1000'));
  assert.equal(await evaluate(own.client, '0x40100093'), '0x40100093 <kmain>');
  const other = await stoppedAtEntry(t, program('0x2000'));
  assert.equal(await evaluate(other.client, '0x40100093'), '0x40100093 (1074790547)');
});

test('32-bit code shows 32-bit registers', async (t) => {
  const { client, vmm } = await stoppedAtEntry(t);
  vmm.mode = 'protected32';
  await runUntilStopped(client, 'stepIn', { threadId: 1, granularity: 'instruction' });
  const { values } = await registerGroup(client, 'General');
  assert.equal(values.get('eip')?.value, '0x001000fa');
  assert.ok(!values.has('r8'));
  const { threads } = await client.ask<{ threads: { name: string }[] }>('threads');
  assert.equal(threads[0]?.name, 'vCPU0 · protected32 · CPL0');
});

test('control registers, flags and segments are decoded', async (t) => {
  const { client } = await stoppedAtEntry(t);
  const control = (await registerGroup(client, 'Control')).values;
  assert.equal(control.get('cr0')?.value, '0x0000000080000011 [PG ET PE]');
  assert.equal(control.get('cr4')?.value, '0x0000000000000020 [PAE]');
  assert.equal(control.get('efer')?.value, '0x0000000000000500 [LMA LME]');
  assert.equal(control.get('cr3')?.memoryReference, 'phys:0x1000');
  const segments = (await registerGroup(client, 'Segment')).values;
  assert.equal(segments.get('cs')?.value, '0x0010 base 0x0 limit 0xffffffff code64 DPL0');
  assert.equal(segments.get('ldt')?.value, '0x0000 unusable');
  assert.equal(segments.get('gdt_limit')?.value, '0x0017');
  const code = await membersOf(client, segments.get('cs')?.variablesReference ?? 0);
  assert.equal(code.get('l')?.value, '1');
});

test('setVariable writes registers and flags, and moves what the editor shows', async (t) => {
  const { client, vmm } = await stoppedAtEntry(t);
  const general = await registerGroup(client, 'General');
  const set = (
    name: string,
    value: string,
    variablesReference = general.reference,
  ): Promise<{ value: string }> => client.ask('setVariable', { variablesReference, name, value });
  assert.equal((await set('rax', '-1')).value, '0xffffffffffffffff');
  assert.equal((await set('rbx', 'rip + 0x10')).value, '0x0000000000100103');
  await set('rip', 'kmain');
  assert.equal(vmm.cpus[0]?.rip, 0x100093n);
  assert.ok(client.eventsOf<{ areas: string[] }>('invalidated').some((it) => it.areas.includes('stacks')));
  assert.equal((await stackOf(client))[0]?.name, 'kmain');
  const flags = await registerGroup(client, 'Flags');
  assert.equal(flags.values.get('ZF')?.value, '0');
  assert.equal((await set('ZF', '1', flags.reference)).value, '1');
  assert.equal(vmm.cpus[0]?.registers.rflags, 0x42n);
  await runUntilStopped(client, 'stepIn', { threadId: 1, granularity: 'instruction' });
  assert.equal(vmm.cpus[0]?.rip, 0x100094n);
});

test('a value that does not fit, is not a number or that KVM refuses changes nothing', async (t) => {
  const { client, vmm } = await stoppedAtEntry(t);
  const flags = await registerGroup(client, 'Flags');
  const general = await registerGroup(client, 'General');
  const control = await registerGroup(client, 'Control');
  const set = (variablesReference: number, name: string, value: string): Promise<string> =>
    client.fails('setVariable', { variablesReference, name, value });
  assert.match(await set(flags.reference, 'ZF', '2'), /0x2 does not fit in ZF, which has 1 bits/);
  assert.match(await set(general.reference, 'rax', 'twelve'), /no register or symbol "twelve"/);
  assert.match(
    await set(general.reference, 'rax', '1 +'),
    /cannot evaluate "1 \+": the expression ends, a value is missing/,
  );
  assert.match(await set(control.reference, 'cr0', '0'), /KVM refuses to set cr0/);
  assert.match(await set(control.reference, 'nothing', '0'), /nothing cannot be set/);
  assert.equal(vmm.cpus[0]?.registers.rflags, 2n);
});

test('a caller frame shows what its callees saved, and cannot be set', async (t) => {
  const { client } = await stoppedAtLine(t, 28);
  const frames = await stackOf(client);
  const { values, reference } = await registerGroup(client, 'General', frames[1]?.id);
  assert.equal(values.get('rip')?.value, '0x000000000010005d');
  assert.equal(values.get('rax')?.value, '<not saved>');
  assert.match(
    await client.fails('setVariable', { variablesReference: reference, name: 'rip', value: '0' }),
    /only the innermost frame/,
  );
});

test('handles of an earlier stop are refused', async (t) => {
  const { client } = await stoppedAtEntry(t);
  const [frame] = await stackOf(client);
  const { reference } = await registerGroup(client, 'General');
  await runUntilStopped(client, 'stepIn', { threadId: 1, granularity: 'instruction' });
  assert.match(await client.fails('scopes', { frameId: frame?.id }), /of an earlier stop/);
  assert.match(await client.fails('variables', { variablesReference: reference }), /of an earlier stop/);
});

test('the stack is paged, and its frames name files that exist', async (t) => {
  const { client } = await stoppedAtLine(t, 28);
  const first = await client.ask<DebugProtocol.StackTraceResponse['body']>('stackTrace', {
    threadId: 1,
    startFrame: 0,
    levels: 1,
  });
  assert.equal(first.stackFrames.length, 1);
  assert.ok((first.totalFrames ?? 0) > 1);
  const rest = await client.ask<DebugProtocol.StackTraceResponse['body']>('stackTrace', {
    threadId: 1,
    startFrame: 1,
    levels: 19,
  });
  assert.deepEqual(
    rest.stackFrames.map((it) => it.name),
    ['distance', 'kmain', '_start'],
  );
  assert.equal(rest.totalFrames, 4);
  assert.match(rest.stackFrames[0]?.source?.path ?? '', /test\/dap\/fixtures\/steps\.c$/);
  assert.equal(rest.stackFrames[0]?.instructionPointerReference, '0x10005d');
});

test('sourceMap leads from the recorded folder to the local one', async (t) => {
  const { client } = await stoppedAtLine(t, 28, { sourceMap: { '/build/steps': '/nowhere' } });
  // Nothing there: the file beside the kernel is used.
  assert.match((await stackOf(client))[0]?.source?.path ?? '', /fixtures\/steps\.c$/);
});

test('the console evaluates registers, symbols and memory', async (t) => {
  const { client } = await stoppedAtEntry(t);
  assert.equal(await evaluate(client, '$rip'), '0x1000f3 <_start>');
  assert.equal(await evaluate(client, 'rip + 1'), '0x1000f4 <_start+0x1>');
  assert.match(await evaluate(client, 'stack_top', 'watch'), /^0x102010 /); // a label without a type
  assert.equal(await evaluate(client, '*0x101008', 'hover'), '0x1122334455667788 (1234605616436508552)');
  assert.equal(await evaluate(client, '*(u16*)(0x101008 + 2)'), '0x5566 (21862)');
  assert.equal(await evaluate(client, 'ax'), '0x0 (0)');
  assert.equal(await evaluate(client, '-1'), '0xffffffffffffffff (-1)');
  assert.equal(await evaluate(client, '7u - 8'), '4294967295');
  assert.equal(await evaluate(client, '2 - 0b11 + 1'), '0x0 (0)');
  assert.match(
    await client.fails('evaluate', { expression: '*0xffff000000', context: 'repl' }),
    /no memory at 0xffff000000/,
  );
  assert.match(await client.fails('evaluate', { expression: '$xyz', context: 'repl' }), /no register \$xyz/);
  assert.match(await client.fails('evaluate', { expression: '(1', context: 'watch' }), /\) is missing/);
  assert.match(await client.fails('evaluate', { expression: '1 # 2', context: 'watch' }), /unexpected .*#/);
});

test('errors of watches and hovers open no dialog', async (t) => {
  const { client } = await stoppedAtEntry(t);
  const response = await client.request('evaluate', { expression: 'nothing', context: 'watch' });
  assert.equal((response.body as { error: { showUser: boolean } }).error.showUser, false);
});

test('the console assigns registers and memory; a watch does not', async (t) => {
  const { client, vmm } = await stoppedAtEntry(t);
  assert.equal(await evaluate(client, '$rcx = 0x1234'), '0x1234 (4660)');
  assert.equal(await evaluate(client, 'cl = 0xff'), '0xff (255)');
  assert.equal(vmm.cpus[0]?.registers.rcx, 0x12ffn);
  await evaluate(client, '*(u32*)ticks = 7');
  assert.equal(vmm.memory.load(0x101008n, 8), 0x1122334400000007n);
  assert.equal(client.eventsOf('memory').length, 1);
  assert.match(
    await client.fails('evaluate', { expression: '3 = 4', context: 'repl' }),
    /cannot assign to "3"/,
  );
  assert.match(
    await client.fails('evaluate', { expression: '$rcx = 1', context: 'watch' }),
    /assignment is not allowed/,
  );
});

test('x examines memory in gdb notation', async (t) => {
  const { client } = await stoppedAtEntry(t);
  assert.equal(await evaluate(client, 'x/2xw ticks'), '0x101008: 0x55667788 0x11223344');
  assert.equal(await evaluate(client, 'x/1xg ticks'), '0x101008: 0x1122334455667788');
  assert.equal(await evaluate(client, 'x/2dw origin'), '0x101000: 3 4');
  assert.equal(await evaluate(client, 'x/3bx ticks'), '0x101008: 0x88 0x77 0x66');
  assert.equal(
    await evaluate(client, 'x/2i square'),
    '0x100000 <square> push rbp\n0x100001 <square+0x1> mov rbp, rsp',
  );
  assert.match(await evaluate(client, 'x/s 0xff001'), /^0xff001: "ELF/);
  assert.match(
    await client.fails('evaluate', { expression: 'x/zz ticks', context: 'repl' }),
    /write x\/COUNT/,
  );
});

test('readMemory says how much could not be read', async (t) => {
  const { client } = await stoppedAtEntry(t);
  const inside = await client.ask<MemoryBody>('readMemory', {
    memoryReference: '0x101000',
    offset: 8,
    count: 8,
  });
  assert.deepEqual(inside, {
    address: '0x101008',
    data: Buffer.from('8877665544332211', 'hex').toString('base64'),
  });
  const end = await client.ask<MemoryBody>('readMemory', { memoryReference: 'phys:0x3ffff0', count: 32 });
  assert.equal(end?.unreadableBytes, 16);
  assert.equal(Buffer.from(end?.data ?? '', 'base64').length, 16);
  const outside = await client.ask<MemoryBody>('readMemory', {
    memoryReference: '0xffff800000000000',
    count: 4,
  });
  assert.deepEqual(outside, { address: '0xffff800000000000', data: '', unreadableBytes: 4 });
  assert.match(
    await client.fails('readMemory', { memoryReference: 'rax', count: 4 }),
    /"rax" is not a memory reference/,
  );
});

test('memory can be read and written while the VM runs', async (t) => {
  const { client } = await launched(t);
  await client.ask('configurationDone');
  const data = Buffer.from([1, 2]).toString('base64');
  assert.deepEqual(await client.ask('writeMemory', { memoryReference: '0x101000', data }), {
    offset: 0,
    bytesWritten: 2,
  });
  assert.deepEqual(client.eventsOf('memory'), [{ memoryReference: '0x101000', offset: 0, count: 2 }]);
  const read = await client.ask<MemoryBody>('readMemory', { memoryReference: '0x101000', count: 4 });
  assert.equal(read?.data, Buffer.from([1, 2, 0, 0]).toString('base64'));
});

test('a write beyond memory fails whole, or writes what fits when that is allowed', async (t) => {
  const { client } = await stoppedAtEntry(t);
  const write = { memoryReference: '0x3ffffe', data: Buffer.from([1, 2, 3, 4]).toString('base64') };
  assert.match(await client.fails('writeMemory', write), /no memory at 0x3ffffe/);
  assert.deepEqual(await client.ask('writeMemory', { ...write, allowPartial: true }), {
    offset: 0,
    bytesWritten: 2,
  });
  assert.match(
    await client.fails('writeMemory', { ...write, memoryReference: '0x4000000', allowPartial: true }),
    /no memory at 0x4000000/,
  );
});

test('disassembly names symbols, branch targets and source lines', async (t) => {
  const { client } = await stoppedAtEntry(t);
  const body = await client.ask<Instructions>('disassemble', {
    memoryReference: '0x1000bb',
    instructionCount: 4,
    resolveSymbols: true,
  });
  assert.deepEqual(
    body?.instructions.map(({ address, instruction, instructionBytes, symbol, line }) => ({
      address,
      instruction,
      instructionBytes,
      symbol,
      line,
    })),
    [
      {
        address: '0x1000bb',
        instruction: 'mov eax, [rbp-4]',
        instructionBytes: '8b 45 fc',
        symbol: 'kmain+0x28',
        line: 57,
      },
      {
        address: '0x1000be',
        instruction: 'mov edi, eax',
        instructionBytes: '89 c7',
        symbol: 'kmain+0x2b',
        line: undefined,
      },
      {
        address: '0x1000c0',
        instruction: 'call 0x1000ee <plain>',
        instructionBytes: 'e8 29 00 00 00',
        symbol: 'kmain+0x2d',
        line: undefined,
      },
      {
        address: '0x1000c5',
        instruction: 'add [rbp-4], eax',
        instructionBytes: '01 45 fc',
        symbol: 'kmain+0x32',
        line: undefined,
      },
    ],
  );
  assert.match(body?.instructions[0]?.location?.path ?? '', /steps\.c$/);
});

test('disassembly backwards ends at the address asked for, across function boundaries', async (t) => {
  const { client } = await stoppedAtEntry(t);
  const ask = (
    memoryReference: string,
    instructionOffset: number,
    instructionCount: number,
  ): Promise<Instructions> =>
    client.ask('disassemble', { memoryReference, instructionOffset, instructionCount });
  assert.deepEqual(lines(await ask('0x100019', -2, 3)), [
    '0x100017 leave',
    '0x100018 ret',
    '0x100019 push rbp',
  ]);
  assert.deepEqual(lines(await ask('0x100044', -16, 2)), ['0x100018 ret', '0x100019 push rbp']);
  const long = await ask('0x100093', -100, 201);
  assert.equal(long?.instructions.length, 201);
  assert.equal(long?.instructions[100]?.address, '0x100093');
  assert.equal(long?.instructions[100]?.instruction, 'push rbp');
  const addresses = long?.instructions.map((it) => BigInt(it.address)) ?? [];
  assert.ok(
    addresses.every((it, i) => i === 0 || it > (addresses[i - 1] ?? 0n)),
    'ascending, each once',
  );
});

test('disassembly without memory gives lines that say so, as many as asked for', async (t) => {
  const { client } = await stoppedAtEntry(t);
  const body = await client.ask<Instructions>('disassemble', {
    memoryReference: '0xffff800000000000',
    instructionOffset: -2,
    instructionCount: 4,
  });
  assert.deepEqual(lines(body), [
    '0xffff7ffffffffffe ??',
    '0xffff7fffffffffff ??',
    '0xffff800000000000 ??',
    '0xffff800000000001 ??',
  ]);
  assert.ok(body?.instructions.every((it) => it.presentationHint === 'invalid'));
  const top = await client.ask<Instructions>('disassemble', {
    memoryReference: '0x0',
    instructionOffset: -1,
    instructionCount: 1,
  });
  assert.equal(top?.instructions.length, 1);
});

test('disassembly follows the mode of the vCPU: 16-bit code with its segment base', async (t) => {
  const { client, vmm } = await stoppedAtEntry(t);
  vmm.memory.bytes.set([0xb8, 0x34, 0x12, 0xeb, 0xfe], 0x10200);
  const at = { memoryReference: '0x10200', instructionCount: 2 };
  assert.deepEqual(lines(await client.ask<Instructions>('disassemble', at)), [
    '0x10200 mov eax, 0xfeeb1234',
    '0x10205 add [rax], al',
  ]);
  vmm.mode = 'real';
  vmm.csBase = 0x10000n;
  await runUntilStopped(client, 'stepIn', { threadId: 1, granularity: 'instruction' });
  assert.deepEqual(lines(await client.ask<Instructions>('disassemble', at)), [
    '0x10200 mov ax, 0x1234',
    '0x10203 jmp short 0x203 <0x10203>',
  ]);
});
