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

  // What vm.conf can say and the machine cannot do yet (unsupported.ts names it); absent when not asked for.
  readonly disks?: readonly DiskConfig[];
  readonly cdrom?: string;
  /** `bios`, `uefi` or a path. */
  readonly firmware?: string;
  readonly bootDevice?: 'cdrom' | 'disk' | 'net';
  readonly interfaces?: readonly InterfaceConfig[];
  readonly vsockCid?: number;
  readonly gdbSocket?: string;
  readonly memoryEncryption?: 'sev' | 'seves';
}

export interface DiskConfig {
  readonly path: string;
  /** Absent: by the file's signature. */
  readonly format?: 'raw' | 'qcow2';
}

export interface InterfaceConfig {
  readonly kind: 'tap' | 'local' | 'user';
  /** `tap7`; absent: any free one. */
  readonly tap?: string;
  readonly switch?: string;
  readonly group?: string;
  readonly rdomain?: number;
  readonly isDown?: boolean;
  /** Six bytes with colons; absent: random. */
  readonly lladdr?: string;
  readonly isLocked?: boolean;
  readonly forwards?: readonly ForwardConfig[];
}

export interface ForwardConfig {
  readonly protocol: 'tcp' | 'udp';
  readonly hostAddress: string;
  readonly hostPort: number;
  readonly guestPort: number;
}

export const DEFAULT_MEMORY_BYTES = 256 * 1024 * 1024;

/** One thing wrong with a configuration: the key as the user wrote it, and a sentence that says what to do. */
export interface ConfigProblem {
  readonly key: string;
  readonly message: string;
}
