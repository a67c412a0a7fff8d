/**
 * The grammar of vm.conf(5), accepted and refused: `vmd` is what OpenBSD's vmd -n does, according to its
 * lexer and grammar.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { hostOfTexts } from '../config/configHost.ts';
import { EXAMPLES, firstVm, read } from './testSupport.ts';
import { KEYWORDS } from './token.ts';

const vm = (option: string): string => `vm a {\n${option}\n}\n`;
const sw = (option: string): string => `switch s {\ninterface bridge0\n${option}\n}\n`;

/** What it shows -> a text that vmd accepts. */
const ACCEPTED: Readonly<Record<string, string>> = {
  'an empty file': '',
  'a comment at the end without a newline': '# x',
  'a backslash that joins lines': 'vm a { \\\n memory \\\n 1G }\n',
  'a comment that a backslash continues over a line of rubbish': '# x \\\n{{{ }\nvm a { memory 1G }\n',
  'an escaped character outside quotes': 'vm \\a { memory 1G }\n',
  'a string that continues over a line end': 'vm "a\nb" { memory 1G }\n',
  'single quotes': "vm 'a' { memory 1G }\n",
  'backslashes that stay in a string': 'vm "a" { cdrom "\\x\\y" }\n',
  'the same quote escaped': 'vm "a" { cdrom "x\\"y" }\n',
  'adjacent strings': 'vm "a" \'b\' c { memory 1G }\n',
  'two words as a name, without a brace between': 'vm a b {\nmemory 1G\n}\n',
  'a number at the end of the file': 'staggered start parallel 2 delay 30',
  'a reserved word in quotes as a name': 'vm "start" { memory 1G }\n',
  'words that begin with a colon, an underscore or a slash': 'vm _a { cdrom :x\n}\nvm b { cdrom /x\n}\n',
  'dollars, quotes and brackets inside a word': 'vm a { cdrom x$y"z[0]~*@.;\n}\n',
  'a negative number': 'staggered start parallel -1 delay -30\n',
  'a word of 8094 bytes': `m=${'w'.repeat(8094)}\n`,
  'digits that begin a word': 'vm 9a { memory 512M }\n',
  'digits before a brace, which are a name': 'vm 5{ memory 1G }\n',
  'a macro': 'm="512M"\nvm a { memory $m }\n',
  'a macro whose value is a word': 'm=512M\nvm a { memory $m }\n',
  'a macro that is several words': 'm="memory 1G"\nvm a { $m }\n',
  'a macro glued to a word': 'd="/x"\nvm a { cdrom $d/b.iso }\n',
  'a dollar inside a word, which is not a macro': 'vm a { cdrom /x/$nope }\n',
  'a dollar inside quotes, which is not a macro': 'vm a { cdrom "$nope" }\n',
  'a macro defined twice': 'm="0"\nm="1G"\nvm a { memory $m }\n',
  'a macro that opens a block': 'm="{ memory 1G"\nvm a $m }\n',
  'a macro that begins a comment': 'm="1G # rest"\nvm a {\nmemory $m disk nonsense }\n}\n',
  'a macro that begins a quote': 'm="cdrom \'x"\nvm a { $m y\' }\n',
  'a quoted macro name': '"m"="1G"\nvm a { memory $m }\n',
  'local prefix': 'local prefix 10.0.0.0/8\n',
  'local prefix without a length': 'local prefix 10.1.0.0\n',
  'local prefix of fewer than four bytes':
    'local prefix "10/8"\nlocal prefix 10.0.0/8\nlocal prefix "172.16"\n',
  'local prefix with leading zeros or in hexadecimal': 'local prefix 010.0.0.0/8\nlocal prefix 0x0a00/8\n',
  'local prefix with a length of its own before the last': 'local prefix "10/8/16"\n',
  'local inet6': 'local inet6\n',
  'local inet6 prefix': 'local inet6 prefix fd00::/8\n',
  'local inet6 prefix of length 0': 'local inet6 prefix ::/0\n',
  'local inet6 prefix with a scope': 'local inet6 prefix fd00::%1/8\nlocal inet6 prefix fe80::%em0/10\n',
  'socket owner as a number': 'socket owner 1000\n',
  'socket owner as a group': 'socket owner :vmusers\n',
  'agentx alone': 'agentx\n',
  'agentx with both': 'agentx context c path /x\n',
  'the longest AgentX context and path': `agentx context ${'c'.repeat(32)} path /${'x'.repeat(102)}\n`,
  'staggered start': 'staggered start parallel 4 delay 30\n',
  'a switch on one line': 'switch s { interface bridge0 }\n',
  'two options of a switch on a line when the second ends it': 'switch s { interface bridge0 up\n}\n',
  'a group without a name, which is none': sw('group ""'),
  'every option of a switch': sw('enable\ndisable\nup\ndown\nlocked lladdr\ngroup vmgrp\nrdomain 255'),
  'a VM on one line': 'vm a { memory 1G }\n',
  'two options on a line when the second ends it': 'vm a { memory 1G disable\n}\n',
  'empty lines in a block': 'vm a {\n\n\nmemory 1G\n\n\ndisable\n\n}\n',
  'memory in bytes': vm('memory 1048576'),
  'memory with a fraction': vm('memory 1.5g'),
  'memory that is rounded': vm('memory 1500K'),
  'the most memory': vm('memory 128G'),
  'interfaces 0, and then another number': vm('interfaces 0\ninterfaces 4'),
  'owner as user and group': vm('owner a:b'),
  'boot and boot device': vm('boot /bsd\nboot device disk\nboot device net\nboot device cdrom'),
  'disk formats in any case': vm('disk a format RAW\ndisk b format QCow2'),
  'four disks': vm('disk a\ndisk b\ndisk c\ndisk d'),
  'sev and seves': vm('sev\nseves'),
  'interface alone': vm('interface'),
  'interface tap': vm('interface tap\ninterface tap3'),
  'interface options in a row': vm('interface up down'),
  'interface options with commas after the second': vm('interface up down, rdomain 1,'),
  'interface options in braces': vm('interface { up down\nlladdr }'),
  'interface with all options': vm(
    'interface tap1 {\nswitch s\ngroup g\nrdomain 0\nup\ndown\nlocked lladdr fe:e1:bb:d1:00:01\n}',
  ),
  'lladdr without a value, zero and short': vm(
    'interface lladdr\ninterface lladdr 0:0:0:0:0:0\ninterface lladdr 2:3:4:5:6:7',
  ),
  'a cdrom after one without a name': vm('cdrom ""\ncdrom /x'),
  'allow instance of one': vm('allow instance memory'),
  'allow instance in braces': vm('allow instance { boot, memory\ninterface,\n\ndisk, cdrom }'),
  'allow instance owner': vm('allow instance { instance, owner :x }'),
  'an instance': 'vm a { memory 1G }\nvm a instance b { memory 1G }\n',
  'a name of 63 bytes': `vm ${'n'.repeat(63)} { memory 1G }\n`,
  'a NUL byte between statements, which ends the file': 'vm a { memory 1G }\n\0 rubbish {',
  // Refused only when loading for real.
  'a VM with nothing to boot': vm('memory 1G'),
  'a duplicate VM': vm('memory 1G') + vm('memory 1G'),
  'an instance of nothing': 'vm nope instance b { memory 1G }\n',
  'an unknown switch': vm('interface switch nope'),
  'a name that begins with a dash, quoted': 'vm "-a" { memory 1G }\n',
  'the same tap twice': vm('interface tap1\ninterface tap1'),
};

