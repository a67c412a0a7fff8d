/** How fast a client reads guest memory through the control socket. */
import { spawnCore } from '../vmm-core/client/spawnCore.ts';
import { connectVmm } from '../vmm-core/client/vmmClient.ts';
import { readMemory } from '../vmm-core/protocol/memory.ts';
import { create } from '../vmm-core/protocol/vm.ts';
import { VMM } from './machines.ts';
import { configFor, endCore } from './timing.ts';

const READ_BYTES = 64 * 1024;
const READS = 1600; // 100 MiB
/** As a memory view or a search asks: the next requests are already on their way before an answer arrives. */
const IN_FLIGHT = 4;
const FIRST_ADDRESS = 0x100000;

/**
 * MB/s (10^6 bytes) of one run: `inFlight` requests of 64 KiB at a time, over changing addresses, VM paused.
 */
export async function readSpeed(kernel: string, inFlight: number = IN_FLIGHT): Promise<number> {
  const core = await spawnCore({ vmmPath: VMM });
  const client = await connectVmm(core.socket, { client: 'bench' });
  try {
    await client.connection.sendRequest(create, { config: configFor(kernel) });
    const readMany = async (reads: number): Promise<void> => {
      let next = 0;
      const reader = async (): Promise<void> => {
        while (next < reads) {
          const address = `0x${(FIRST_ADDRESS + (next++ % 256) * READ_BYTES).toString(16)}`;
          const params = { address, physical: true, lengthBytes: READ_BYTES };
          const { data } = await client.connection.sendRequest(readMemory, params);
          if (data.length < READ_BYTES) throw new Error(`a read at ${address} returned ${data.length} bytes`);
        }
      };
      await Promise.all(Array.from({ length: inFlight }, reader));
    };
    await readMany(READS / 10); // both sides compile
    const start = performance.now();
    await readMany(READS);
    return (READS * READ_BYTES) / 1e3 / (performance.now() - start);
  } finally {
    await endCore(core, client);
  }
}
