/**
 * What the control protocol promises to its clients, as tests: run against a real core (suite kvm) and
 * against the fake that the debug adapter's tests use (suite dap), so that the fake cannot drift from the
 * real one.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { ResponseError } from 'vscode-jsonrpc/node';
import { ErrorCode } from '../../vmm-core/protocol/errors.ts';
import {
  addNetworkForward,
  listNetworks,
  removeNetworkForward,
  reportNetwork,
  setNetworkLink,
  startNetworkCapture,
  stopNetworkCapture,
} from '../../vmm-core/protocol/networks.ts';
import { type LiveClient, vmConfig } from './liveVm.ts';
import { temporaryFolder } from './vmmProcess.ts';

/** A core without a VM. */
export interface ContractCore {
  /** Will own the VM. */
  readonly client: LiveClient;
  readonly connect: () => Promise<LiveClient>;
}

export type DeclareTest = (title: string, body: (t: TestContext) => Promise<void>) => unknown;

const STEPS_ELF = path.join(import.meta.dirname, '..', 'dap', 'fixtures', 'steps.elf');
// steps.elf: see steps.c.
const ENTRY = '0x1000f3'; // lea stack_top(%rip), %rsp; xor %ebp, %ebp; call kmain
const SECOND = '0x1000fa';
const KMAIN = '0x100093';
const SQUARE = '0x100000';
const TICKS = '0x101008'; // counts for ever in spin()
const NO_MEMORY = '0x7000000000';

const PT_NULL = 0;
const PROGRAM_HEADERS = 64;

/** The fixture without the segment that holds nothing but its ELF headers, below 1 MiB. */
function kernelFile(t: TestContext): string {
  const image = readFileSync(STEPS_ELF);
  image.writeUInt32LE(PT_NULL, PROGRAM_HEADERS);
  const file = path.join(temporaryFolder(t), 'steps.elf');
  writeFileSync(file, image);
  return file;
}

/** Declares all of them. */
export function declareContract(
  declare: DeclareTest,
  start: (t: TestContext) => Promise<ContractCore>,
): void {
  const withVm = async (t: TestContext, cpus = 1): Promise<ContractCore> => {
    const core = await start(t);
    await core.client.create(vmConfig({ kernel: kernelFile(t), name: 'contract', memory: '16M', cpus }));
    return core;
  };
  declareLifetime(declare, start, withVm);
  declareRunControl(declare, withVm);
  declareState(declare, withVm);
  declareNetworks(declare, start);
}

type WithVm = (t: TestContext, cpus?: number) => Promise<ContractCore>;

function declareLifetime(
  declare: DeclareTest,
  start: (t: TestContext) => Promise<ContractCore>,
  withVm: WithVm,
): void {
  declare('a created VM is at its first instruction, and is created once', async (t) => {
    const { client } = await start(t);
    assert.equal((await client.info()).state, 'empty');
    const config = vmConfig({ kernel: kernelFile(t), name: 'contract', memory: '16M' });
    const created = await client.create(config);
    assert.equal(created.state, 'paused');
    assert.equal(created.entry, ENTRY);
    assert.equal(created.config?.kernel, config.kernel);
    const { values, mode, cpu } = await client.registers();
    assert.deepEqual([values.rip, mode, cpu], [ENTRY, 'long64', 0]);
    await refused(ErrorCode.State, client.create(config));
  });

  declare('before there is a VM, what needs one is refused', async (t) => {
    const { client } = await start(t);
    await refused(ErrorCode.State, client.resume());
    await refused(ErrorCode.State, client.pause());
    await refused(ErrorCode.State, client.registers());
    await refused(ErrorCode.State, client.read({ address: ENTRY, lengthBytes: 1 }));
    await refused(ErrorCode.State, client.setBreakpoints({ address: ENTRY }));
  });

  declare('kill ends the VM: every client is told, and the connections close', async (t) => {
    const { client, connect } = await withVm(t);
    const other = await connect();
    await client.kill();
    for (const it of [client, other]) {
      assert.equal((await it.ended).kind, 'killed');
      await it.vmm.closed;
    }
  });

  declare('the VM ends with the client that created it, unless that detached from it', async (t) => {
    const kept = await withVm(t);
    const heir = await kept.connect();
    await kept.client.detach();
    kept.client.vmm.dispose();
    await kept.client.vmm.closed;
    assert.equal((await heir.info()).state, 'paused');

    const left = await withVm(t);
    const witness = await left.connect();
    left.client.vmm.dispose();
    assert.equal((await witness.ended).kind, 'killed');
  });

  declare('a reset returns the VM to its first instruction, paused, with its breakpoints', async (t) => {
    const { client } = await withVm(t);
    await client.setBreakpoints({ address: KMAIN });
    assert.equal((await client.runUntilStop()).pc, KMAIN);
    await client.reset();
    assert.equal((await client.info()).state, 'paused');
    assert.equal((await client.registers()).values.rip, ENTRY);
    assert.equal((await client.runUntilStop()).pc, KMAIN);
  });
}

