/** For the tests of this folder: short ways to write a text and its results. */
import { checkTree } from './checkTree.ts';
import { type ConfigHost, hostOfTexts } from '../config/configHost.ts';
import { parseConfigFile, type ParseOptions } from './parseConfigFile.ts';
import { formatProblem, type Problem } from './problem.ts';
import { SourceFile } from './sourceFile.ts';
import type { ConfigTree, Dialect, DirectiveNode } from './syntaxTree.ts';
import { type DescribedVm, describedVms } from './describedVms.ts';

export interface Outcome {
  readonly tree: ConfigTree;
  readonly problems: readonly Problem[];
  readonly errors: readonly string[];
  readonly warnings: readonly string[];
}

export function read(text: string, dialect: Dialect = 'vmd', extra: Partial<ParseOptions> = {}): Outcome {
  const host: ConfigHost = extra.host ?? hostOfTexts({});
  const tree = parseConfigFile(new SourceFile('vm.conf', text), { dialect, ...extra, host });
  // What the language has and this VMM lacks shrinks as the machine grows: unsupported.test.ts.
  const problems = checkTree(tree, host).filter((it) => it.code !== 'not-supported');
  const lines = (severity: string): string[] =>
    problems.filter((it) => it.severity === severity).map(formatProblem);
  return { tree, problems, errors: lines('error'), warnings: lines('warning') };
}

/** The first VM of a text that must be valid. */
export function firstVm(
  text: string,
  dialect: Dialect = 'trapframe',
  extra: Partial<ParseOptions> = {},
): DescribedVm {
  const { tree, errors } = read(text, dialect, extra);
  const [vm] = describedVms(tree, extra.host ?? hostOfTexts({}));
  if (errors.length > 0 || vm === undefined) throw new Error(errors.join('\n') || 'there is no vm');
  return vm;
}

/** Repeatable pseudo-random numbers (mulberry32). */
export function randomNumbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

/** Example files: what people write, and every corner case of the lexer. */
export const EXAMPLES: Readonly<Record<string, string>> = {
  workstation: `# Workstation: one guest kernel under debug, private /31 link to the host
images = "/srv/vm/images"
kernel = "/srv/vm/kernels/bsd.gdb"
local prefix 100.80.0.0/16
vm "dbg0" {
	disable				# start by hand: vmctl start -c dbg0
	memory 768M
	boot $kernel
	disk $images/dbg0.qcow2 format qcow2
	local interface
	owner alice:staff
}
`,
  classServer: `# Class server: bridged guests, one template, non-root users
socket owner :vmusers
staggered start parallel 2 delay 20
agentx path "/var/agentx/master"
switch "uplink" {
	interface veb0
	group vmtraffic
	locked lladdr
}
switch "storage" {
	interface bridge3
	rdomain 7
	down
}
vm "base-linux" {
	disable
	memory 2G
	cdrom "/srv/iso/installer.iso"
	boot device cdrom
	disk "/srv/vm/base.qcow2"
	interface {
		switch "uplink"
		locked lladdr
	}
	allow instance {
		owner :students
		disk, memory
		interface
	}
}
vm "base-linux" instance "student-01" {
	disk "/srv/vm/student-01.qcow2"
	memory 1G
	interface { switch "uplink" }	# own NIC, so own MAC
}
`,
  corners: `# Lexer/parser corner cases on purpose
mem = '3584M'
net0 = "switch uplink"		# expands to two tokens
local inet6 prefix fd42:10:20:1::/64
switch uplink { interface veb1
}
vm edge-1 {
	enable
	memory $mem
	interfaces 3
	interface tap7 $net0 rdomain 2,
	local interface { down lladdr }
	disk "/srv/vm/" 'edge-1' ".raw" \\
	    format raw
	owner 1001
	allow instance boot
	sev
}
`,
  extensions: `kernel = "/boot/kernel.elf"
vm "guest" {
	cpus 4
	memory 1G
	kernel $kernel
	initrd "/boot/initrd"
	cmdline "console=ttyS0 " "quiet"
	protocol linux64
	serial com1 terminal
	serial com2 file "/tmp/log"
	vsock cid 3 socket "/tmp/v"
	balloon
	guest control on
	console agent file "/tmp/agent"
	console shell tty
	share "/srv/rootfs" tag root writable
	network user {
		forward tcp 2222 to 22
		forward udp 127.0.0.1:5353 to 53
		forward tcp "[::1]:8000-8010" to 10.0.2.16:80
		forward tcp unix:/tmp/ssh to 22
		guest forward 10.0.2.100:80 to 8080
		guest forward 10.0.2.100:81 to unix:/tmp/http
		lladdr 52:54:00:00:00:01
		locked
		down off
		mtu 9000
		queues 2
		transport mmio
		iothread
		capture "/tmp/net.pcapng"
		restrict
		prefix "10.0.3.0/24"
		prefix6 "fd00:3::/64"
		hostname guest
		dns "9.9.9.9"
		tftp "/srv/tftp"
		http "/srv/http"
		bootfile "boot.ipxe"
	}
	network stream "/tmp/net.sock"
	network passt
	interface tap4 {
		lladdr 52:54:00:00:00:02
		mtu 1400
		queues 4
		transport pci
		iothread off
		capture "/tmp/tap.pcapng"
		vhost
	}
	disk "/srv/vm/scratch.qcow2" format qcow2 {
		snapshot
		cache unsafe
		discard off
		serial "TF 1"
		iothread
		transport mmio
		backing
		iops 1000
		bandwidth 100M
	}
	disk "/srv/vm/base.img" {
		readonly
	}
	gdb socket "/tmp/gdb.sock"
	debug {
		exit
		wait
		symbols "/boot/vmlinux"
		breakpoints hw
	}
	reset exit
}
`,
};

/** A configuration without its layout: equal for two texts that mean the same. */
export function meaning(tree: ConfigTree): string {
  const of = (node: DirectiveNode): unknown => [
    node.id,
    Object.entries(node.args).map(([name, value]) => [name, value?.text, value?.isNumber]),
    node.items.map(of),
  ];
  return JSON.stringify(tree.statements.flatMap(({ node }) => (node === undefined ? [] : [of(node)])));
}
