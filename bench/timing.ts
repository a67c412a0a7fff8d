/** Time measurements of bench/main.ts. Each function runs a VM once and returns milliseconds. */
import { once } from 'node:events';
import { connectVmm, type VmmClient } from '../vmm-core/client/vmmClient.ts';
import { type CoreProcess, spawnCore } from '../vmm-core/client/spawnCore.ts';
import { parseVmConfig } from '../vmm-core/config/parseVmConfig.ts';
import type { VmConfig } from '../vmm-core/config/vmConfig.ts';
import { resume } from '../vmm-core/protocol/run.ts';
import { serialAttach, serialOutput } from '../vmm-core/protocol/serial.ts';
import { create, kill } from '../vmm-core/protocol/vm.ts';
import { type CommandLine, MEMORY_MIB, start, VMM } from './machines.ts';

/**
 * From the byte the guest prints before its first port write to the one after its last, as they leave the
 * VMM.
 */
export async function portWrites(commandLine: CommandLine): Promise<number> {
  const vm = start(commandLine);
  try {
    const before = await vm.sawByte('S');
    return (await vm.sawByte('D')) - before;
  } finally {
    await vm.kill();
  }
}

/** What a start leaves for the next one is there then. */
export async function runToEnd(commandLine: CommandLine): Promise<void> {
  const vm = start(commandLine);
  await once(vm.process, 'close');
}

/** From before the process is started to the guest's first byte. */
export async function firstByte(commandLine: CommandLine): Promise<number> {
  const vm = start(commandLine);
  try {
    return (await vm.sawByte('F')) - vm.startedMs;
  } finally {
    await vm.kill();
  }
}

/**
 * From `vm/create` on the socket of a core that waits, as F5 does it, to the guest's first byte at the
 * client.
 */
export async function warmFirstByte(kernel: string): Promise<number> {
  const core = await spawnCore({ vmmPath: VMM });
  const client = await connectVmm(core.socket, { client: 'bench' });
  try {
    await warmedUp();
    const printed = new Promise<number>((resolve) => {
      client.connection.onNotification(serialOutput, () => resolve(performance.now()));
    });
    const startedMs = performance.now();
    await client.connection.sendRequest(create, { config: configFor(kernel) });
    await client.connection.sendRequest(serialAttach, { port: 0 });
    await client.connection.sendRequest(resume);
    return (await printed) - startedMs;
  } finally {
    await endCore(core, client);
  }
}

/** Ends a core's VM, if the guest has not, and the core. */
export async function endCore(core: CoreProcess, client: VmmClient): Promise<void> {
  const asked = async (): Promise<void> => client.connection.sendRequest(kill);
  await Promise.race([asked().catch(() => undefined), client.closed]);
  client.dispose();
  core.process.stdin?.end();
  await core.exited;
}

/**
 * A core prepares itself right after it begins to listen; an editor's has long done so when F5 is pressed.
 */
export function warmedUp(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 500));
}

export function configFor(kernel: string): VmConfig {
  const input = { kernel, memory: `${MEMORY_MIB}M`, name: `bench-${process.pid}`, debugExit: true };
  const { config, problems } = parseVmConfig({ ...input, serial: { com1: 'terminal' } });
  if (config === undefined) throw new Error(problems.map((it) => `${it.key} ${it.message}`).join('; '));
  return config;
}