function declareRunControl(declare: DeclareTest, withVm: WithVm): void {
  declare('resume and pause are reported to every client, but not when they change nothing', async (t) => {
    const { client, connect } = await withVm(t);
    const other = await connect();
    await client.pause();
    await client.resume();
    for (const it of [client, other]) await it.resumed();
    await client.resume();
    assert.equal((await other.info()).state, 'running');
    await other.pause();
    for (const it of [client, other]) {
      const { cause, cpu, breakpointIds } = await it.stop();
      assert.deepEqual([cause.kind, cpu, breakpointIds], ['pause', 0, []]);
      assert.deepEqual(it.untakenStops(), []);
    }
  });

  declare('a breakpoint stops before its instruction, and resume passes it', async (t) => {
    const { client } = await withVm(t);
    const [status] = await client.setBreakpoints({ id: 7, address: KMAIN });
    assert.deepEqual([status?.id, status?.verified, status?.message], [7, true, undefined]);
    const { cause, pc, breakpointIds } = await client.runUntilStop();
    assert.deepEqual([cause.kind, pc, breakpointIds], ['breakpoint', KMAIN, [7]]);
    await client.setBreakpoints({ id: 7, address: KMAIN }, { id: 8, address: SQUARE });
    assert.deepEqual((await client.runUntilStop()).breakpointIds, [8]);
  });

  declare('a client is told of its own breakpoints only; its list is its own and goes with it', async (t) => {
    const { client, connect } = await withVm(t);
    const other = await connect();
    await client.setBreakpoints({ id: 1, address: KMAIN });
    await other.setBreakpoints({ id: 5, address: SQUARE });
    await client.resume();
    assert.deepEqual((await client.stop()).breakpointIds, [1]);
    const seen = await other.stop();
    assert.deepEqual([seen.cause.kind, seen.breakpointIds], ['breakpoint', []]);
    await client.setBreakpoints();
    await client.resume();
    assert.deepEqual((await client.stop()).breakpointIds, []);
    assert.deepEqual((await other.stop()).breakpointIds, [5]);
    other.vmm.dispose();
    await other.vmm.closed;
    await client.resume(); // SQUARE is called a second time: no client has a breakpoint there
    await counting(client);
    await client.pause();
    assert.equal((await client.stop()).cause.kind, 'pause');
  });

  declare(
    'temporary breakpoints are gone after any stop, and are passed while the stack is deeper',
    async (t) => {
      const { client } = await withVm(t);
      const here = await client.registers();
      await client.setBreakpoints(
        { id: 1, address: SQUARE, temporary: true, stackAbove: '0xfffffffffffff000' },
        { id: 2, address: KMAIN, temporary: true },
      );
      assert.equal(here.values.rip, ENTRY);
      assert.deepEqual((await client.runUntilStop()).breakpointIds, [2]);
      await client.reset();
      await client.resume();
      await counting(client);
      await client.pause();
      assert.equal((await client.stop()).cause.kind, 'pause');
    },
  );

  declare('there are four debug registers, and a fifth breakpoint is refused with a reason', async (t) => {
    const { client } = await withVm(t);
    const addresses = ['0x100000', '0x100001', '0x100004', '0x100093', '0x100094'];
    const statuses = await client.setBreakpoints(
      ...addresses.map((address) => ({ address, mode: 'hw' as const })),
    );
    assert.deepEqual(
      statuses.map((it) => it.verified),
      [true, true, true, true, false],
    );
    assert.ok((statuses[4]?.message ?? '') !== '');
  });

  declare('a step is one instruction, or as many as its range holds, or a whole call', async (t) => {
    const { client } = await withVm(t);
    const one = await client.step();
    assert.deepEqual([one.cause.kind, one.pc, one.breakpointIds], ['step', SECOND, []]);
    const range = await client.step({ range: { start: SECOND, end: '0x1000fc' } });
    assert.deepEqual([range.cause.kind, range.pc], ['step', '0x1000fc']);
    assert.equal((await client.step()).pc, KMAIN);
    // kmain up to its first call, which is gone over.
    const over = await client.step({ range: { start: KMAIN, end: '0x1000c5' }, over: true });
    assert.deepEqual([over.cause.kind, over.pc], ['step', '0x1000c5']);
  });

  declare('a breakpoint ends a step over the call it is in', async (t) => {
    const { client } = await withVm(t);
    await client.setBreakpoints({ id: 3, address: SQUARE });
    const stop = await client.step({ range: { start: ENTRY, end: '0x101000' }, over: true });
    assert.deepEqual([stop.cause.kind, stop.pc, stop.breakpointIds], ['breakpoint', SQUARE, [3]]);
  });

  declare('a step while the VM runs, or of a vCPU that does not exist, is refused', async (t) => {
    const { client } = await withVm(t);
    await refused(ErrorCode.User, client.step({ cpu: 5 }));
    await client.resume();
    await refused(ErrorCode.State, client.step());
  });
}

