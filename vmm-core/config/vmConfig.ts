/**
 * The one description of a VM. `vmm run`'s flags, launch.json and vm.conf all produce this type; machine.ts assembles it.
 * Pure: nothing here touches files, so that editors and tests can check a configuration without a host.
 */

/** How the kernel image is started; `auto` decides from the image itself. */
export const BOOT_PROTOCOLS = ['auto', 'multiboot', 'linux64', 'bzimage', 'pvh', 'flat'] as const;
export type BootProtocol = (typeof BOOT_PROTOCOLS)[number];

/** Where the bytes of a UART go. `client`: to whoever is attached to the control socket (a terminal in VS Code). */
export type SerialBackend =
  | { readonly kind: 'stdio' }
  | { readonly kind: 'client' }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'null' };

export const COM_PORTS = 4;
export const MAX_CPUS = 64;
export const MIN_MEMORY_BYTES = 1024 * 1024;

export interface VmConfig {
  /** [A-Za-z0-9._-]{1,64}; names the control socket. */
  readonly name: string;
  /** Path of the kernel image. */
  readonly kernel: string;
  readonly initrd?: string;
  readonly cmdline: string;
  readonly protocol: BootProtocol;
  readonly memoryBytes: number;
  readonly cpus: number;
  /** COM1..COM4, always four entries. */
  readonly serial: readonly SerialBackend[];
  /** Opt-in isa-debug-exit at port 0xf4. */
  readonly debugExit: boolean;
  /** `reboot`: a guest reset starts it again; `exit`: a guest reset ends the VM. */
  readonly onReset: 'reboot' | 'exit';
}

export const DEFAULT_MEMORY_BYTES = 256 * 1024 * 1024;

/** One thing wrong with a configuration: the key as the user wrote it, and a sentence that says what to do. */
export interface ConfigProblem {
  readonly key: string;
  readonly message: string;
}