/** What it shows -> a text that vmd refuses, and where. */
const REFUSED: Readonly<Record<string, readonly [text: string, place: string]>> = {
  'two options on a line, the second not ending it': ['vm a { memory 1G disk "x" }\n', '1:27'],
  'an empty block': ['vm a { }\n', '1:6'],
  'a brace on the next line': ['vm a\n{\nmemory 1G\n}\n', '1:5'],
  'a macro whose value is a number': ['m=512\n', '1:3'],
  'a macro named by a keyword': ['net="x"\n', '1:1'],
  'a macro name with a blank': ['"a b"="x"\n', '1:1'],
  'a macro of two strings': ['m="a" "b"\n', '1:7'],
  'an undefined macro': [vm('memory $m'), '2:8'],
  'a macro in a macro': ['a="x"\nb="$a"\nvm v { cdrom $b }\n', '3:14'],
  'a bare network, which is a number and a word': ['local prefix 10/8\n', '1:14'],
  'local prefix with bits behind its length': ['local prefix 10.1.0.0/8\n', '1:14'],
  'local prefix longer than 16': ['local prefix 10.0.0.0/24\n', '1:14'],
  'local prefix of length 0': ['local prefix 0.0.0.0/0\n', '1:14'],
  'local prefix that is IPv6': ['local prefix fd00::/8\n', '1:14'],
  'local inet6 prefix longer than 64': ['local inet6 prefix fd00::/65\n', '1:20'],
  'local alone': ['local\n', '1:6'],
  'a relative AgentX path': ['agentx path x\n', '1:13'],
  'a long AgentX context': [`agentx context ${'c'.repeat(33)}\n`, '1:16'],
  'an AgentX context of few characters and many bytes': [`agentx context "${'\u00e4'.repeat(17)}"\n`, '1:16'],
  'a long AgentX path': [`agentx path /${'x'.repeat(103)}\n`, '1:13'],
  'staggered start without a delay': ['staggered start parallel 2\n', '1:27'],
  'a comma after the first interface option': [vm('interface up, down'), '2:13'],
  'a comma in interface braces': [vm('interface { up, down }'), '2:15'],
  'a comma last in allow instance': [vm('allow instance { disk, }'), '2:22'],
  'a comma after a newline in allow instance': [vm('allow instance { disk\n, memory }'), '3:1'],
  'no separator in allow instance': [vm('allow instance { disk memory }'), '2:23'],
  'allow instance with nothing': [vm('allow instance { }'), '2:16'],
  CRLF: ['vm a { memory 1G }\r\n', '1:19'],
  'a keyword as a name': ['vm start { memory 1G }\n', '1:4'],
  'keywords that appear in no rule': ['vm size { memory 1G }\n', '1:4'],
  'a number as a name': ['vm 5 { memory 1G }\n', '1:4'],
  'a value that begins with a dot': [vm('cdrom ./x'), '2:7'],
  'a value that begins with a star': [vm('cdrom *'), '2:7'],
  'no newline after a block': ['vm a { memory 1G } vm b { memory 1G }\n', '1:20'],
  'a missing closing brace': ['vm a {\nmemory 1G\n', '1:6'],
  'a closing brace too many': ['}\n', '1:1'],
  'an unknown word': ['foo\n', '1:1'],
  'an unknown option': [vm('colour red'), '2:1'],
  'a switch without interface': ['switch s { up }\n', '1:8'],
  'a switch on a tap': ['switch s { interface tap0 }\n', '1:22'],
  'a switch on a bridge without number': ['switch s { interface bridge }\n', '1:22'],
  'a group that ends in a digit': [sw('group g1'), '3:7'],
  'a group of 16 characters': [sw('group abcdefghijklmnop'), '3:7'],
  'a group of 16 bytes': [sw(`group "${'\u00e4'.repeat(8)}"`), '3:7'],
  'rdomain 256': [sw('rdomain 256'), '3:9'],
  'rdomain as a word': [sw('rdomain x'), '3:9'],
  'add in a switch': [sw('add tap0'), '3:1'],
  'memory with two letters': [vm('memory 512MB'), '2:8'],
  'memory twice': [vm('memory 1G\nmemory 1G'), '3:1'],
  'too little memory': [vm('memory 1023K'), '2:8'],
  'megabytes without a suffix': [vm('memory 512'), '2:8'],
  'memory with more digits than 64 bits hold': [vm('memory 0.99999999999999999999G'), '2:8'],
  'too much memory': [vm('memory 129G'), '2:8'],
  'five interfaces at least': [vm('interfaces 5'), '2:12'],
  'interfaces twice': [vm('interfaces 1\ninterfaces 2'), '3:1'],
  'a fifth interface': [vm('interface\n'.repeat(5)), '6:1'],
  'an interface that is not a tap': [vm('interface em0'), '2:11'],
  'two interface names': [vm('interface tap0 tap1'), '2:16'],
  'an empty Ethernet address': [vm('interface lladdr ""'), '2:18'],
  'a bad Ethernet address': [vm('interface lladdr fe:e1:bb:d1:00'), '2:18'],
  'boot twice': [vm('boot /a\nboot /b'), '3:1'],
  'an unknown boot device': [vm('boot device floppy'), '2:13'],
  'cdrom twice, the second without a name': [vm('cdrom /a\ncdrom ""'), '3:1'],
  'cdrom twice': [vm('cdrom /a\ncdrom /b'), '3:1'],
  'an empty kernel path': [vm('boot ""'), '2:6'],
  'an empty disk path': [vm('disk ""'), '2:6'],
  'a long cdrom path': [vm(`cdrom /${'x'.repeat(1023)}`), '2:7'],
  'a bad disk format': [vm('disk a format vmdk'), '2:15'],
  'a missing disk format': [vm('disk a format'), '2:14'],
  'a fifth disk': [vm('disk a\n'.repeat(5)), '6:1'],
  'the old kernel keyword': [vm('kernel /bsd'), '2:1'],
  'a VM name of 64 bytes': [`vm ${'n'.repeat(64)} { memory 1G }\n`, '1:4'],
  'a number that is too long': ['staggered start parallel 9223372036854775808 delay 1\n', '1:26'],
  'a negative rdomain': [sw('rdomain -1'), '3:9'],
  'a word of more than 8095 bytes': [`m=${'w'.repeat(8096)}\n`, '1:3'],
  'a macro name of more than 8094 bytes': [vm(`cdrom $${'m'.repeat(8096)}`), '2:7'],
  'values that begin with a mark': [vm('cdrom ~x\ncdrom @x\ncdrom $'), '2:7'],
  'an unterminated string': ['vm "a { memory 1G }\n', '1:4'],
  'a string of more than 8094 bytes': [vm(`cdrom "${'x'.repeat(8095)}"`), '2:7'],
  'an unreadable include': ['include "nope.conf"\n', '1:9'],
  'an include in a block': [vm('include "x"'), '1:6'],
  'a character that begins no word': ['vm \u00e4 { memory 1G }\n', '1:4'],
};

