import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkVmConfig, parseVmConfig } from './parseVmConfig.ts';
import { printRows } from './rows.ts';
import { SETTINGS } from './settings.ts';
import { type ForwardConfig, forward, forwardsClash, guestForward } from './settings/forwards.ts';
import { network, NETWORK_KINDS } from './settings/networkOptions.ts';

function parse(networks: unknown): ReturnType<typeof parseVmConfig> {
  return parseVmConfig({ kernel: 'k', networks });
}

/** The one problem, as users read it. */
function problem(networks: unknown): string {
  const { problems } = parse(networks);
  assert.equal(problems.length, 1, problems.map((it) => it.message).join('\n'));
  return problems.map(({ key, message }) => `${key} ${message}`).join();
}

function read(text: unknown): ForwardConfig {
  const value = forward.read(text, (message) => assert.fail(message));
  assert.ok(value !== undefined);
  return value;
}

const refuse = (sentence: string): never => {
  throw new Error(sentence);
};

describe('networks in launch.json', () => {
  it('are none unless asked for', () => {
    assert.equal(parse(undefined).config?.networks, undefined);
    assert.equal(parse([]).config?.networks, undefined);
  });

  it('are kinds and taps as texts, or objects', () => {
    const { config } = parse([
      'user',
      'tap0',
      'tap:vm-net',
      'local',
      'switch:lan',
      'stream:/tmp/s',
      'passt',
      { kind: 'user', mac: '52:54:0:12:34:5F', locked: true, forwards: ['tcp:2222:22'] },
    ]);
    assert.deepEqual(config?.networks, [
      { kind: 'user' },
      { kind: 'tap', tap: 'tap0' },
      { kind: 'tap', tap: 'vm-net' },
      { kind: 'local' },
      { kind: 'switch', switch: 'lan' },
      { kind: 'stream', socket: '/tmp/s' },
      { kind: 'passt' },
      {
        kind: 'user',
        lladdr: '52:54:00:12:34:5f',
        isLocked: true,
        forwards: [{ protocol: 'tcp', hostPort: 2222, guestPort: 22 }],
      },
    ]);
  });

  it('are written as they are read, and the same for a client', () => {
    const given = [
      'user',
      { kind: 'tap', mac: '52:54:00:00:00:01', down: true, mtu: 9000, queues: 2, tap: 'tap0', vhost: true },
      {
        kind: 'user',
        capture: 'net.pcapng',
        forwards: ['tcp:2222:22', 'udp:[::1]:53-54:10.0.2.15:53', 'tcp:unix:/s:22'],
        guestForwards: ['10.0.2.100:80:8080', '[fd00::9]:80:unix:/s', '10.0.2.100:81:127.0.0.2:81'],
        restrict: true,
        prefix: '10.0.3.0/24',
        bootfile: 'http://10.0.3.2/boot.ipxe',
      },
    ];
    const { config } = parse(given);
    assert.ok(config !== undefined);
    assert.deepEqual(printRows(SETTINGS, config)['networks'], given);
    assert.deepEqual(checkVmConfig({ ...config }).config, config);
  });

  it('have paths that start from the folder of the configuration, and addresses that stay', () => {
    const absolute = (path: string): string => `/base/${path}`;
    const of = (written: unknown): unknown => {
      const value = network.read(written, (message) => assert.fail(message));
      return value === undefined ? undefined : network.resolve(value, absolute);
    };
    assert.deepEqual(of({ kind: 'user', tftp: 'boot', forwards: ['tcp:unix:s:22', 'tcp:1:2'] }), {
      kind: 'user',
      tftp: '/base/boot',
      forwards: [
        { protocol: 'tcp', hostPath: '/base/s', guestPort: 22 },
        { protocol: 'tcp', hostPort: 1, guestPort: 2 },
      ],
    });
    assert.deepEqual(of('switch:lan'), { kind: 'switch', switch: 'lan' });
    assert.deepEqual(of('switch:./lan'), { kind: 'switch', switch: '/base/./lan' });
    assert.deepEqual(of('stream:s'), { kind: 'stream', socket: '/base/s' });
    assert.deepEqual(of('stream:127.0.0.1:5000'), { kind: 'stream', socket: '127.0.0.1:5000' });
  });

  it('have no options that we do not know, of other kinds, or with other values', () => {
    const user = (options: object): string => problem([{ kind: 'user', ...options }]);
    assert.equal(problem('user'), 'networks must be a list of networks, not "user"');
    assert.match(
      problem(['bridge']),
      /^networks\[0\]\.kind must be one of user, tap, local, switch, stream, /,
    );
    assert.match(problem([{}]), /^networks\[0\]\.kind is required: one of user, tap/);
    assert.match(user({ forward: [] }), /did you mean "forwards"\?$/);
    assert.match(user({ lladdr: '52:54:00:00:00:01' }), /^networks\[0\]\.lladdr is not a known setting/);
    assert.match(user({ mac: '52:54:00' }), /mac must be six bytes such as "52:54:00:12:34:56", not "52:/);
    assert.match(user({ mac: '00:00:00:00:00:00' }), /mac must be six bytes/);
    assert.match(user({ mac: '53:54:00:00:00:01' }), /mac must be the address of one interface: .* is odd$/);
    assert.match(user({ mtu: 67 }), /mtu must be a whole number from 68 to 65520, not 67$/);
    assert.match(user({ mtu: 65521 }), /mtu must be a whole number from 68 to 65520/);
    assert.match(user({ queues: 5 }), /queues must be a whole number from 1 to 4, not 5$/);
    assert.match(
      user({ prefix: '10/8' }),
      /prefix is no network that can be used: "10\/8" is not written as/,
    );
    assert.match(
      user({ prefix6: 'fd00::/48' }),
      /prefix6 must have a length of 64 for a network of kind user$/,
    );
    assert.match(user({ hostname: '-a' }), /hostname must be a host name such as "guest", not "-a"$/);
    assert.match(user({ dns: 'localhost' }), /dns must be the address of a name server, not "localhost"$/);
    assert.match(user({ vhost: true }), /^networks\[0\]\.vhost is only for a network of kind tap, not user$/);
    assert.match(
      problem([{ kind: 'tap', vhost: true, locked: true }]),
      /^networks\[0\]\.vhost cannot be together with locked: the kernel lets all frames pass$/,
    );
    assert.match(user({ tap: 'tap0' }), /tap is only for a network of kind tap or local, not user$/);
    assert.match(problem([{ kind: 'tap', tap: 'a/b' }]), /tap must be the name of an interface, at most 15/);
    assert.match(
      problem([{ kind: 'user', uplink: 'tap9' }]),
      /^networks\[0\]\.uplink is only for a network of kind switch, not user$/,
    );
    assert.match(
      problem([{ kind: 'switch', switch: 'lan', uplink: 'a/b' }]),
      /^networks\[0\]\.uplink must be the name of an interface, at most 15 bytes, not "a\/b"$/,
    );
    assert.match(problem(['switch']), /^networks\[0\]\.switch is required: the name of the switch/);
    assert.match(
      problem(['switch:a b']),
      /^networks\[0\]\.switch must be the name of a switch, .*, not "a b"$/,
    );
    assert.match(problem(['stream']), /^networks\[0\]\.socket is required: the unix socket/);
    assert.match(
      problem([{ kind: 'tap', forwards: ['tcp:1:1'] }]),
      /^networks\[0\]\.forwards is only for a network of kind user, not tap$/,
    );
    assert.equal(problem(Array.from({ length: 9 }, () => 'user')), 'networks can be at most 8, not 9');
  });

  it('have a prefix that is large enough for its kind, and no more', () => {
    const rule = 'must have a length of 8 to 27 for a network of kind user';
    assert.equal(problem([{ kind: 'user', prefix: '128.0.0.0/1' }]), `networks[0].prefix ${rule}`);
    assert.equal(parse([{ kind: 'user', prefix: '10.0.0.0/8' }]).problems.length, 0);
    assert.equal(parse([{ kind: 'local', prefix: '64.0.0.0/2' }]).problems.length, 0);
  });

  it('have no empty paths, which would be the folder that paths start from', () => {
    for (const key of ['tftp', 'http', 'capture'])
      assert.equal(problem([{ kind: 'user', [key]: '' }]), `networks[0].${key} must be a path, not ""`);
  });

  it('have an address, a tap and forwarded ports of their own', () => {
    const mac = '52:54:00:00:00:01';
    const one = { kind: 'user', mac };
    assert.match(
      problem([one, { kind: 'tap', mac }]),
      /^networks\[1\] has the address 52:54:00:00:00:01, which/,
    );
    assert.match(
      problem(['tap0', 'user', 'tap0']),
      /^networks\[2\] has the tap tap0, which another interface/,
    );
    assert.equal(
      problem([
        { kind: 'user', forwards: ['tcp:80:80'] },
        { kind: 'user', forwards: ['udp:80:80', 'tcp:0.0.0.0:79-81:79'] },
      ]),
      'networks[1] forwards tcp:0.0.0.0:79-81:79, where tcp:80:80 listens already',
    );
  });
});

describe('a forward', () => {
  it('is a short text, or an object', () => {
    const cases: Readonly<Record<string, ForwardConfig>> = {
      'tcp:2222:22': { protocol: 'tcp', hostPort: 2222, guestPort: 22 },
      'udp:127.0.0.1:53:10.0.2.15:53': {
        protocol: 'udp',
        hostAddress: '127.0.0.1',
        hostPort: 53,
        guestAddress: '10.0.2.15',
        guestPort: 53,
      },
      'tcp:[::1]:80:[fd00::15]:8080': {
        protocol: 'tcp',
        hostAddress: '::1',
        hostPort: 80,
        guestAddress: 'fd00::15',
        guestPort: 8080,
      },
      'tcp:8000-8010:80': { protocol: 'tcp', hostPort: 8000, guestPort: 80, count: 11 },
      'tcp:unix:/a:b/c:22': { protocol: 'tcp', hostPath: '/a:b/c', guestPort: 22 },
      'tcp:unix:s:10.0.2.15:22': {
        protocol: 'tcp',
        hostPath: 's',
        guestAddress: '10.0.2.15',
        guestPort: 22,
      },
    };
    for (const [text, value] of Object.entries(cases)) {
      assert.deepEqual(read(text), value, text);
      assert.equal(forward.print(value), text);
      assert.deepEqual(read(value), value);
      assert.deepEqual(forward.check(value, assert.fail), value);
    }
    assert.deepEqual(read('tcp:8000-8010:80-90'), cases['tcp:8000-8010:80']);
    assert.deepEqual(read({ hostPort: 1, guestPort: 2 }), { protocol: 'tcp', hostPort: 1, guestPort: 2 });
  });

  it('is refused in one sentence', () => {
    const sentence = (written: unknown): string => {
      const found: string[] = [];
      forward.read(written, (message, part = '') => void found.push(`${part} ${message}`.trim()));
      assert.equal(found.length, 1, found.join('\n'));
      return found.join();
    };
    const form = /^must be a text such as "tcp:2222:22", .*, not /;
    for (const text of ['2222:22', 'tcp:22', 'tcp:a:22', 'icmp:1:2', 'udp:unix:/s:22', 7])
      assert.match(sentence(text), form, String(text));
    assert.match(sentence('tcp:1-3:1-2'), /^must lead to one port, or to as many as it is from/);
    assert.match(sentence('tcp:0:22'), /has ports from 1 to 65535, not 0$/);
    assert.match(sentence('tcp:22:65536'), /has ports from 1 to 65535, not 65536$/);
    assert.match(sentence('tcp:65530-65535:65531'), /has ports beyond 65535$/);
    assert.match(sentence('tcp:9-8:1'), /is of 1 to 1024 ports, not 0$/);
    assert.match(sentence('tcp:1-2000:1'), /is of 1 to 1024 ports, not 2000$/);
    assert.match(sentence('tcp:300.0.0.1:1:2'), /has addresses such as 127.0.0.1 or ::1, not "300.0.0.1"$/);
    assert.match(sentence('tcp:[x]:1:2'), /has addresses such as/);
    assert.match(
      sentence(`tcp:unix:/${'x'.repeat(107)}:1`),
      /path of a unix socket, at most 107 bytes long$/,
    );
    assert.match(
      sentence({ protocol: 'udp', hostPath: '/s', guestPort: 1 }),
      /a unix socket, which is for TCP/,
    );
    assert.match(sentence({ port: 1 }), /^\.port is not a known setting/);
  });

  it('clashes with another where both would listen at one place', () => {
    const pairs: readonly (readonly [string, string, boolean])[] = [
      ['tcp:80:1', 'tcp:80:2', true],
      ['tcp:80:1', 'udp:80:1', false],
      ['tcp:80-90:1', 'tcp:90:1', true],
      ['tcp:80-90:1', 'tcp:91:1', false],
      ['tcp:127.0.0.1:80:1', 'tcp:80:1', true],
      ['tcp:127.0.0.2:80:1', 'tcp:80:1', false],
      ['tcp:0.0.0.0:80:1', 'tcp:80:1', true],
      ['tcp:[::]:80:1', 'tcp:80:1', true],
      ['tcp:[::1]:80:1', 'tcp:0.0.0.0:80:1', false],
      ['tcp:unix:/s:1', 'tcp:unix:/s:2', true],
      ['tcp:unix:/s:1', 'tcp:80:2', false],
    ];
    for (const [one, other, clashes] of pairs) {
      assert.equal(forwardsClash(read(one), read(other)), clashes, `${one} ${other}`);
      assert.equal(forwardsClash(read(other), read(one)), clashes, `${other} ${one}`);
    }
  });

  it("of the guest's leads to an address and port, or a socket, of the host", () => {
    const wrong = (written: unknown): string => {
      let found = '';
      guestForward.read(written, (message) => void (found = message));
      return found;
    };
    assert.match(wrong('80:8080'), /^must be a text such as "10\.0\.2\.100:80:8080"/);
    assert.match(wrong('10.0.2.100:0:8080'), /has ports from 1 to 65535, not 0$/);
    assert.match(wrong({ guestPort: 1, hostPort: 1 }), /^needs an address of the virtual network$/);
  });
});

describe('--net', () => {
  const { flag } = SETTINGS.networks;

  it('is a kind and options, of which forwards may be there several times', () => {
    assert.deepEqual(
      flag.read(
        ['user,forward=tcp:2222:22,forward=udp:53:53,mtu=9000,restrict,mac=52:54:00:00:00:01'],
        refuse,
      ),
      [
        {
          kind: 'user',
          forwards: ['tcp:2222:22', 'udp:53:53'],
          mtu: 9000,
          restrict: true,
          mac: '52:54:00:00:00:01',
        },
      ],
    );
    assert.deepEqual(flag.read(['switch:lan,uplink=tap9'], refuse), [
      { kind: 'switch', switch: 'lan', uplink: 'tap9' },
    ]);
    assert.deepEqual(flag.read(['tap0', 'switch:lan,down'], refuse), [
      { kind: 'tap', tap: 'tap0' },
      { kind: 'switch', switch: 'lan', down: true },
    ]);
    for (const kind of NETWORK_KINDS) assert.ok(flag.text.includes(kind), kind);
  });

  it('is refused in one sentence that names what was given', () => {
    const cases = {
      'user,mtu=x': '--net user,mtu=x: mtu must be a whole number from 68 to 65520, not "x"',
      'user,mtu=100,mtu=200': '--net user,mtu=100,mtu=200: mtu is given more than once',
      'user,forwards=tcp:1:2': '--net user,forwards=tcp:1:2: write forward=…, once for each, not forwards',
      'tap0,tap=tap1': '--net tap0,tap=tap1: tap is given more than once',
      'user,': '--net user,: an option is empty; a comma in a value is written twice',
      stream: `--net stream: socket is required: the unix socket, or ADDRESS:PORT, of the program at the other end; for \`passt\`, one that runs already`,
    };
    for (const [given, message] of Object.entries(cases))
      assert.throws(() => flag.read([given], refuse), { message });
    assert.throws(() => flag.read(['user,forward=22'], refuse), {
      message: /^--net user,forward=22: forwards\[0\] must be a text such as /,
    });
  });
});
