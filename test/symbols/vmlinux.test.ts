/**
 * A distribution kernel's vmlinux: every unit is read without one problem, and random addresses agree with gdb. The file is 588 MB
 * (linux-image-*-dbg of Debian), so it is not fetched here: TRAPFRAME_VMLINUX names it.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../support/bytes.ts';
import { openImage, run, scratchDirectory } from './compile.ts';
import { gdbAddresses, gdbUnavailable } from './gdb.ts';

const path = process.env['TRAPFRAME_VMLINUX'];
const MISSING = 'TRAPFRAME_VMLINUX does not name a vmlinux with debug information';
/** gdb reads a unit for nearly each of them. */
const ADDRESSES = 400;

test('every source file, name and type of a distribution kernel is read without a problem', async (t) => {
  if (path === undefined) return t.skip(MISSING);
  const image = openImage(path);
  assert.ok(image.files().length > 1000, 'files');
  assert.match((await image.describeType('struct task_struct')) ?? '', /struct list_head tasks;/);
  assert.ok(
    (
      await image.evaluate('sizeof(struct file_operations)', {
        registers: new Map(),
        memory: { read: async () => undefined },
      })
    ).sizeBytes === 8,
  );
  assert.equal(image.functionByName('start_kernel').length, 1);
  assert.deepEqual(image.problems(), []);
});

test('random addresses of a distribution kernel have the function and line that gdb finds', (t) => {
  if (path === undefined) return t.skip(MISSING);
  const reason = gdbUnavailable();
  if (reason !== undefined) return t.skip(reason);
  const image = openImage(path);
  const text = /\.text\s+PROGBITS\s+(\w+)\s+\w+\s+(\w+)/.exec(run('readelf', ['-SW', path]));
  assert.ok(text);
  const random = seededRandom(11);
  const addresses = Array.from(
    { length: ADDRESSES },
    () => BigInt(`0x${text[1]}`) + BigInt(Math.floor(random() * Number(`0x${text[2]}`))),
  );
  const answers = gdbAddresses(path, scratchDirectory(), addresses);
  let compared = 0;
  const different: string[] = [];
  addresses.forEach((address, index) => {
    const answer = answers[index];
    const row = image.lineAt(address);
    if (answer === undefined || answer.functions.length === 0 || row === undefined) return; // padding, assembler
    compared++;
    const ours = `${image
      .inlineChainAt(address)
      .map((frame) => frame.function)
      .join()} ${row.line}`;
    const theirs = `${answer.functions.join()} ${answer.line}`;
    if (ours !== theirs) different.push(`0x${address.toString(16)}: ${ours}, gdb ${theirs}`);
  });
  assert.ok(compared > ADDRESSES / 2, `${compared} compared`);
  // gdb leaves out rows that repeat a line after one with a discriminator: at their ends it is one statement behind.
  assert.ok(different.length <= compared * 0.005, different.join('\n'));
});