describe('vmd accepts', () => {
  for (const [what, text] of Object.entries(ACCEPTED)) {
    it(what, () => assert.deepEqual(read(text).errors, []));
  }
});

describe('what vmd accepts, and nothing that loading would refuse, is accepted without --openbsd too', () => {
  for (const [what, text] of Object.entries(ACCEPTED)) {
    it(what, () => {
      const errors = read(text, 'trapframe').problems.filter((it) => it.severity === 'error');
      const loadOnly = ['no-boot', 'duplicate-vm', 'unknown-parent', 'vm-name', 'reused', 'instance'];
      const isNul = text.includes('\0');
      assert.deepEqual(
        errors.filter((it) => !loadOnly.includes(it.code) && !isNul),
        [],
      );
    });
  }
});

describe('reserved words', () => {
  for (const word of KEYWORDS.keys()) {
    it(`${word} is not a name or a macro unless quoted`, () => {
      assert.match(read(`vm ${word} { memory 1G }\n`).errors[0] ?? '', /^vm\.conf:1:4: /);
      assert.match(read(`${word} = "x"\n`).errors[0] ?? '', /^vm\.conf:1:1: /);
      assert.deepEqual(read(`vm "${word}" { memory 1G }\n`).errors, []);
    });
  }
});

describe('extensions', () => {
  const lines = (EXAMPLES['extensions'] ?? '').split('\n');
  const extensions = lines.filter((it) => /^\t(?!memory|initrd|\})\w/.test(it) && !it.endsWith('{'));
  for (const line of extensions) {
    it(`vmd does not know ${line.trim()}`, () => {
      const text = `kernel = "x"\nvm a {\n${line}\n}\n`;
      assert.match(read(text).errors[0] ?? '', /^vm\.conf:3:2: .* is an extension/);
      assert.deepEqual(
        read(text, 'trapframe').problems.filter((it) => it.code === 'extension'),
        [],
      );
    });
  }
});

