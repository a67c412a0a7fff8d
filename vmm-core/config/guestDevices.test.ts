import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkVmConfig, parseVmConfig } from './parseVmConfig.ts';
import { printRows } from './rows.ts';
import { SETTINGS } from './settings.ts';
import { tagOf } from './settings/shares.ts';

type Given = Readonly<Record<string, unknown>>;

function parse(given: Given): ReturnType<typeof parseVmConfig> {
  return parseVmConfig({ kernel: 'k', ...given });
}

/** The one problem, as users read it. */
function problem(given: Given): string {
  const { problems } = parse(given);
  assert.equal(problems.length, 1, problems.map((it) => it.message).join('\n'));
  return problems.map(({ key, message }) => `${key} ${message}`).join();
}

/** Reads what launch.json has, which is written the same way and taken from a client as it is. */
function roundTrip(given: Given, written: Given = given): unknown {
  const { config, problems } = parse(given);
  assert.deepEqual(problems, []);
  assert.ok(config !== undefined);
  const [key = ''] = Object.keys(given);
  assert.deepEqual(printRows(SETTINGS, config)[key], written[key]);
  assert.deepEqual(checkVmConfig({ ...config }).config, config);
  return Reflect.get(config, key);
}

const refuse = (sentence: string): never => {
  throw new Error(sentence);
};

describe('vsock', () => {
  it('is an address, or an object with a socket', () => {
    assert.deepEqual(roundTrip({ vsock: 3 }), { cid: 3 });
    assert.deepEqual(roundTrip({ vsock: { cid: 4, socket: '/tmp/v' } }), { cid: 4, socket: '/tmp/v' });
    assert.deepEqual(roundTrip({ vsock: { cid: 4 } }, { vsock: 4 }), { cid: 4 });
  });

  it('has no address of the host, and a path to which a port can be appended', () => {
    assert.match(problem({ vsock: 2 }), /^vsock\.cid must be a whole number from 3 to 4294967294, not 2$/);
    assert.match(problem({ vsock: '3' }), /^vsock must be a number from 3 or an object such as .*, not "3"$/);
    assert.match(problem({ vsock: {} }), /^vsock\.cid is required/);
    assert.match(problem({ vsock: { cid: 3, socket: '' } }), /^vsock\.socket must be the path of a unix/);
    assert.match(problem({ vsock: { cid: 3, socket: `/${'x'.repeat(96)}` } }), /at most 96 bytes long/);
    assert.match(problem({ vsock: { cid: 3, path: '/v' } }), /^vsock\.path is not a known setting/);
  });

  it('as a flag is the address and, after a comma, the socket', () => {
    const { flag } = SETTINGS.vsock;
    assert.deepEqual(flag.read(['3'], refuse), { cid: 3 });
    assert.deepEqual(flag.read(['3,/tmp/a,b'], refuse), { cid: 3, socket: '/tmp/a,b' });
    assert.match(problem({ vsock: flag.read(['x,/v'], refuse) }), /^vsock\.cid must be .*, not "x"$/);
  });
});

describe('shared folders', () => {
  it('are paths, or objects', () => {
    const given = ['src', { path: '/root', tag: 'root', readonly: false }];
    assert.deepEqual(roundTrip({ shares: given }), [
      { path: 'src' },
      { path: '/root', tag: 'root', readonly: false },
    ]);
  });

  it('are mounted by their tags, or the names of the folders', () => {
    const tags = { '/srv/src/': 'src', '/': 'share', '/a b': 'share', [`/${'x'.repeat(32)}`]: 'share' };
    for (const [path, tag] of Object.entries(tags)) assert.equal(tagOf({ path }), tag, path);
    assert.equal(tagOf({ path: '/srv/src', tag: 'code' }), 'code');
  });

  it('have tags of their own, which mount can take', () => {
    assert.match(problem({ shares: ['/a/src', '/b/src'] }), /^shares has two folders with the tag src: give/);
    assert.match(problem({ shares: ['/a/src', { path: '/b', tag: 'src' }] }), /^shares has two folders/);
    assert.match(problem({ shares: [{ path: 'a', tag: 'a b' }] }), /^shares\[0\]\.tag must be at most 31 /);
    assert.match(problem({ shares: [{ tag: 'a' }] }), /^shares\[0\]\.path is required: a folder$/);
    const nine = Array.from({ length: 9 }, (_, i) => `/${i}`);
    assert.equal(problem({ shares: nine }), 'shares can be at most 8, not 9');
  });

  it('as flags are a path and options', () => {
    const { flag } = SETTINGS.shares;
    assert.deepEqual(flag.read(['a,,b,tag=t,rw', 'c'], refuse), [
      { path: 'a,b', tag: 't', readonly: false },
      { path: 'c' },
    ]);
    assert.equal(flag.read([], refuse), undefined);
    assert.throws(() => flag.read(['a,tag'], refuse), {
      message: /^--share a,tag: tag must be .*, not true$/,
    });
    assert.throws(() => flag.read(['a,rw,ro'], refuse), /--share a,rw,ro: readonly is given more than once/);
  });
});

describe('named consoles', () => {
  it('are names, or objects', () => {
    const given = ['agent', { name: 'log', target: 'file:log.txt' }, { name: 'shell', tty: true }];
    const written = [
      { name: 'agent', target: 'terminal' },
      given[1],
      { name: 'shell', target: 'terminal', tty: true },
    ];
    assert.deepEqual(roundTrip({ consoles: given }, { consoles: written }), [
      { name: 'agent', target: { kind: 'client' } },
      { name: 'log', target: { kind: 'file', path: 'log.txt' } },
      { name: 'shell', isConsole: true, target: { kind: 'client' } },
    ]);
  });

  it('have names of their own, which a guest can show', () => {
    assert.equal(problem({ consoles: ['a', 'a'] }), 'consoles names a twice: give one another name');
    assert.match(problem({ consoles: ['a/b'] }), /^consoles\[0\]\.name must be at most 63 letters, /);
    assert.equal(problem({ consoles: ['COM1'] }), 'consoles[0].name must not be that of a serial port, COM1');
    assert.match(
      problem({ consoles: [{ name: 'a', target: 'x' }] }),
      /^consoles\[0\]\.target must be "terminal"/,
    );
    assert.match(problem({ consoles: [{ name: 'a', isConsole: true }] }), /isConsole is not a known setting/);
  });

  it('as flags are a name, a target and options', () => {
    const { flag } = SETTINGS.consoles;
    assert.deepEqual(flag.read(['a', 'b=file:x,,y=z', 'c=null,tty', 'd,tty'], refuse), [
      { name: 'a' },
      { name: 'b', target: 'file:x,y=z' },
      { name: 'c', target: 'null', tty: true },
      { name: 'd', tty: true },
    ]);
    assert.throws(() => flag.read(['a=x'], refuse), {
      message: /^--console a=x: target must be "terminal", /,
    });
    assert.throws(() => flag.read(['=null'], refuse), { message: /^--console =null: name is required/ });
  });
});

it('a balloon and guest control are there when they are asked for', () => {
  assert.equal(roundTrip({ balloon: true }), true);
  assert.equal(roundTrip({ guestControl: true }), true);
  assert.equal(SETTINGS.balloon.flag.read([], refuse), undefined);
  assert.equal(SETTINGS.guestControl.flag.read([''], refuse), true);
});
