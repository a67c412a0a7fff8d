/**
 * The `vmm` command: a table from command to a small file. Also the vmm-core process itself (`run`, `serve`).
 */
import { endProcess, standardError, standardOutput } from './client/output.ts';
import { log } from './log.ts';
import { version } from './version.ts';

/** Runs a command with its arguments; resolves with the exit code. */
export type Command = (argv: readonly string[]) => Promise<number>;

interface Entry {
  readonly summary: string;
  /** Lazy: `run` must not wait for modules that other commands need. */
  readonly load: () => Promise<Command>;
  /** Internal: not in the help. */
  readonly hidden?: boolean;
}

const COMMANDS: Readonly<Record<string, Entry>> = {
  run: {
    summary: 'boot a guest, COM1 on this terminal',
    load: async () => (await import('./cli/run.ts')).run,
  },
  check: {
    summary: 'say what this host can and cannot do, or what is wrong with a disk image',
    load: async () => (await import('./cli/check.ts')).check,
  },
  status: { summary: 'list running VMs', load: async () => (await import('./cli/status.ts')).status },
  stop: {
    summary: 'ask a guest to shut down, or end its VM',
    load: async () => (await import('./cli/stop.ts')).stop,
  },
  show: {
    summary: "show a VM's devices as they are now",
    load: async () => (await import('./cli/show.ts')).show,
  },
  disk: {
    summary: "change a running VM's disks",
    load: async () => (await import('./cli/drive.ts')).drive,
  },
  net: {
    summary: "watch and change a running VM's network interfaces",
    load: async () => (await import('./cli/net.ts')).net,
  },
  balloon: {
    summary: 'ask a running VM for some of its memory',
    load: async () => (await import('./cli/balloon.ts')).balloon,
  },
  create: {
    summary: 'make a disk image',
    load: async () => (await import('./cli/disk/create.ts')).create,
  },
  convert: {
    summary: 'copy a disk image into another format',
    load: async () => (await import('./cli/disk/convert.ts')).convert,
  },
  resize: {
    summary: 'change the size of a disk image',
    load: async () => (await import('./cli/disk/resize.ts')).resize,
  },
  info: {
    summary: 'say what a disk image is',
    load: async () => (await import('./cli/disk/info.ts')).info,
  },
  commit: {
    summary: 'move the content of a derived disk image into its base',
    load: async () => (await import('./cli/disk/commit.ts')).commit,
  },
  load: { summary: 'check a vm.conf', load: async () => (await import('./cli/load.ts')).load },
  fmt: { summary: 'lay out vm.conf files', load: async () => (await import('./cli/fmt.ts')).fmt },
  lsp: { summary: 'serve editors of vm.conf', load: async () => (await import('./cli/lsp.ts')).lsp },
  sym: {
    summary: 'explain addresses, functions and types of an ELF file',
    load: async () => (await import('./cli/sym.ts')).sym,
  },
  serve: {
    summary: 'wait, warm, for a VM',
    load: async () => (await import('./cli/serve.ts')).serve,
    hidden: true,
  },
};

function usage(): string {
  const rows = Object.entries(COMMANDS).filter(([, entry]) => entry.hidden !== true);
  const lines = rows.map(([name, { summary }]) => `  ${name.padEnd(8)}${summary}`);
  return ['usage: vmm COMMAND [ARGUMENTS]   ("vmm COMMAND --help" tells more)', '', ...lines, ''].join('\n');
}

async function main(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv;
  if (name === '--version') {
    standardOutput.write(`vmm ${version()}\n`);
    return 0;
  }
  if (name === undefined || name === '--help' || name === 'help') {
    standardOutput.write(usage());
    return name === undefined ? 1 : 0;
  }
  const entry = COMMANDS[name];
  if (entry === undefined) {
    standardError.write(`vmm: ${name} is not a command; "vmm help" lists them\n`);
    return 1;
  }
  const command = await entry.load();
  return command(rest);
}

main(process.argv.slice(2)).then(endProcess, (error: unknown) => {
  // No user's mistake gets here: it is a bug, shown with its stack.
  log.error('main', 'internal error', {
    stack: error instanceof Error ? (error.stack ?? '') : String(error),
  });
  return endProcess(70); // EX_SOFTWARE, sysexits.h
});
