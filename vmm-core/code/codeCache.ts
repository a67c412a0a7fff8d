/**
 * Keeps what V8 has compiled of a bundle in a file beside it, as Python does: who may write one may write the
 * other, and both go together. A process that finds it neither parses nor compiles what the first one ran.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { Module } from 'node:module';
import { crc32 } from 'node:zlib';
import { UserError } from '../errors.ts';
import type { BuiltFile, Program } from './program.ts';

/** Before the code: CRC-32 of the bundle, and of the code. */
const HEADER_BYTES = 8;
const SOURCE_CRC_OFFSET = 0;
const CRC_OFFSET = 4;

/**
 * `use`: what is run of it, where processes run different parts: each keeps what it has compiled. Throws
 * UserError when the host lets it read no more files.
 */
export function readProgram(file: string, use?: string): Program {
  const bytes = readBundle(file);
  const cacheFile = codeCachePath(file, use);
  const sourceCrc = checksum(bytes); // its time says nothing: packages set all to the same
  const cache = sourceCrc === undefined ? undefined : readCode(cacheFile, sourceCrc);
  const source = Module.wrap(bytes.toString());
  return { file, cacheFile, sourceCrc, source, ...(cache === undefined ? {} : { cache }) };
}

/** The next process that reads the program finds the code. */
export function keepCode({ cacheFile, sourceCrc }: BuiltFile, code: Uint8Array): void {
  const crc = checksum(code);
  if (sourceCrc === undefined || crc === undefined) return;
  const temporary = `${cacheFile}.${process.pid}`;
  try {
    const header = Buffer.alloc(HEADER_BYTES);
    header.writeUInt32LE(sourceCrc, SOURCE_CRC_OFFSET);
    header.writeUInt32LE(crc, CRC_OFFSET);
    writeFileSync(temporary, Buffer.concat([header, code]));
    renameSync(temporary, cacheFile);
  } catch {
    rmSync(temporary, { force: true }); // the disk is full, or the folder is not ours: we start without it
  }
}

/** Of one version of V8: a user may have several runtimes. */
export function codeCachePath(file: string, use?: string): string {
  return [file, ...(use === undefined ? [] : [use]), `v8-${process.versions.v8}`, 'cache'].join('.');
}

function readBundle(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new UserError(`cannot read ${file}: ${(error as Error).message}`, { cause: error });
  }
}

/** V8 itself compares no more of the source than its length, and crashes over damaged code. */
function readCode(cacheFile: string, sourceCrc: number): Uint8Array | undefined {
  try {
    const stored = readFileSync(cacheFile);
    const code = stored.subarray(HEADER_BYTES);
    const isOfFile = stored.readUInt32LE(SOURCE_CRC_OFFSET) === sourceCrc;
    return isOfFile && stored.readUInt32LE(CRC_OFFSET) === checksum(code) ? inSharedMemory(code) : undefined;
  } catch {
    return undefined; // there is none yet, or it is cut short
  }
}

/** Undefined: a Node before 20.15, which has none. Then there is no cache. */
function checksum(bytes: Uint8Array): number | undefined {
  const crc: typeof crc32 | undefined = crc32;
  return crc?.(bytes);
}

function inSharedMemory(code: Uint8Array): Uint8Array {
  const shared = new Uint8Array(new SharedArrayBuffer(code.length));
  shared.set(code);
  return shared;
}