describe('vmd refuses', () => {
  for (const [what, [text, place]] of Object.entries(REFUSED)) {
    it(what, () => {
      const { errors } = read(text);
      assert.ok(errors.length > 0, 'nothing is reported');
      assert.ok(errors[0]?.startsWith(`vm.conf:${place}: `), errors.join('\n'));
    });
  }
});

describe('the examples', () => {
  for (const [name, text] of Object.entries(EXAMPLES)) {
    it(`${name} has no problems`, () => {
      const { errors, warnings } = read(text, 'trapframe');
      assert.deepEqual([...errors, ...warnings], []);
    });
  }

  it('are understood', () => {
    const { config, owner } = firstVm(EXAMPLES['corners'] ?? '');
    assert.equal(config.memoryBytes, 3584 * 2 ** 20);
    assert.deepEqual(config.disks, [{ path: '/srv/vm/edge-1.raw', format: 'raw' }]);
    assert.deepEqual(config.networks, [
      { kind: 'switch', switch: 'uplink', uplink: 'veb1' },
      { kind: 'local', isDown: true, prefix6: 'fd42:10:20:1::/64' },
      { kind: 'tap' },
    ]);
    assert.equal(owner, '1001');
  });

  it('use every extension', () => {
    const { config, debug, unsupported } = firstVm(EXAMPLES['extensions'] ?? '');
    assert.deepEqual(
      {
        kernel: config.kernel,
        cpus: config.cpus,
        cmdline: config.cmdline,
        protocol: config.protocol,
        onReset: config.onReset,
      },
      {
        kernel: '/boot/kernel.elf',
        cpus: 4,
        cmdline: 'console=ttyS0 quiet',
        protocol: 'linux64',
        onReset: 'exit',
      },
    );
    assert.deepEqual(config.serial[1], { kind: 'file', path: '/tmp/log' });
    assert.deepEqual(config.networks, [
      {
        kind: 'user',
        lladdr: '52:54:00:00:00:01',
        isLocked: true,
        isDown: false,
        mtu: 9000,
        queues: 2,
        transport: 'mmio',
        iothread: true,
        capture: '/tmp/net.pcapng',
        forwards: [
          { protocol: 'tcp', hostPort: 2222, guestPort: 22 },
          { protocol: 'udp', hostAddress: '127.0.0.1', hostPort: 5353, guestPort: 53 },
          {
            protocol: 'tcp',
            hostAddress: '::1',
            hostPort: 8000,
            guestPort: 80,
            guestAddress: '10.0.2.16',
            count: 11,
          },
          { protocol: 'tcp', hostPath: '/tmp/ssh', guestPort: 22 },
        ],
        guestForwards: [
          { guestAddress: '10.0.2.100', guestPort: 80, hostPort: 8080 },
          { guestAddress: '10.0.2.100', guestPort: 81, hostPath: '/tmp/http' },
        ],
        isRestricted: true,
        prefix: '10.0.3.0/24',
        prefix6: 'fd00:3::/64',
        hostname: 'guest',
        dns: '9.9.9.9',
        tftp: '/srv/tftp',
        http: '/srv/http',
        bootfile: 'boot.ipxe',
      },
      { kind: 'stream', socket: '/tmp/net.sock' },
      { kind: 'passt' },
      {
        kind: 'tap',
        tap: 'tap4',
        lladdr: '52:54:00:00:00:02',
        mtu: 1400,
        queues: 4,
        transport: 'pci',
        iothread: false,
        capture: '/tmp/tap.pcapng',
        vhost: true,
      },
    ]);
    assert.deepEqual(config.disks, [
      {
        path: '/srv/vm/scratch.qcow2',
        format: 'qcow2',
        snapshot: true,
        cache: 'unsafe',
        discard: false,
        serial: 'TF 1',
        iothread: true,
        transport: 'mmio',
        backing: 'beside',
        iops: 1000,
        bandwidth: 100 * 2 ** 20,
      },
      { path: '/srv/vm/base.img', readonly: true },
    ]);
    assert.deepEqual(debug, { wait: true, symbols: ['/boot/vmlinux'], breakpoints: 'hw' });
    assert.deepEqual(config.vsock, { cid: 3, socket: '/tmp/v' });
    assert.deepEqual([config.balloon, config.guestControl], [true, true]);
    assert.deepEqual(config.consoles, [
      { name: 'agent', target: { kind: 'file', path: '/tmp/agent' } },
      { name: 'shell', target: { kind: 'client' }, isConsole: true },
    ]);
    assert.deepEqual(config.shares, [{ path: '/srv/rootfs', tag: 'root', readonly: false }]);
    assert.deepEqual(unsupported, ['gdb socket']);
  });
});

