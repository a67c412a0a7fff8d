/**
 * Keeps what V8 has compiled of a bundle in a file beside it, as Python does: who may write one may write the
 * other, and both go together. A process that finds it neither parses nor compiles what the first one ran.
 */
import { readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { Module } from 'node:module';
import { crc32 } from 'node:zlib';
import type { BuiltFile, Program } from './program.ts';

/** Before the code: when the bundle was written, as a double, and CRC-32 of the code. */
const HEADER_BYTES = 16;
const WRITTEN_OFFSET = 0;
const CRC_OFFSET = 8;

export function readProgram(file: string): Program {
  const writtenMs = statSync(file).mtimeMs; // before it is read: a build may replace it
  const cache = readCode(file, writtenMs);
  const source = Module.wrap(readFileSync(file, 'utf8'));
  return { file, writtenMs, source, ...(cache === undefined ? {} : { cache }) };
}

/** The next process that reads the program finds the code. */
export function keepCode({ file, writtenMs }: BuiltFile, code: Uint8Array): void {
  const temporary = `${codeCachePath(file)}.${process.pid}`;
  try {
    const header = Buffer.alloc(HEADER_BYTES);
    header.writeDoubleLE(writtenMs, WRITTEN_OFFSET);
    header.writeUInt32LE(crc32(code), CRC_OFFSET);
    writeFileSync(temporary, Buffer.concat([header, code]));
    renameSync(temporary, codeCachePath(file));
  } catch {
    rmSync(temporary, { force: true }); // the disk is full, or the folder is not ours: we start without it
  }
}

/** Of one version of V8: a user may have several runtimes. */
export function codeCachePath(file: string): string {
  return `${file}.v8-${process.versions.v8}.cache`;
}

/** V8 itself compares no more of the source than its length, and crashes over damaged code. */
function readCode(file: string, writtenMs: number): Uint8Array | undefined {
  try {
    const stored = readFileSync(codeCachePath(file));
    const code = stored.subarray(HEADER_BYTES);
    const isOfFile = stored.readDoubleLE(WRITTEN_OFFSET) === writtenMs;
    return isOfFile && stored.readUInt32LE(CRC_OFFSET) === crc32(code) ? inSharedMemory(code) : undefined;
  } catch {
    return undefined; // there is none yet, or it is cut short, or this Node has no CRC-32
  }
}

function inSharedMemory(code: Uint8Array): Uint8Array {
  const shared = new Uint8Array(new SharedArrayBuffer(code.length));
  shared.set(code);
  return shared;
}
