/** A kernel whose names take a while to read: what the editor sees of it, and what it can do meanwhile. */
import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import type { DebugProtocol } from '@vscode/debugprotocol';
import { buildIndex } from '../../debug-adapter/symbols/index/buildIndex.ts';
import type { IndexRequest } from '../../debug-adapter/symbols/index/indexLoader.ts';
import { elfSectionLoader } from '../../debug-adapter/symbols/files/imageSections.ts';
import { finish } from '../../debug-adapter/symbols/base/steps.ts';
import type { SymbolIndexData } from '../../debug-adapter/symbols/index/symbolIndex.ts';
import { DwarfFile } from '../../debug-adapter/dwarf/dwarfFile.ts';
import { bytesSource } from '../../vmm-core/elf/byteSource.ts';
import { parseElf } from '../../vmm-core/elf/elfFile.ts';
import { type DapClient, spawnAdapter } from '../support/dapClient.ts';
import { initialized, launchArguments, STEPS_ELF, type TestSession } from '../support/debugSession.ts';
import { FakeVmm } from '../support/fakeVmm.ts';
import { largeImage } from '../support/largeImage.ts';

const BUNDLE = path.join(import.meta.dirname, '..', '..', 'dist', 'debug-adapter.js');

/** Replaces the thread that builds an index: the test says how far it is and when it is done. */
class FakeIndexer {
  readonly #image: Uint8Array;
  readonly #events = new EventEmitter<{ started: [IndexRequest]; ended: [SymbolIndexData | undefined] }>();
  readonly #started = once(this.#events, 'started') as Promise<[IndexRequest]>;

  constructor(image: Uint8Array) {
    this.#image = image;
  }

