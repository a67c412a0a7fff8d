/**
 * A program's names versus those of registers: `ch` is the program's where it has one, `$ch` is always the
 * register.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import type { DebugProtocol } from '@vscode/debugprotocol';
import { type TestSession, stackOf, stoppedAtEntry } from '../support/debugSession.ts';

const SOURCE = `
int ch = 65, ip = 77, cr0 = 5;
unsigned long sp = 4096;
enum { r9 = 9 };
#define bx (ch + 1)
__asm__(".data\\n .globl dl\\n dl: .byte 1\\n .text");
void _start(void) { enum { dx = 3 }; ch += r9 + dx; for (;;) ch++; }
`;
const OPTIONS = [
  ...['-g3', '-gdwarf-5', '-O0', '-ffreestanding', '-fno-pic', '-no-pie', '-mno-red-zone', '-mcmodel=kernel'],
  ...['-fno-stack-protector', '-fcf-protection=none', '-nostdlib', '-static'],
  ...['-Wl,-Ttext=0x100000,-e,_start,--build-id=none,-z,max-page-size=0x1000,-z,noexecstack'],
];

async function stoppedInGuest(t: TestContext, ...extra: string[]): Promise<TestSession | undefined> {
  const folder = mkdtempSync(path.join(tmpdir(), 'trapframe-names-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const kernel = path.join(folder, 'names.elf');
  writeFileSync(path.join(folder, 'names.c'), SOURCE);
  try {
    execFileSync('gcc', [...OPTIONS, ...extra, '-o', kernel, path.join(folder, 'names.c')]);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    t.skip('gcc is not installed');
    return undefined;
  }
  return stoppedAtEntry(t, { kernel });
}

/** What a watch, a hover or the console shows. */
async function asker({ client }: TestSession): Promise<(text: string, context?: string) => Promise<string>> {
  const frameId = (await stackOf(client))[0]?.id;
  return async (expression, context = 'watch') => {
    const body = await client.ask<{ result: string }>('evaluate', { expression, frameId, context });
    return body.result;
  };
}

test("a program's variables, enumerators and macros win over registers of their names", async (t) => {
  const session = await stoppedInGuest(t);
  if (session === undefined) return;
  const ask = await asker(session);
  for (const context of ['watch', 'hover', 'repl']) {
    assert.equal(await ask('ch', context), '65');
    assert.equal(await ask('ip', context), '77');
    assert.equal(await ask('cr0', context), '5');
    assert.equal(await ask('sp', context), '4096');
    assert.equal(await ask('r9', context), 'r9');
    assert.equal(await ask('bx', context), '66');
    assert.equal(await ask('ip - ch', context), '12');
    assert.match(await ask('$sp', context), /^0x/);
    assert.match(await ask('rsp', context), /^0x/);
    assert.equal(
      await ask('$rip == rip ? sp : 0', context),
      '4096',
      'what the program does not have is a register',
    );
    assert.match(
      await ask('dl', context),
      /^0x10[0-9a-f]{4} <dl>$/,
      'a label of the assembler is its address',
    );
  }
});

test('an assignment sets the variable, one with a dollar the register', async (t) => {
  const session = await stoppedInGuest(t);
  if (session === undefined) return;
  const { client, vmm } = session;
  const ask = await asker(session);
  const before = await ask('$ch');
  assert.equal(await ask('ch = 104', 'repl'), '104');
  assert.equal(await ask('ch'), '104');
  assert.equal(await ask('$ch'), before);
  const address = BigInt((await ask('&ch')).split(' ')[0] ?? '0');
  assert.equal(vmm.memory.load(address, 4), 104n);
  await ask('$ch = 7', 'repl');
  assert.equal(await ask('ch'), '104');
  assert.match(await ask('$ch'), /^0x7 /);
  await ask('ah = 8', 'repl');
  assert.match(await ask('$ah'), /^0x8 /, 'no symbol has the name');
  const frameId = (await stackOf(client))[0]?.id;
  const set = await client.ask<DebugProtocol.SetExpressionResponse['body']>('setExpression', {
    expression: 'ip',
    value: '78',
    frameId,
  });
  assert.equal(set.value, '78');
  assert.equal(await ask('ip'), '78');
  assert.match(
    await client.fails('evaluate', { expression: 'dl = 1', frameId, context: 'repl' }),
    /cannot assign to "dl"/,
  );
});

test("registers complete after the program's names", async (t) => {
  const session = await stoppedInGuest(t);
  if (session === undefined) return;
  const { client } = session;
  const frameId = (await stackOf(client))[0]?.id;
  const { targets } = await client.ask<DebugProtocol.CompletionsResponse['body']>('completions', {
    text: 'rd',
    column: 3,
    frameId,
  });
  assert.deepEqual(
    targets.map(({ label, sortText }) => `${label} ${sortText ?? ''}`),
    ['rdx ~rdx', 'rdi ~rdi'],
  );
});

test('numbers in the console are those of C, fractions are computed', async (t) => {
  const session = await stoppedInGuest(t);
  if (session === undefined) return;
  const { client } = session;
  const ask = await asker(session);
  for (const context of ['watch', 'repl']) {
    assert.equal(await ask('017', context), '0xf (15)');
    assert.equal(await ask('1e3', context), '1000');
    assert.equal(await ask('0x1p3', context), '8');
    assert.equal(await ask("1'000 / 2", context), '500');
    assert.equal(await ask('017 * 2', context), '30');
  }
  const frameId = (await stackOf(client))[0]?.id;
  for (const expression of ['08', '08 * 2'])
    assert.match(
      await client.fails('evaluate', { expression, frameId, context: 'watch' }),
      /invalid octal number 08: a leading 0 means base 8/,
    );
});

test('in a guest without symbols bare names are registers', async (t) => {
  const session = await stoppedInGuest(t, '-s');
  if (session === undefined) return;
  const ask = await asker(session);
  for (const context of ['watch', 'hover', 'repl']) {
    assert.match(await ask('ip', context), /^0x/);
    assert.equal(await ask('ip', context), await ask('$ip', context));
    assert.match(await ask('cr0', context), /^0x/);
    assert.equal(await ask('017 + 1', context), '0x10 (16)');
  }
  await ask('ch = 104', 'repl');
  assert.match(await ask('$ch'), /^0x68 /);
});
