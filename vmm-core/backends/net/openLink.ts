/**
 * The kinds of links: where the code of each is, which is loaded only where a machine has one of it
 * (DeviceClass.load), on main and on the I/O thread.
 */
import type { NetworkKind } from '../../config/settings/networkOptions.ts';
import type { LinkCode } from './linkKind.ts';

const LOADERS: Readonly<Record<NetworkKind, () => Promise<LinkCode>>> = {
  tap: async () => codeOf(await import('./tap/openTap.ts'), await import('./tap/tapLink.ts')),
  user: async () => codeOf(await import('./user/openUser.ts'), await import('./user/attachUser.ts')),
  local: async () => codeOf(await import('./tap/openLocal.ts'), await import('./tap/localLink.ts')),
  switch: async () => codeOf(await import('./switch/openSwitch.ts'), await import('./switch/switchLink.ts')),
  stream: async () => codeOf(await import('./stream/openStream.ts'), await import('./stream/streamLink.ts')),
  passt: async () => codeOf(await import('./stream/openPasst.ts'), await import('./stream/streamLink.ts')),
};

const loaded = new Map<NetworkKind, LinkCode>();

export async function loadLinks(kinds: readonly NetworkKind[]): Promise<void> {
  for (const kind of new Set(kinds)) {
    loaded.set(kind, await LOADERS[kind]());
  }
}

export function linkCode(kind: NetworkKind): LinkCode {
  const code = loaded.get(kind);
  if (code === undefined) throw new Error(`the code of "${kind}" networks has not been loaded`);
  return code;
}

function codeOf({ open }: Pick<LinkCode, 'open'>, { attach }: Pick<LinkCode, 'attach'>): LinkCode {
  return { open, attach };
}