  readonly obtain = async (request: IndexRequest): Promise<SymbolIndexData | undefined> => {
    if (!request.mayBuild) return undefined;
    request.signal?.addEventListener('abort', () => this.#events.emit('ended', undefined));
    this.#events.emit('started', request);
    const [data] = (await once(this.#events, 'ended')) as [SymbolIndexData | undefined];
    return data;
  };

  async tell(fraction: number): Promise<void> {
    const [request] = await this.#started;
    request.onProgress?.(fraction);
  }

  finish(): void {
    const elf = parseElf(bytesSource('vmlinux', this.#image));
    const dwarf = new DwarfFile(elfSectionLoader(elf, {}, assert.fail), { littleEndian: true });
    this.#events.emit('ended', finish(buildIndex(dwarf)));
  }
}

/** A clock that does not move until it is set forward. */
function stoppedClock(t: TestContext): { forward(byMs: number): void } {
  let nowMs = Math.floor(performance.now()); // a whole number: differences are exact
  t.mock.method(performance, 'now', () => nowMs);
  return { forward: (byMs) => (nowMs += byMs) };
}

/** A kernel without symbols, and a large image that knows its code. */
function largeFiles(t: TestContext): { folder: string; image: Uint8Array; launch: object } {
  const folder = mkdtempSync(path.join(tmpdir(), 'indexing-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const vmlinux = path.join(folder, 'vmlinux');
  const image = largeImage();
  writeFileSync(vmlinux, image);
  const kernel = path.join(folder, 'kernel');
  writeFileSync(kernel, withoutSections(readFileSync(STEPS_ELF)));
  return { folder, image, launch: { kernel, symbolFiles: [vmlinux], stopOnEntry: true } };
}

async function launchedLarge(
  t: TestContext,
  client: Partial<DebugProtocol.InitializeRequestArguments> = { supportsProgressReporting: true },
): Promise<TestSession & { readonly indexer: FakeIndexer }> {
  const { image, launch } = largeFiles(t);
  const session = await initialized(t);
  Object.assign(session.state.client, client);
  const indexer = new FakeIndexer(image);
  session.state.obtainIndex = indexer.obtain;
  await session.client.ask('launch', launchArguments(session, launch));
  await session.client.waitFor('initialized');
  return { ...session, indexer };
}

function withoutSections(elf: Buffer): Buffer {
  elf.writeBigUInt64LE(0n, 0x28); // e_shoff
  elf.writeUInt16LE(0, 0x3c); // e_shnum
  elf.writeUInt16LE(0, 0x3e); // e_shstrndx
  return elf;
}

function progressOf(client: DapClient): [string, unknown][] {
  return client.events
    .filter(({ event }) => event.startsWith('progress'))
    .map(({ event, body }) => [event, body]);
}

/** Of the guest stopped at its first instruction. */
async function topFrame({
  client,
}: {
  readonly client: DapClient;
}): Promise<DebugProtocol.StackFrame | undefined> {
  await client.ask('configurationDone');
  await client.waitFor('stopped');
  const { stackFrames } = await client.ask<{ stackFrames: DebugProtocol.StackFrame[] }>('stackTrace', {
    threadId: 1,
  });
  return stackFrames[0];
}

test('an index that takes over a second shows a progress that ends with it', async (t) => {
  const clock = stoppedClock(t);
  const { client, indexer } = await launchedLarge(t);
  await indexer.tell(0);
  clock.forward(1000);
  await indexer.tell(0.25);
  clock.forward(100);
  await indexer.tell(0.3);
  clock.forward(150);
  await indexer.tell(0.5);
  indexer.finish();
  await client.waitFor('progressEnd');
  const progressId = 'progress-1';
  assert.deepEqual(progressOf(client), [
    [
      'progressStart',
      { progressId, title: 'Reading the names of vmlinux', cancellable: true, percentage: 25 },
    ],
    ['progressUpdate', { progressId, percentage: 50 }],
    ['progressEnd', { progressId }],
  ]);
  assert.equal(client.console, '');
});

test('an index that is ready within a second shows nothing', async (t) => {
  const clock = stoppedClock(t);
  const session = await launchedLarge(t);
  await session.indexer.tell(0);
  clock.forward(999);
  await session.indexer.tell(0.9);
  session.indexer.finish();
  const frame = await topFrame(session);
  await session.client.ask('evaluate', { expression: 'FAR_RED', frameId: frame?.id, context: 'watch' });
  assert.deepEqual(progressOf(session.client), []);
});

test('a client that does not support progress is sent none', async (t) => {
  const clock = stoppedClock(t);
  const session = await launchedLarge(t, {});
  const { client, indexer, state } = session;
  await indexer.tell(0);
  clock.forward(2000);
  await indexer.tell(0.9);
  indexer.finish();
  const frame = await topFrame(session);
  await client.ask('evaluate', { expression: 'FAR_RED', frameId: frame?.id, context: 'watch' });
  assert.equal(state.cancellable.size, 0);
  assert.deepEqual(progressOf(client), []);
});

test('meanwhile breakpoints, stacks and addresses answer, and a name waits for the index', async (t) => {
  const session = await launchedLarge(t);
  const { client, indexer } = session;
  const set = (file: string, line: number): Promise<{ breakpoints: DebugProtocol.Breakpoint[] }> =>
    client.ask('setBreakpoints', { source: { path: file }, breakpoints: [{ line }] });
  assert.equal((await set('/src/far.c', 11)).breakpoints[0]?.instructionReference, '0x100004');
  const functions = { breakpoints: [{ name: 'far_main' }] };
  const [far] = (
    await client.ask<{ breakpoints: DebugProtocol.Breakpoint[] }>('setFunctionBreakpoints', functions)
  ).breakpoints;
  assert.match(
    far?.message ?? '',
    /no function "far_main" in vmlinux, kernel so far: its names are being read/,
  );
  const frame = await topFrame(session);
  assert.equal(`${frame?.name}:${frame?.line}`, 'far_main:12');
  const waiting = client.ask<{ result: string }>('evaluate', {
    expression: 'FAR_RED + sizeof(struct far_away)',
    frameId: frame?.id,
    context: 'watch',
  });
  await client.ask('threads');
  await client.ask('disassemble', { memoryReference: '0x100000', instructionCount: 1 });
  indexer.finish();
  assert.match((await waiting).result, /11/);
  // The breakpoint on a name that nothing but the index knows is placed now.
  const changed = await client.waitFor<{ breakpoint: DebugProtocol.Breakpoint }>('breakpoint');
  assert.equal(changed.breakpoint.id, far?.id);
  assert.equal(changed.breakpoint.instructionReference, '0x100004', 'after its prologue');
});

test('cancel ends the work, answers what waited for it, and says what is lost', async (t) => {
  const clock = stoppedClock(t);
  const session = await launchedLarge(t);
  const { client, indexer } = session;
  const frame = await topFrame(session);
  const waiting = client.fails('evaluate', { expression: 'FAR_RED', frameId: frame?.id, context: 'watch' });
  await indexer.tell(0);
  clock.forward(1000);
  await indexer.tell(0.1);
  const { progressId } = await client.waitFor<{ progressId: string }>('progressStart');
  await client.ask('cancel', { progressId });
  await client.waitFor('progressEnd');
  assert.match(await waiting, /FAR_RED/);
  assert.match(client.console, /vmlinux: reading its names was cancelled: until the next session/);
  await client.ask('cancel', { progressId });
  await client.ask('cancel', { requestId: 1 });
});

test('the end of the session ends the work without a word', async (t) => {
  const clock = stoppedClock(t);
  const { client, indexer } = await launchedLarge(t);
  await indexer.tell(0);
  clock.forward(1000);
  await indexer.tell(0.1);
  await client.waitFor('progressStart');
  await client.ask('disconnect');
  await client.waitFor('progressEnd');
  assert.doesNotMatch(client.console, /cancelled/);
});

test('the bundle builds the index in its worker and keeps it', async (t) => {
  if (!existsSync(BUNDLE)) return t.skip('dist/debug-adapter.js is not built: npm run build');
  const { folder, launch } = largeFiles(t);
  const vmm = await FakeVmm.start();
  const adapter = spawnAdapter(BUNDLE, { env: { ...process.env, XDG_CACHE_HOME: folder } });
  t.after(() => {
    adapter.process.kill('SIGKILL');
    vmm.close();
  });
  const { client } = adapter;
  await client.ask('initialize', { adapterID: 'vmm', supportsProgressReporting: true });
  await client.ask('launch', { memory: '4M', ...launch, __coreSocket: vmm.socket });
  const frame = await topFrame(adapter);
  const expression = 'FAR_RED + sizeof(struct far_away)';
  const { result } = await client.ask<{ result: string }>('evaluate', {
    expression,
    frameId: frame?.id,
    context: 'watch',
  });
  assert.match(result, /11/);
  assert.equal(readdirSync(path.join(folder, 'trapframe', 'symbols')).length, 1);
  await client.ask('disconnect');
  assert.equal(await adapter.exited, 0);
});
