/** Which I/O engines this host has, for tests of all of them. */
import { type IoEngineKind, openIoEngine } from '../../vmm-core/kvm/io/openIoEngine.ts';

/** Why not, as a sentence. */
export function engineUnavailable(kind: IoEngineKind): string | undefined {
  try {
    openIoEngine(kind, []).close();
    return undefined;
  } catch (error) {
    return `this host refuses it: ${(error as Error).message}`;
  }
}