it('a cdrom without a name is none, as for vmd', () => {
  assert.equal(firstVm('vm v {\n disk d\n cdrom ""\n}\n').config.cdrom, undefined);
});

describe('recovery', () => {
  it('reports every error in one pass and continues with the next option', () => {
    const { errors, tree } = read(
      'colour red\nvm a {\n memory 1X\n speed 3\n disk\n cdrom x\n}\nvm b { }\nvm c { memory 1G }\n',
    );
    assert.deepEqual(
      errors.map((it) => it.split(':').slice(1, 3).join(':')),
      ['1:1', '3:9', '4:2', '5:6', '8:6'],
    );
    assert.equal(tree.statements.filter((it) => it.node?.id === 'vm').length, 3);
  });

  it('ends a block whose brace is missing before the next vm', () => {
    const { errors, tree } = read('vm a {\n memory 1G\nvm b {\n memory 1G\n}\n');
    assert.equal(errors.length, 1);
    assert.equal(tree.statements.filter((it) => it.node?.id === 'vm').length, 2);
  });

  it('reports a block with a misspelt header once', () => {
    assert.equal(read('vn a {\n memory 1G\n disk x\n}\nvm b { memory 1G }\n').errors.length, 1);
  });

  it('suggests the intended word', () => {
    assert.match(read(vm('memroy 1G')).errors[0] ?? '', /did you mean "memory"/);
  });
});

