import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bootError, guestString, ram } from '../../test/support/kernelImages.ts';
import { type GuestMemory, gpa } from '../memory/guestMemory.ts';
import { MIB } from '../memory/layout.ts';
import { BootArea } from './bootArea.ts';
import { encodeCommandLine, writeCommandLine } from './cmdline.ts';

function place(memory: GuestMemory, cmdline: string, maximumBytes?: number) {
  const bytes = encodeCommandLine(cmdline, maximumBytes);
  const address = writeCommandLine(memory, new BootArea('kernel.elf', []), bytes);
  return { address, lengthBytes: bytes.length };
}

test('the command line is written with its NUL, over whatever was there', () => {
  const memory = ram(MIB);
  memory.slice(gpa(0x20000), 64).fill(0xff);
  const { address, lengthBytes } = place(memory, 'root=/dev/vda ré');
  assert.equal(lengthBytes, 17);
  assert.equal(guestString(memory, address), 'root=/dev/vda ré');
});

test('a command line is measured in bytes, and may have the maximum', () => {
  const memory = ram(MIB);
  assert.equal(place(memory, 'é'.repeat(5), 10).lengthBytes, 10);
  assert.throws(
    () => place(memory, 'é'.repeat(6), 11),
    bootError('commandLineTooLong', /of 12 bytes is too long, the kernel takes 11/),
  );
});

test('no protocol takes more than 64 KiB', () => {
  const tooLong = 'x'.repeat(0x10000);
  assert.throws(() => place(ram(MIB), tooLong), bootError('commandLineTooLong', /takes 65535/));
});

test('a NUL in a command line is an error', () => {
  assert.throws(() => place(ram(MIB), 'a\0b'), bootError('commandLineInvalid', /NUL/));
});
