/**
 * A kernel's oops fed to `vmm sym`: what it adds after functions and addresses is what addr2line says about
 * them.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { symbolizeLine } from '../../../debug-adapter/symbols/cli/symbolizeText.ts';
import { openImage, run } from '../compile.ts';
import { kernelFiles } from './kernelFiles.ts';

/** As the kernel prints it, except for sizes, which depend on the build. */
const OOPS = `[   12.345678] BUG: kernel NULL pointer dereference, address: 0000000000000008
[   12.345680] #PF: supervisor read access in kernel mode
[   12.345689] CPU: 0 PID: 1 Comm: init Not tainted 6.1.0-50-cloud-amd64 #1  Debian 6.1.176-1
[   12.345693] RIP: 0010:vfs_read+0x25/SIZE
[   12.345697] Code: 00 00 0f 1f 44 00 00 41 57 49 89 cf 41 56 49 89 d6 41 55 41 54 49 89 f4
[   12.345699] RSP: 0018:ffffc9000001be80 EFLAGS: 00010246
[   12.345701] RAX: 0000000000000000 RBX: ffff888003c2a000 RCX: 0000000000000000
[   12.345710] Call Trace:
[   12.345711]  <TASK>
[   12.345713]  ? exc_page_fault+0x70/SIZE
[   12.345720]  ksys_read+0x6b/SIZE
[   12.345722]  do_syscall_64+0x58/SIZE
[   12.345725]  virtblk_probe+0x21/0x900 [virtio_blk]
[   12.345730]  </TASK>`;

test('the functions of an oops get the places that addr2line gives their addresses', async (t) => {
  const files = await kernelFiles();
  if (typeof files === 'string') return t.skip(files);
  const image = openImage(files.vmlinux);
  let explained = 0;
  for (const line of OOPS.split('\n')) {
    const [, name = '', offset = ''] = /(\w+)\+0x([0-9a-f]+)\/SIZE/.exec(line) ?? [];
    const symbol = image.symbolByName(name);
    const printed = line.replace('SIZE', `0x${(symbol?.sizeBytes ?? 0).toString(16)}`);
    const shown = symbolizeLine(image, printed);
    if (symbol === undefined) {
      assert.equal(shown, printed, 'registers, code bytes and functions of modules stay as they are');
      continue;
    }
    // The stack has return addresses: the call itself is before.
    const address = symbol.address + BigInt(`0x${offset}`) - (line.includes('RIP') ? 0n : 1n);
    const text = run('addr2line', ['-e', files.vmlinux, '-f', '-i', `0x${address.toString(16)}`]);
    const places = [...text.matchAll(/([^/\n]+\.[chS]:\d+)/g)].map(([, place]) => place ?? '?');
    assert.ok(places.length > 0, text);
    for (const place of places) assert.ok(shown.includes(place), `${shown}: ${place}`);
    assert.ok(shown.startsWith(printed));
    explained++;
  }
  assert.equal(explained, 4);
  const ofModule = ' vfs_read+0x25/0x30c [other]';
  assert.equal(symbolizeLine(image, ofModule), ofModule, 'a function of a module that has the same name');
  const start = image.symbolByName('start_kernel')?.address ?? 0n;
  assert.match(
    symbolizeLine(image, `pc 0x${start.toString(16)}`),
    /\(start_kernel at .*init\/main\.c:\d+\)$/,
  );
});