function declareState(declare: DeclareTest, withVm: WithVm): void {
  declare('registers are read and written by name, all or none', async (t) => {
    const { client } = await withVm(t);
    const written = await client.writeRegisters({ r12: '0x1122334455667788', rax: '0x5' });
    assert.deepEqual([written.values.r12, written.values.rax], ['0x1122334455667788', '0x5']);
    await refused(ErrorCode.User, client.writeRegisters({ rbx: '0x9', nonsense: '0x1' }));
    await refused(ErrorCode.User, client.writeRegisters({ rbx: 'x' }));
    const { values, segments } = await client.registers();
    assert.equal(values.rax, '0x5');
    assert.notEqual(values.rbx, '0x9');
    for (const name of [
      'rsp',
      'rip',
      'rflags',
      'cr0',
      'cr3',
      'cr4',
      'efer',
      'fs_base',
      'gdt_base',
      'idt_limit',
    ])
      assert.match(values[name] ?? '', /^0x[0-9a-f]{1,16}$/, name);
    assert.deepEqual(Object.keys(segments).sort(), ['cs', 'ds', 'es', 'fs', 'gs', 'ldt', 'ss', 'tr']);
    await client.writeRegisters({ rip: KMAIN });
    assert.notEqual((await client.step()).pc, SECOND);
  });

  declare('what one client writes is reported to the others, and not to itself', async (t) => {
    const { client, connect } = await withVm(t);
    const other = await connect();
    await client.writeRegisters({ r12: '0x1', rax: '0x2' });
    assert.deepEqual(await other.change(), { kind: 'registers', cpu: 0, names: ['r12', 'rax'] });
    await other.write({ address: TICKS, cpu: 0 }, [1, 2, 3]);
    assert.deepEqual(await client.change(), { kind: 'memory', address: TICKS, cpu: 0, lengthBytes: 3 });
    await refused(ErrorCode.User, client.writeRegisters({ nonsense: '0x1' }));
    await refused(ErrorCode.Address, client.write({ address: NO_MEMORY, physical: true }, [1]));
    await client.info();
    for (const it of [client, other]) assert.deepEqual(it.untakenChanges(), []);
  });

  declare('registers can be read only from a paused VM, and from vCPUs it has', async (t) => {
    const { client } = await withVm(t, 2);
    assert.equal((await client.registers(1)).cpu, 1);
    await refused(ErrorCode.User, client.registers(2));
    await client.resume();
    await refused(ErrorCode.State, client.registers());
    await refused(ErrorCode.State, client.writeRegisters({ rax: '0x0' }));
  });

  declare(
    'memory is read and written, paused and running, and hides what the debugger planted',
    async (t) => {
      const { client } = await withVm(t);
      const code = (await client.read({ address: SQUARE, lengthBytes: 4 })).data;
      await client.setBreakpoints({ address: SQUARE, mode: 'sw' });
      assert.deepEqual((await client.read({ address: SQUARE, lengthBytes: 4 })).data, code);
      assert.equal(await client.write({ address: TICKS }, [1, 2, 3, 4]), 4);
      assert.equal(await client.word(TICKS), 0x04030201);
      await client.setBreakpoints();
      await client.resume();
      await counting(client);
      assert.equal(await client.write({ address: '0x101000' }, [9]), 1);
      assert.equal((await client.word('0x101000')) & 0xff, 9);
    },
  );

  declare('a read ends where memory does; a write there changes nothing', async (t) => {
    const { client } = await withVm(t);
    const end = 16 * 2 ** 20;
    const tail = { address: `0x${(end - 4).toString(16)}`, physical: true };
    const read = await client.read({ ...tail, lengthBytes: 16 });
    assert.deepEqual([read.data.length, read.unreadableBytes], [4, 12]);
    await refused(ErrorCode.Address, client.write(tail, [1, 1, 1, 1, 1, 1]));
    assert.deepEqual([...(await client.read({ ...tail, lengthBytes: 4 })).data], [0, 0, 0, 0]);
    const none = await client.read({ address: NO_MEMORY, physical: true, lengthBytes: 8 });
    assert.deepEqual([none.data.length, none.unreadableBytes], [0, 8]);
    await refused(ErrorCode.Address, client.write({ address: NO_MEMORY, physical: true }, [1]));
    await refused(ErrorCode.User, client.read({ address: 'x', lengthBytes: 1 }));
    await refused(ErrorCode.User, client.read({ address: '0x0', lengthBytes: -1 }));
    await refused(ErrorCode.User, client.read({ address: '0x0', lengthBytes: 2 ** 31 }));
  });
}

