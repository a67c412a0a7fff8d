import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseVmConfig } from '../vmm-core/config/parseVmConfig.ts';
import { captureFileName, captureSentence, networkItem, networkText } from './networkItems.ts';

const { config } = parseVmConfig({ name: 'guest', kernel: '/k' });
assert.ok(config !== undefined);
const VM = { name: 'guest', socket: '/run/guest.sock', pid: 7, state: 'running', config } as const;
const NETWORK = { name: 'net0', kind: 'user', lladdr: '52:54:00:00:00:01', isUp: true } as const;

test('an interface is listed with its VM, and with the capture that choosing it stops', () => {
  const item = networkItem(VM, NETWORK);
  assert.deepEqual(
    [item.label, item.description, item.detail],
    ['net0 · guest', 'user, 52:54:00:00:00:01, link up', ''],
  );
  const captured = networkItem(
    VM,
    { ...NETWORK, isUp: false, capture: '/tmp/a.pcapng' },
    ': choose it to stop',
  );
  assert.equal(captured.description, 'user, 52:54:00:00:00:01, link down');
  assert.equal(captured.detail, 'captured into /tmp/a.pcapng: choose it to stop');
  assert.equal(captureFileName(item), 'guest-net0.pcapng');
});

test('the end of a capture says what there is, and what there is not', () => {
  assert.equal(captureSentence({ frames: 1, dropped: 0, paths: ['/a.pcapng'] }), '1 frame in /a.pcapng.');
  assert.equal(
    captureSentence({ frames: 9, dropped: 2, paths: ['/a-1.pcapng', '/a-2.pcapng'] }),
    '9 frames in 2 files, the last /a-2.pcapng. 2 more were lost: the file could not keep up.',
  );
});

test('the text of an interface begins with what it is, and has its report as vmm net shows it', () => {
  const traffic = [{ way: 'fromGuest', frames: 3 }];
  assert.equal(
    networkText('guest', { ...NETWORK, capture: '/tmp/a.pcapng' }, { traffic, guest: '10.0.2.15' }),
    `net0 of guest: user, 52:54:00:00:00:01, link up
captured into /tmp/a.pcapng

traffic
  way        frames
  fromGuest  3
guest  10.0.2.15
`,
  );
});
