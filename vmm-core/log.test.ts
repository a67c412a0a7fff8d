import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { GUEST_LINES, GUEST_WINDOW_MS, Log } from './log.ts';

function newLog(): { log: Log; lines: string[]; clock: { ms: number } } {
  const lines: string[] = [];
  const clock = { ms: 0 };
  return { log: new Log({ write: (line) => lines.push(line), nowMs: () => clock.ms }), lines, clock };
}

test('a line is one JSON object with time, level, thread, tag and message', () => {
  const { log, lines } = newLog();
  log.setThread('vm/alpine/vcpu0');
  log.warn('uart', 'odd divisor', { divisor: 0 });
  assert.deepEqual(lines, [
    '{"time":"1970-01-01T00:00:00.000Z","level":"warn","thread":"vm/alpine/vcpu0","tag":"uart","message":"odd divisor","values":{"divisor":0}}\n',
  ]);
});

test('levels below the threshold are silent', () => {
  const { log, lines } = newLog();
  log.debug('a', 'hidden');
  log.info('a', 'shown');
  log.setLevel('error');
  log.warn('a', 'hidden');
  log.guest('a', 'hidden');
  log.error('a', 'shown');
  assert.equal(lines.length, 2);
  assert.equal(log.isEnabled('warn'), false);
});

test('a guest gets 10 lines per call site in 5 s, then a count of what was left out', () => {
  const { log, lines, clock } = newLog();
  for (let i = 0; i < 1000; i++) log.guest('i8042', 'unknown command', { i });
  log.guest('i8042', 'another site');
  assert.equal(lines.length, GUEST_LINES + 1);
  clock.ms += GUEST_WINDOW_MS;
  log.guest('i8042', 'unknown command', { i: 1 });
  assert.match(lines.at(-1) ?? '', /"suppressed":990/);
  log.guest('i8042', 'unknown command', { i: 2 });
  assert.doesNotMatch(lines.at(-1) ?? '', /suppressed/);
});

test('messages built from guest data end up sharing one budget', () => {
  const { log, lines } = newLog();
  for (let i = 0; i < 5000; i++) log.guest('x', `message ${i}`);
  assert.equal(lines.length, 1000 + GUEST_LINES);
});

test('a guest line has the level it is given', () => {
  const { log, lines } = newLog();
  log.guest('vm', 'the guest reset the machine', undefined, 'info');
  assert.match(lines[0] ?? '', /"level":"info"/);
});

/** Lines outside log.guest() in code that a guest can reach, and why it cannot repeat each at will. */
const UNLIMITED: Readonly<Record<string, readonly string[]>> = {
  'bus/bus.ts': ["this.#log.error('bus', `${device.name} threw`"], // a bug of ours, once per register
  'control/core.ts': [
    "log.debug('control', 'client connected'", // a client
    "log.info('vm', end.message", // once
    "log.error('serial', message", // once a port
    "log.error('host', message", // once a disk and kind of request
  ],
  'control/jsonRpc/responseErrors.ts': ["log.error('control', 'request failed'"], // a client
  'debug/probe.ts': ["log.info('probe', ", "log.warn('probe', "], // once, of a VM of ours
  'backends/net/switch/uplinkHolder.ts': ["log.info(this.#port.name, 'holds the uplink"], // once a holder
  'backends/vsock/listenSocket.ts': ["log.warn('unix', 'the socket of the vsock is left"], // once, at the end
  'backends/guestText.ts': ['this.#log.info(this.#tag'], // limited by bytes
  'machine/hostLimits.ts': ["log.warn('machine', 'guest memory exceeds"], // once, at the start
  'vm.ts': [
    "log.error('vcpu', 'a vCPU thread died'", // once per thread
    "log.error('io', 'an I/O thread died'", // likewise
    "log.error('io', 'a disk does not answer", // once, at the end
  ],
};

test('a guest cannot repeat what the code it reaches logs outside log.guest()', () => {
  const root = import.meta.dirname;
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter(
    (file) =>
      /^((backends|bus|control|debug|devices|io|machine|memory|vcpu|boot|firmware)\/.*|[^/]*)\.ts$/.test(
        file,
      ) &&
      !file.endsWith('.test.ts') &&
      !['log.ts', 'main.ts'].includes(file),
  );
  assert.ok(files.length > 50, `${files.length} files`);
  for (const file of files) {
    const source = readFileSync(path.join(root, file), 'utf8');
    const calls = source.match(/(?:this\.#)?\blog\.(?:debug|info|warn|error)\([^\n]*/g) ?? [];
    const allowed = UNLIMITED[file] ?? [];
    const surprising = calls.filter((call) => !allowed.some((known) => call.startsWith(known)));
    assert.deepEqual(surprising, [], `${file}: use log.guest(), or say above why it is not needed`);
  }
});
