/** The serial ports of a machine, and where their bytes go. */

/** `client`: to the clients attached through the control socket (a terminal in VS Code). */
export type SerialBackend =
  | { readonly kind: 'stdio' }
  | { readonly kind: 'client' }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'null' };

/** Always there: the UARTs of a PC. */
export const COM_PORTS = ['com1', 'com2', 'com3', 'com4'] as const;
/** With the virtio console, which is there when it is asked for; the name is Linux's. */
export const SERIAL_PORTS = [...COM_PORTS, 'hvc0'] as const;
/** The place of the virtio console among them. */
export const VIRTIO_CONSOLE = COM_PORTS.length;

const FILE_PREFIX = 'file:';

/** From the form that users write. */
export function parseSerialBackend(form: string): SerialBackend | undefined {
  if (form === 'terminal' || form === 'client') return { kind: 'client' };
  if (form === 'null' || form === 'none') return { kind: 'null' };
  if (form === 'stdio') return { kind: 'stdio' };
  if (form.startsWith(FILE_PREFIX) && form.length > FILE_PREFIX.length)
    return { kind: 'file', path: form.slice(FILE_PREFIX.length) };
  return undefined;
}

/** What a port is called where users read: COM1. */
export function serialTitle(port: number): string {
  return port < COM_PORTS.length ? `COM${port + 1}` : (SERIAL_PORTS[port] ?? `port ${port}`);
}

/** In that form. */
export function serialForm(backend: SerialBackend): string {
  switch (backend.kind) {
    case 'client':
      return 'terminal';
    case 'file':
      return `${FILE_PREFIX}${backend.path}`;
    case 'stdio':
    case 'null':
      return backend.kind;
  }
}
