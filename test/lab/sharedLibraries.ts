/** What a program from this machine needs beside it to run elsewhere. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** By ldd, at the paths where the loader will look for them again. */
export async function sharedLibraries(binaries: readonly string[]): Promise<Set<string>> {
  const libraries = new Set<string>();
  for (const binary of binaries) {
    const { stdout } = await promisify(execFile)('ldd', [binary]);
    // "libm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x…)" and "/lib64/ld-linux-x86-64.so.2 (0x…)"
    for (const [, file] of stdout.matchAll(/(\/\S+) \(0x/g)) if (file !== undefined) libraries.add(file);
  }
  return libraries;
}
