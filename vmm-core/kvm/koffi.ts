/**
 * koffi, without its front: `require('koffi')` detects the platform through most of node:fs, which costs 5
 * ms in each thread at start; KVM needs x86-64 Linux anyway. The front remains the fallback where the native
 * module does not load (musl).
 */
import { createRequire } from 'node:module';
import type * as Koffi from 'koffi';

const NATIVE = '@koromix/koffi-linux-x64/linux_x64/koffi.node';

type KoffiApi = Pick<typeof Koffi, 'load' | 'errno' | 'address' | 'view'>;

function loadKoffi(): KoffiApi {
  const require = createRequire(import.meta.filename);
  try {
    return require(NATIVE) as KoffiApi;
  } catch {
    return require('koffi') as KoffiApi; // throws koffi's own error if that does not load either
  }
}

export const koffi = loadKoffi();

const libc = koffi.load(null); // the process itself: libc is always there
/** For `void *`: what koffi pins during the call; for `uintptr_t`: an address. */
type LibcArgument = number | bigint | string | ArrayBufferView | null;
type LibcCall = (...args: LibcArgument[]) => number | bigint;

/** A function of libc, declared as in C. Whoever declares it gives it the arguments that it has there. */
export function libcCall(declaration: string): LibcCall {
  return libc.func(declaration);
}

/** What a call of libc has given, as the kernel gives it: -errno for errors. Right after the call. */
export function resultOf(result: number | bigint): number {
  return result < 0 ? -koffi.errno() : Number(result);
}