function declareNetworks(declare: DeclareTest, start: (t: TestContext) => Promise<ContractCore>): void {
  const withNetworks = async (t: TestContext, networks: readonly unknown[]): Promise<ContractCore> => {
    const core = await start(t);
    await core.client.create(vmConfig({ kernel: kernelFile(t), name: 'contract', networks }));
    return core;
  };
  const network = 'net0';

  declare('a VM without network interfaces has none to change', async (t) => {
    const { connection } = (await withNetworks(t, [])).client.vmm;
    assert.deepEqual(await connection.sendRequest(listNetworks), []);
    await refused(ErrorCode.User, connection.sendRequest(setNetworkLink, { network, isUp: false }));
    await refused(ErrorCode.User, connection.sendRequest(reportNetwork, { network }));
  });

  declare('network interfaces are listed, and their links put down and up', async (t) => {
    const mac = '52:54:00:00:00:01';
    const core = await withNetworks(t, [
      { kind: 'user', mac },
      { kind: 'user', down: true },
    ]);
    const { connection } = core.client.vmm;
    const [first, second, ...rest] = await connection.sendRequest(listNetworks);
    assert.deepEqual(first, { name: network, kind: 'user', lladdr: mac, isUp: true });
    assert.deepEqual([second?.name, second?.isUp, rest], ['net1', false, []]);
    await connection.sendRequest(setNetworkLink, { network, isUp: false });
    assert.equal((await connection.sendRequest(listNetworks))[0]?.isUp, false);
    assert.ok(Object.keys(await connection.sendRequest(reportNetwork, { network })).length > 0);
    await refused(ErrorCode.User, connection.sendRequest(reportNetwork, { network: 'net2' }));
  });

  declare('an interface is captured into one file at a time', async (t) => {
    const { connection } = (await withNetworks(t, ['user'])).client.vmm;
    const file = path.join(temporaryFolder(t), 'a.pcapng');
    await refused(ErrorCode.User, connection.sendRequest(stopNetworkCapture, { network }));
    await connection.sendRequest(startNetworkCapture, { network, path: file });
    assert.equal((await connection.sendRequest(listNetworks))[0]?.capture, file);
    await refused(ErrorCode.User, connection.sendRequest(startNetworkCapture, { network, path: file }));
    const result = await connection.sendRequest(stopNetworkCapture, { network });
    assert.deepEqual([result.dropped, result.paths], [0, [file]]);
    assert.equal((await connection.sendRequest(listNetworks))[0]?.capture, undefined);
  });

  declare('a port is forwarded once, until it is not any more', async (t) => {
    const { connection } = (await withNetworks(t, ['user'])).client.vmm;
    const hostPath = path.join(temporaryFolder(t), 'guest.sock');
    const forward = { protocol: 'tcp', hostPath, guestPort: 22 } as const;
    await refused(ErrorCode.User, connection.sendRequest(removeNetworkForward, { network, forward }));
    await connection.sendRequest(addNetworkForward, { network, forward });
    await refused(ErrorCode.User, connection.sendRequest(addNetworkForward, { network, forward }));
    await connection.sendRequest(removeNetworkForward, { network, forward });
    await connection.sendRequest(addNetworkForward, { network, forward });
  });
}

/** Resolves when the guest has come to spin(), and counts. */
async function counting(client: LiveClient): Promise<void> {
  const before = await client.word(TICKS);
  for (let now = before; now === before;) now = await client.word(TICKS);
}

async function refused(code: number, request: Promise<unknown>): Promise<void> {
  await assert.rejects(request, (error) => {
    assert.ok(error instanceof ResponseError, String(error));
    assert.equal(error.code, code, error.message);
    assert.notEqual(error.message, '');
    return true;
  });
}
