/**
 * Writes what VS Code reads into package.json: `tsx scripts/manifest.ts`. A test checks that running it
 * changes nothing.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { ANSWERS_F5, BOOT_COMMAND } from '../extension/debug/f5.ts';
import {
  attachAttributes,
  configurationSnippets,
  launchAttributes,
  requiredAttributes,
} from '../extension/debug/launchSchema.ts';
import { languageContributions } from '../extension/language/contributions.ts';

const PACKAGE_JSON = path.join(import.meta.dirname, '../package.json');

/**
 * Languages whose editors get a gutter to click on, by the ids of VS Code and of the usual assembler
 * extensions.
 */
const BREAKPOINT_LANGUAGES = [
  'c',
  'cpp',
  'rust',
  'zig',
  'asm',
  'asm-intel-x86-generic',
  'asm-collection',
  'nasm',
  'gas',
  'x86',
  'platformio-debug.asm',
];

/**
 * The most usual names among those that extension/debug/findKernels.ts knows: VS Code searches for each when
 * it starts.
 */
const BOOTABLE_FILES = [
  '**/*.elf',
  '**/vmlinux',
  '**/bzImage',
  '**/kernel.bin',
  '**/vm.conf',
  '**/*.vm.conf',
];

const SHUT_DOWN_COMMAND = 'trapframe.shutDownGuest';

/** In the palette, all of category Trapframe. `description` is README's. */
export const COMMANDS = [
  {
    command: BOOT_COMMAND,
    title: 'Boot the Kernel of This Workspace',
    description:
      'The VM of its `vm.conf`, or the newest kernel image. F5 does that where no `launch.json` says otherwise and no other debugger wants the open file.',
  },
  {
    command: 'trapframe.showConsole',
    title: 'Show Serial Console',
    description:
      'A serial port of any running VM, from this window or elsewhere, with its last 64 KiB of output, even if its terminal was closed.',
  },
  {
    command: SHUT_DOWN_COMMAND,
    title: 'Shut Down Guest',
    icon: { light: './media/power-light.svg', dark: './media/power-dark.svg' },
    description:
      'Presses the power button of the VM that is debugged, or of any other: a guest with a driver for ACPI or guest control shuts down in its own time. Also in the debug toolbar.',
  },
  {
    command: 'trapframe.stopVm',
    title: 'Stop VM',
    description: 'Ends any running VM at once, like pulling the plug.',
  },
  {
    command: 'trapframe.showNetwork',
    title: 'Show Network…',
    description:
      'What goes over a network interface of a running VM, and its addresses, tables and connections, renewed every second while it is visible.',
  },
  {
    command: 'trapframe.captureNetwork',
    title: 'Capture Network…',
    description:
      "Writes the frames of a running VM's network interface to a pcapng file, which Wireshark reads; the same command stops it and shows the file.",
  },
  {
    command: 'trapframe.networkLink',
    title: 'Network Link Up or Down…',
    description: "Pulls the cable of a running VM's network interface, or puts it back.",
  },
  {
    command: 'trapframe.checkHost',
    title: 'Check Host',
    description: 'What this machine has and what it lacks for running VMs.',
  },
];

const KEYWORDS = ['kernel', 'debugger', 'kvm', 'virtual machine', 'osdev', 'unikernel'];

type Json = Readonly<Record<string, unknown>>;

/** The manifest with our keys regenerated; the others, and their order, stay. */
export function withContributions(manifest: Json): Json {
  return {
    ...manifest,
    publisher: manifest['publisher'] ?? 'trapframe',
    icon: 'docs/images/icon.png',
    categories: ['Debuggers', 'Programming Languages'],
    keywords: KEYWORDS,
    engines: { node: '>=20', vscode: '^1.100.0' },
    main: './dist/extension.js',
    extensionKind: ['workspace'],
    activationEvents: [
      'onDebugResolve:vmm',
      'onDebugInitialConfigurations',
      'onDebugDynamicConfigurations:vmm',
      // So that F5 is ours where there is something to boot, before any other debugger.
      ...BOOTABLE_FILES.map((it) => `workspaceContains:${it}`),
      // So that a core is warm before the first F5; activate() does nothing more when no configuration is
      // ours.
      'workspaceContains:.vscode/launch.json',
    ],
    capabilities: { untrustedWorkspaces: { supported: false }, virtualWorkspaces: false },
    contributes: contributions(),
  };
}

function contributions(): Json {
  return {
    breakpoints: BREAKPOINT_LANGUAGES.map((language) => ({ language })),
    debuggers: [
      {
        type: 'vmm',
        label: 'Trapframe VM',
        languages: BREAKPOINT_LANGUAGES,
        configurationAttributes: {
          launch: { required: requiredAttributes, properties: launchAttributes },
          attach: { properties: attachAttributes },
        },
        configurationSnippets,
        strings: {
          unverifiedBreakpoints:
            'This breakpoint is not armed: no code of the running guest was built from this line.',
        },
      },
    ],
    commands: COMMANDS.map(({ command, title, icon }) => ({
      ...{ command, title, category: 'Trapframe' },
      ...(icon === undefined ? {} : { icon }),
    })),
    menus: {
      'debug/toolBar': [
        { command: SHUT_DOWN_COMMAND, when: "debugType == 'vmm' && debugState == 'running'" },
      ],
    },
    keybindings: [
      {
        command: BOOT_COMMAND,
        key: 'f5',
        when: `${ANSWERS_F5} && debuggersAvailable && debugState == 'inactive' && !debugConfigurationType`,
      },
    ],
    ...languageContributions(),
  };
}

function main(): void {
  const manifest = JSON.parse(readFileSync(PACKAGE_JSON, 'utf8')) as Json;
  writeFileSync(PACKAGE_JSON, `${JSON.stringify(withContributions(manifest), undefined, 2)}\n`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) main();
