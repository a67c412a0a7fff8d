import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkTree } from './checkTree.ts';
import { hostOfTexts } from '../config/configHost.ts';
import { parseConfigFile } from './parseConfigFile.ts';
import { SourceFile } from './sourceFile.ts';
import { firstVm, read } from './testSupport.ts';

const vm = (options: string, name = 'v'): string => `vm ${name} {\n\tkernel /k\n\t${options}\n}\n`;
const networks = (text: string): unknown => firstVm(text).config.networks;

/** What is wrong with a file for us, as `line:column: message`. */
function problems(text: string): string[] {
  const { errors, warnings } = read(text, 'trapframe');
  return [...errors, ...warnings].map((it) => it.replace(/^vm\.conf:/, ''));
}

/** All that is told of a file, what we do not support among it. */
function remarks(text: string, dialect: 'trapframe' | 'vmd'): string[] {
  const host = hostOfTexts({});
  const tree = parseConfigFile(new SourceFile('vm.conf', text), { host, dialect });
  return checkTree(tree, host).map((it) => `${it.severity} ${it.message}`);
}

describe("vmd's interfaces", () => {
  it('are taps, private links, and ports of a switch, which need no tap', () => {
    const text = `switch "lan" {\n\tinterface bridge0\n\tlocked lladdr\n}\n${vm(
      'interface tap3\n\tlocal interface\n\tinterface { switch "lan" }\n\tinterface tap4 switch "wan" down',
    )}`;
    assert.deepEqual(networks(text), [
      { kind: 'tap', tap: 'tap3' },
      { kind: 'local' },
      { kind: 'switch', switch: 'lan', uplink: 'bridge0', isLocked: true },
      { kind: 'switch', switch: 'wan', isDown: true },
    ]);
  });

  it('are as their switch says: joined to the host, down, or locked', () => {
    const of = (options: string): unknown => {
      const text = `switch s {\n\t${options}\n}\nswitch s {\n\tinterface veb9\n}\n`;
      return networks(text + vm('interface switch s'));
    };
    const lan = { kind: 'switch', switch: 's' };
    assert.deepEqual(of('interface tap9'), [{ ...lan, uplink: 'tap9' }]);
    assert.deepEqual(of('interface br-lan'), [{ ...lan, uplink: 'br-lan' }]);
    assert.deepEqual(of('interface veb1\n\tdisable'), [{ ...lan, uplink: 'veb1', isDown: true }]);
    assert.deepEqual(of('interface veb1\n\tdown'), [{ ...lan, uplink: 'veb1', isDown: true }]);
    assert.deepEqual(of('interface veb1\n\tdown\n\tup\n\tenable'), [{ ...lan, uplink: 'veb1' }]);
  });

  it("are on a switch with an interface that is Linux's, or with options that are OpenBSD's, which is told", () => {
    const text = (options: string): string => `switch s {\n\t${options}\n}\n`;
    assert.deepEqual(problems(text('interface tap9')), [
      '2:12: warning: "tap9" is no switch for OpenBSD\'s vmd, which takes bridge or veb and a number',
    ]);
    assert.match(problems(text('interface "a/b"')).join(), /^2:12: "a\/b" is not a switch: write bridge or /);
    const told = (dialect: 'trapframe' | 'vmd') =>
      remarks(text('interface veb1\n\tgroup g\n\trdomain 1'), dialect);
    assert.deepEqual(told('trapframe'), [
      "warning interface groups are OpenBSD's: this one is ignored",
      "warning routing domains are OpenBSD's: this one is ignored",
    ]);
    assert.deepEqual(told('vmd'), []);
  });

  it('have addresses from the local prefix of the file, the last of which counts', () => {
    const text = `local prefix "10/8"\nlocal prefix 100.80.0.0\nlocal inet6\n${vm('local interface')}`;
    assert.deepEqual(networks(text), [{ kind: 'local', prefix: '100.80.0.0/16', prefix6: 'fd00::/8' }]);
  });

  it('have no addresses from a local prefix that no machine has addresses of, which is told', () => {
    const at = (line: string): string => problems(`${line}\n${vm('local interface')}`).join();
    assert.match(at('local prefix "127/8"'), /^1:14: warning: no machine has an address of 127\.0\.0\.0\/8/);
    assert.match(
      at('local inet6 prefix ff05::/16'),
      /^1:20: warning: no machine has an address of ff00::\/8/,
    );
    assert.equal(at('local prefix "100.64/10"'), '');
  });

  it('are four for vmd, of which we warn, and eight for us', () => {
    const many = (count: number): string => vm('interface\n\t'.repeat(count).trimEnd());
    assert.deepEqual(problems(many(4)), []);
    assert.deepEqual(problems(many(5)), [
      "7:2: warning: a VM can have at most 4 interfaces in OpenBSD's vmd",
    ]);
    assert.equal(problems(many(9))[0], '11:2: a VM can have at most 8 interfaces');
  });

  it('may be on switches that we cannot name, which is told', () => {
    const text = vm('interface switch "a b"');
    assert.deepEqual(networks(text), [{ kind: 'switch', switch: 'a b' }]);
    const tree = parseConfigFile(new SourceFile('vm.conf', text), {
      host: hostOfTexts({}),
      dialect: 'trapframe',
    });
    const found = checkTree(tree, hostOfTexts({})).map((it) => it.message);
    assert.match(
      found.join('\n'),
      /"a b" cannot name a switch of ours: write the name of a switch, of at most/,
    );
  });

  it('are in no group of ours, which is told where vmd is not asked', () => {
    const text = 'vm v {\n\tdisk /d\n\tinterface group g\n}\n';
    const told = (dialect: 'trapframe' | 'vmd') => remarks(text, dialect);
    assert.deepEqual(told('trapframe'), ["warning interface groups are OpenBSD's: this one is ignored"]);
    assert.deepEqual(told('vmd'), []);
  });

  it('have options of ours in braces, which vmd does not know', () => {
    const text = vm('interface {\n\t\tmtu 9000\n\t}');
    assert.deepEqual(networks(text), [{ kind: 'tap', mtu: 9000 }]);
    assert.match(read(text).errors.join(), /"mtu" is an extension that OpenBSD's vmd does not know/);
    assert.match(problems(vm('interface mtu 9000')).join(), /^3:12: "mtu" is not a tap interface/);
    assert.deepEqual(problems(vm('interface {\n\t\tmtu 1\n\t}')), [
      '4:7: "mtu" must be a whole number from 68 to 65520, not 1',
    ]);
  });
});

describe('an interface that the kernel serves', () => {
  const interfaces = (before: string, options: string): string => vm(`${before} {\n\t\t${options}\n\t}`);

  it('is a tap', () => {
    const text = interfaces('interface tap3', 'vhost');
    assert.deepEqual(problems(text), []);
    assert.deepEqual(networks(text), [{ kind: 'tap', tap: 'tap3', vhost: true }]);
  });

  it('is no private link, nor on a switch, nor locked', () => {
    assert.deepEqual(problems(interfaces('local interface', 'vhost')), [
      '3:2: a network of kind local has no vhost',
    ]);
    const switched = interfaces('interface', 'switch "lan"\n\t\tvhost');
    assert.equal(problems(switched)[0], '3:2: a network of kind switch has no vhost');
    assert.deepEqual(problems(interfaces('interface tap3', 'vhost\n\t\tlocked lladdr')), [
      '3:2: vhost cannot be together with locked: the kernel lets all frames pass',
    ]);
    assert.match(problems(interfaces('network user', 'vhost')).join(), /^4:3: .*vhost/);
  });
});

describe('networks of ours', () => {
  it('have paths that start from the file', () => {
    const host = { ...hostOfTexts({}), resolve: (path: string) => `/f/${path}` };
    const text = vm(
      'network user {\n\t\ttftp files\n\t\tforward tcp unix:ssh to 22\n\t\tguest forward 10.0.2.9:1 to unix:s\n\t}\n\tnetwork stream n\n\tnetwork stream "127.0.0.1:9"',
    );
    assert.deepEqual(firstVm(text, 'trapframe', { host }).config.networks, [
      {
        kind: 'user',
        tftp: '/f/files',
        forwards: [{ protocol: 'tcp', hostPath: '/f/ssh', guestPort: 22 }],
        guestForwards: [{ guestAddress: '10.0.2.9', guestPort: 1, hostPath: '/f/s' }],
      },
      { kind: 'stream', socket: '/f/n' },
      { kind: 'stream', socket: '127.0.0.1:9' },
    ]);
  });

  it('have what is wrong reported where it is written', () => {
    const user = (options: string): string[] => problems(vm(`network user {\n\t\t${options}\n\t}`));
    assert.match(user('forward tcp 0 to 22').join(), /^4:15: the forward is wrong: "tcp:0:22" has ports /);
    assert.match(user('forward udp unix:/s to 22').join(), /^4:15: the forward must be a text such as /);
    assert.match(user('guest forward 80 to 22').join(), /^4:17: the forward must be a text such as "10\./);
    assert.match(user('lladdr 53:54:00:00:00:01').join(), /^4:10: "lladdr" must be the address of one /);
    assert.match(user('prefix "10/8"').join(), /^4:10: "prefix" is no network that can be used/);
    assert.deepEqual(user('mtu 68\n\t\tmtu 69'), ['3:2: "mtu" is given more than once for this interface']);
    assert.deepEqual(problems(vm('network passt {\n\t\tprefix6 "fd00::/64"\n\t}')), [
      '3:2: a network of kind passt has no prefix6',
    ]);
    assert.deepEqual(problems(vm('network stream s {\n\t\tforward tcp 1 to 1\n\t}')), [
      '3:2: a network of kind stream has no forward',
    ]);
  });

  it('are never left out without a word', () => {
    const at = (options: string): string[] => problems(vm(`network user { ${options} }`));
    assert.deepEqual(at('prefix6 fd00::/8'), [
      '3:25: "prefix6" must have a length of 64 for a network of kind user',
    ]);
    assert.deepEqual(at('prefix 128.0.0.0/1'), [
      '3:24: "prefix" must have a length of 8 to 27 for a network of kind user',
    ]);
    assert.deepEqual(at('tftp ""'), ['3:22: "tftp" must be a path, not ""']);
    for (const kind of ['stream', 'passt'])
      assert.match(problems(vm(`network ${kind} ""`)).join(), /^3:\d+: the socket is empty: name a path/);
    const forwards = (count: number): string =>
      Array.from({ length: count }, (_, i) => `forward tcp ${i + 1} to 22`).join('\n');
    assert.deepEqual(at(forwards(256)), []);
    assert.deepEqual(at(forwards(257)), ['3:2: a network can have at most 256 of forward']);
  });

  it('share no forwarded port, in one VM or several', () => {
    const user = (from: string): string => `network user {\n\t\tforward tcp ${from} to 22\n\t}`;
    assert.deepEqual(problems(vm(`${user('2222')}\n\t${user('127.0.0.1:2222')}`)), [
      '7:15: warning: VM "v" forwards from 127.0.0.1:2222 already',
    ]);
    const apart = vm(user('127.0.0.1:80'), 'a') + vm(user('127.0.0.2:80'), 'b');
    assert.deepEqual(problems(apart), []);
    assert.deepEqual(problems(apart + vm(user('0.0.0.0:70-90'), 'c')), [
      '16:15: warning: VM "a" forwards from 0.0.0.0:70-90 already',
    ]);
    assert.deepEqual(problems(vm(user('unix:/s'), 'a') + vm(user('unix:/s'), 'b')), [
      '10:15: warning: VM "a" forwards from unix:/s already',
    ]);
  });

  it('share no Ethernet address with interfaces', () => {
    const text = vm('network user {\n\t\tlladdr 52:54:00:00:00:01\n\t}\n\tinterface lladdr 52:54:0:0:0:1');
    assert.deepEqual(problems(text), [
      '6:19: warning: 52:54:0:0:0:1 is the address of an interface of VM "v" already',
    ]);
  });
});
