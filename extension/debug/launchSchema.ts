/**
 * What a launch.json of type `vmm` may say, as the editor shows it: completion, hover, squiggles.
 * scripts/manifest.ts writes it into package.json. The attributes are the rows of vmm-core/config; a test
 * compares them with what the debug adapter accepts.
 */
import { ATTACH_SETTINGS, DEBUG_SETTINGS, EDITOR_SETTINGS } from '../../vmm-core/config/debugSettings.ts';
import { type AttributeSchema, requiredKeysOf, schemasOf } from '../../vmm-core/config/rows.ts';
import { SETTINGS } from '../../vmm-core/config/settings.ts';

type Attributes = Readonly<Record<string, AttributeSchema>>;

const debugAttributes: Attributes = { ...schemasOf(DEBUG_SETTINGS), ...schemasOf(EDITOR_SETTINGS) };

/** What only `attach` has, or what it means differently. */
export const attachOnlyAttributes: Attributes = schemasOf(ATTACH_SETTINGS);

export const launchAttributes: Attributes = { ...schemasOf(SETTINGS), ...debugAttributes };
export const attachAttributes: Attributes = { ...attachOnlyAttributes, ...debugAttributes };

/** Required attributes. */
export const requiredAttributes: readonly string[] = requiredKeysOf(SETTINGS);

/** What "Add Configuration…" offers. */
export const configurationSnippets = [
  {
    label: 'Trapframe: Boot a kernel',
    description: 'Boot a kernel image in a VM and debug it',
    body: {
      type: 'vmm',
      request: 'launch',
      name: 'Boot ${1:kernel}',
      kernel: '^"\\${workspaceFolder}/${2:kernel.elf}"',
    },
  },
  {
    label: 'Trapframe: Boot Linux',
    description: 'Boot a bzImage with an initrd, with the symbols of vmlinux',
    body: {
      type: 'vmm',
      request: 'launch',
      name: 'Boot Linux',
      kernel: '^"\\${workspaceFolder}/${1:arch/x86/boot/bzImage}"',
      initrd: '^"\\${workspaceFolder}/${2:initrd.img}"',
      cmdline: '${3:console=ttyS0 nokaslr}',
      memory: '1G',
      symbolFiles: ['^"\\${workspaceFolder}/${4:vmlinux}"'],
    },
  },
  {
    label: 'Trapframe: Boot Linux with a disk and a network',
    description: 'Boot a bzImage whose root is on a disk; port 2222 of this host leads to its SSH server',
    body: {
      type: 'vmm',
      request: 'launch',
      name: 'Boot Linux',
      kernel: '^"\\${workspaceFolder}/${1:arch/x86/boot/bzImage}"',
      cmdline: '${2:console=ttyS0 nokaslr root=/dev/vda}',
      memory: '1G',
      disks: ['^"\\${workspaceFolder}/${3:root.qcow2}"'],
      networks: [{ kind: 'user', forwards: ['tcp:${4:2222}:${5:22}'] }],
      symbolFiles: ['^"\\${workspaceFolder}/${6:vmlinux}"'],
    },
  },
  {
    label: 'Trapframe: Attach to a running VM',
    description: 'Debug a VM that "vmm run" or another window started, chosen from those running',
    body: { type: 'vmm', request: 'attach', name: 'Attach to a VM' },
  },
] as const;
