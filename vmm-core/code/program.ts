/** A bundle of ours, run from V8's code cache: `require` would parse and compile it first. Any thread. */
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { Script } from 'node:vm';

export interface BuiltFile {
  readonly file: string;
  /** Where the next process looks for the code. */
  readonly cacheFile: string;
  /** CRC-32. */
  readonly sourceCrc: number | undefined;
}

/** Plain data: a thread's workerData. */
export interface Program extends BuiltFile {
  /** As Module.wrap makes it. */
  readonly source: string;
  /** What V8 has compiled of it before; in shared memory, so that it is not copied for each thread. */
  readonly cache?: Uint8Array;
}

/** As `require(file)` would, in a thread or a process that has just begun. */
export function runProgram({ file, source, cache }: Program): Script {
  // V8 compiles the source where the cache does not fit, which costs time only.
  const script = new Script(source, {
    filename: file,
    ...(cache === undefined ? {} : { cachedData: cache }),
  });
  const module = { exports: {} };
  const body = script.runInThisContext() as ModuleBody;
  body(module.exports, createRequire(file), module, file, dirname(file));
  return script;
}

/** Whether V8 has had to compile it: then the next process would like to have the code. */
export function wasCompiled(script: Script, { cache }: Program): boolean {
  return cache === undefined || script.cachedDataRejected === true;
}

/** What Module.wrap makes of a CommonJS file. */
type ModuleBody = (
  exports: object,
  require: NodeJS.Require,
  module: { exports: object },
  filename: string,
  dirname: string,
) => void;