describe('include', () => {
  const texts = {
    'a.conf': 'm = "1G"\nswitch s { interface bridge0 }',
    'b.conf': 'vm open {\n memory 1G\n',
    'self.conf': 'include "self.conf"\n',
  };
  const host = hostOfTexts(texts);

  it('brings macros and switches', () => {
    const { errors, warnings } = read(
      'include "a.conf"\nvm v {\n memory $m\n interface switch s\n disk x\n}\n',
      'trapframe',
      { host },
    );
    assert.deepEqual([...errors, ...warnings], []);
  });

  it('may begin a block that the including file ends, as vmd lets it', () => {
    assert.deepEqual(read('include "b.conf"\ndisable\n}\n', 'vmd', { host }).errors, []);
  });

  it('is refused when it includes itself', () => {
    const { errors } = read('include "self.conf"\n', 'vmd', { host });
    assert.deepEqual(errors, ['self.conf:1:9: "self.conf" includes itself']);
  });

  it('reports errors in the file they are in', () => {
    const { errors } = read('include "c.conf"\nfoo\n', 'vmd', { host: hostOfTexts({ 'c.conf': '\nbar' }) });
    assert.deepEqual(
      errors.map((it) => it.split(': ')[0]),
      ['vm.conf:2:1', 'c.conf:2:1'],
    );
  });
});

