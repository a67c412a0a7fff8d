/** A core in L1 that waits for its VM, as an editor keeps one: `vmm serve`, and a client of its socket. */
import { setTimeout as delay } from 'node:timers/promises';
import { cpuSeconds } from '../../../bench/cpuTime.ts';
import { type CoreProcess, spawnCore } from '../../../vmm-core/client/spawnCore.ts';
import { connectVmm, type VmmClient } from '../../../vmm-core/client/vmmClient.ts';
import { parseVmConfig } from '../../../vmm-core/config/parseVmConfig.ts';
import type { VmConfig } from '../../../vmm-core/config/vmConfig.ts';
import { resume } from '../../../vmm-core/protocol/run.ts';
import { serialAttach, serialInput, serialOutput } from '../../../vmm-core/protocol/serial.ts';
import { create, kill } from '../../../vmm-core/protocol/vm.ts';
import { VMM } from './vmmRun.ts';

const COM1 = 0;
/** A core that used no processor for so long has done all that it does ahead. */
const IDLE_MS = 500;

export class WarmCore {
  readonly #core: CoreProcess;
  readonly #client: VmmClient;
  #output = '';
  #changed: () => void = () => undefined;

  private constructor(core: CoreProcess, client: VmmClient) {
    this.#core = core;
    this.#client = client;
    client.connection.onNotification(serialOutput, ({ data }) => {
      this.#output += Buffer.from(data).toString('latin1');
      this.#changed();
    });
  }

  static async start(): Promise<WarmCore> {
    const core = await spawnCore({ vmmPath: VMM });
    const client = await connectVmm(core.socket, { client: 'lab' });
    await idle(core.process.pid);
    return new WarmCore(core, client);
  }

  /** Its VM runs. */
  async boot(input: Readonly<Record<string, unknown>>): Promise<void> {
    const { connection } = this.#client;
    await connection.sendRequest(create, { config: configOf(input) });
    await connection.sendRequest(serialAttach, { port: COM1 });
    await connection.sendRequest(resume);
  }

  async type(text: string): Promise<void> {
    const data = Buffer.from(text);
    await this.#client.connection.sendNotification(serialInput, { port: COM1, data });
  }

  /** In what the guest has printed since the last match. */
  async expect(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.#output);
      if (match !== null) {
        this.#output = this.#output.slice(match.index + match[0].length);
        return match;
      }
      const change = new Promise<'change'>((resolve) => (this.#changed = () => resolve('change')));
      const next = await Promise.race([change, this.#core.exited]);
      if (next !== 'change')
        throw new Error(`the core ended before the guest said ${String(pattern)}: ${next.stderrTail}`);
    }
  }

  async end(): Promise<void> {
    const asked = async (): Promise<void> => this.#client.connection.sendRequest(kill);
    await Promise.race([asked().catch(() => undefined), this.#client.closed]);
    this.#client.dispose();
    this.#core.process.stdin?.end();
    await this.#core.exited;
  }
}

function configOf(input: Readonly<Record<string, unknown>>): VmConfig {
  const { config, problems } = parseVmConfig(input);
  if (config === undefined) throw new Error(problems.map((it) => `${it.key} ${it.message}`).join('; '));
  return config;
}

async function idle(pid: number | undefined): Promise<void> {
  for (let before = NaN, now = cpuSeconds(pid); now !== before; now = cpuSeconds(pid)) {
    before = now;
    await delay(IDLE_MS);
  }
}
