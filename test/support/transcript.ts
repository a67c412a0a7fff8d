/** The messages between client and adapter, one per line, without what changes from run to run. */
import type { DebugProtocol } from '@vscode/debugprotocol';
import type { DapClient } from './dapClient.ts';

/** Handles are numbered by first appearance: frames and variables keep their identity, not their number. */
const HANDLES: readonly string[] = ['frameId', 'variablesReference'];

/** `replacements`: text of this run (paths, sockets) to the name the golden has for it. */
export function transcriptOf(client: DapClient, replacements: Readonly<Record<string, string>>): string {
  const names = new Map<string, string>();
  const lines = client.transcript.map(({ message }) => describe(message, names));
  let text = `${lines.join('\n')}\n`;
  for (const [from, to] of Object.entries(replacements)) text = text.replaceAll(from, to);
  return text;
}

function describe(message: DebugProtocol.ProtocolMessage, names: Map<string, string>): string {
  const show = (value: unknown): string =>
    value === undefined ? '' : ` ${JSON.stringify(normalize(value, names))}`;
  if (message.type === 'request') {
    const request = message as DebugProtocol.Request;
    return `→ ${request.command}${show(request.arguments)}`;
  }
  if (message.type === 'response') {
    const response = message as DebugProtocol.Response;
    if (!response.success) return `← ${response.command} failed: ${response.message}`;
    return `← ${response.command}${show(response.body)}`;
  }
  const event = message as DebugProtocol.Event;
  return `! ${event.event}${show(event.body)}`;
}

function normalize(value: unknown, names: Map<string, string>): unknown {
  if (Array.isArray(value)) return value.map((it) => normalize(it, names));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, it]) => {
      const handle = key === 'id' && 'instructionPointerReference' in value ? 'frameId' : key;
      return [key, isHandle(handle, it) ? nameOf(handle, it, names) : normalize(it, names)];
    }),
  );
}

function isHandle(key: string, value: unknown): value is number {
  return HANDLES.includes(key) && typeof value === 'number' && value > 0;
}

function nameOf(key: string, handle: number, names: Map<string, string>): string {
  const family = key === 'variablesReference' ? 'v' : 'f';
  const known = names.get(`${family}${handle}`);
  if (known !== undefined) return known;
  const count = [...names.values()].filter((it) => it.startsWith(`#${family}`)).length;
  const name = `#${family}${count + 1}`;
  names.set(`${family}${handle}`, name);
  return name;
}