describe('what vmd -n does not check', () => {
  it('is a warning with --openbsd and an error without', () => {
    const text = 'vm a { memory 1G }\n';
    assert.match(read(text, 'vmd').warnings[0] ?? '', /nothing to boot/);
    assert.match(read(text, 'trapframe').errors[0] ?? '', /nothing to boot/);
  });

  it('is found: parents declared later, shared disks, taps and addresses, unknown switches', () => {
    const text = `vm p instance i { disk d }
vm p {
	disk d
	allow instance disk
	interface tap1 switch nope lladdr 2:0:0:0:0:1
}
vm p instance j {
	disk d
	interface tap1 lladdr 02:00:00:00:00:01
	allow instance memory
}
vm p { disk x }
`;
    const codes = read(text, 'trapframe').problems.map((it) => it.code);
    assert.deepEqual(codes, [
      'unknown-parent',
      'unknown-switch',
      'instance',
      'reused',
      'reused',
      'instance',
      'duplicate-vm',
    ]);
  });

  it('is found: owners that an instance cannot have', () => {
    const codes = (parent: string, instance: string): string[] =>
      read(
        `vm p {\n disk d\n allow instance disk\n${parent}\n}\nvm p instance i {\n disk e\n${instance}\n}\n`,
        'trapframe',
      ).errors.map((it) => it.split(':')[1] ?? '');
    assert.deepEqual(codes('', ''), []);
    assert.deepEqual(codes('owner alice', ''), []);
    assert.deepEqual(codes('owner alice', 'owner alice'), []);
    assert.deepEqual(codes('owner alice', 'owner bob'), ['8']);
    assert.deepEqual(codes('owner alice:staff', ''), ['6']);
    assert.deepEqual(codes('owner alice:staff', 'owner :staff'), []);
    assert.deepEqual(codes('owner 1000', 'owner :wheel'), []);
    assert.deepEqual(codes('', 'owner :staff'), ['8']);
  });

  it('refuses values of a disk that launch.json would refuse, and what is said twice', () => {
    const problems = (options: string): string[] =>
      read(vm(`disk a format raw {\n${options}\n}`), 'trapframe').problems.map((it) => it.message);
    assert.deepEqual(problems('readonly off\niops 5'), []);
    assert.deepEqual(problems('iops 0'), ['"iops" must be a whole number from 1 to 10000000, not 0']);
    assert.deepEqual(problems('bandwidth 1'), []);
    assert.deepEqual(problems('serial "0123456789abcdefghijk"'), [
      '"serial" must be at most 20 ASCII characters, not "0123456789abcdefghijk"',
    ]);
    assert.deepEqual(problems('snapshot\nsnapshot off'), [
      '"snapshot" is given more than once for this disk',
    ]);
    assert.match(
      problems('colour red')[0] ?? '',
      /"colour" is not allowed here: expected an option of a disk/,
    );
  });

  it('allows 26 disks, and warns where vmd would refuse', () => {
    const codes = (count: number): string[] =>
      read(vm(Array.from({ length: count }, (_, i) => `disk d${i}`).join('\n')), 'trapframe').problems.map(
        (it) => `${it.severity}: ${it.message}`,
      );
    assert.deepEqual(codes(4), []);
    assert.deepEqual(codes(5), ["warning: a VM can have at most 4 disks in OpenBSD's vmd"]);
    assert.equal(codes(27).at(-1), 'error: a VM can have at most 26 disks');
  });

  it('looks at disks: their format by name, their size, and whether one is there twice', () => {
    const host = {
      ...hostOfTexts({}),
      kindOf: () => 'a file',
      diskFormat: (path: string) => (path.startsWith('q') ? ('qcow2' as const) : ('raw' as const)),
      sizeOf: (path: string) => (path.includes('odd') ? 1025 : path.startsWith('none') ? 0 : 1024),
    };
    const messages = (text: string): string[] =>
      read(vm(text), 'trapframe', { host }).problems.map((it) => it.message);
    assert.deepEqual(messages('disk r\ndisk q.qcow2\ndisk q format qcow2'), []);
    assert.deepEqual(messages('disk q.img'), [
      '"q.img" is a qcow2 image, which its name does not tell: add "format qcow2"',
    ]);
    assert.deepEqual(messages('disk qodd'), [
      '"qodd" is a qcow2 image, which its name does not tell: add "format qcow2"',
    ]);
    assert.deepEqual(messages('disk r.qcow2'), [
      '"r.qcow2" is a raw image, which its name does not tell: add "format raw"',
    ]);
    assert.deepEqual(messages('disk odd\ncdrom iso\ndisk none'), [
      '"odd" cannot be a disk: its size, 1025 bytes, is not a multiple of 512',
      '"iso" is not the image of a CD-ROM: its size, 1024 bytes, is not a multiple of 2048',
      '"none" is empty: give it a size',
    ]);
    const twice = 'this VM has the disk "r" twice, and could write it';
    assert.deepEqual(messages('disk r\ndisk r'), [twice]);
    assert.deepEqual(messages('disk r { readonly }\ndisk r'), [twice]);
    assert.deepEqual(messages('disk r { readonly }\ndisk r { snapshot }'), []);
  });

  it('asks the host for files, formats, accounts, memory and CPUs', () => {
    const host = {
      ...hostOfTexts({}),
      kindOf: (path: string) => (path === 'there' ? 'a file' : undefined),
      diskFormat: () => 'qcow2' as const,
      userExists: () => false,
      groupExists: () => false,
      cpus: 2,
      memoryBytes: 2 ** 30,
    };
    const text = vm(
      'disk missing\ndisk there format raw\nowner a:b\nmemory 2G\ncpus 4\ncdrom gone\nboot gone',
    );
    const codes = read(text, 'trapframe', { host }).problems.map((it) => it.code);
    assert.deepEqual(codes, [
      'disk-missing',
      'disk-format',
      'unknown-user',
      'unknown-group',
      'host',
      'host',
      'file-missing',
      'file-missing',
    ]);
    const errors = read(vm('disk missing\ncdrom gone\nboot gone\nowner a'), 'vmd', { host }).problems.filter(
      (it) => it.severity === 'error',
    );
    assert.deepEqual(
      errors.map((it) => it.code),
      ['disk-missing', 'file-missing', 'unknown-user'],
    );
  });
});

describe('macros', () => {
  it('warns of one that is not used, and of one redefined after its use', () => {
    assert.deepEqual(read('a="x"\n').warnings, ['vm.conf:1:1: warning: macro "a" is not used']);
    assert.equal(
      read('a="1G"\nvm v { memory $a }\na="2"\n').warnings.filter((it) => it.includes('not used')).length,
      1,
    );
  });

  it('from -D beat definitions in the file', () => {
    const { config } = firstVm('m="1G"\nvm v {\n memory $m\n disk d\n}\n', 'trapframe', {
      define: { m: '2G' },
    });
    assert.equal(config.memoryBytes, 2 ** 31);
  });
});
