/** The log lines of vmm-core (vmm-core/log.ts) as the output channel shows them. Pure. */

export interface CoreLogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly text: string;
}

/** Lines that are not JSON come from Node or the C library and are shown as warnings. */
export function parseLogLine(line: string): CoreLogLine {
  const parsed = parseJson(line);
  if (typeof parsed?.['message'] !== 'string') return { level: 'warn', text: line };
  const { level, thread, tag, message, values } = parsed;
  const from = [thread, tag].filter((it) => typeof it === 'string').join(' ');
  const details = isObject(values)
    ? Object.entries(values).map(([name, value]) => ` ${name}=${String(value)}`)
    : [];
  return { level: isLevel(level) ? level : 'info', text: `${from}: ${message}${details.join('')}` };
}

function parseJson(line: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined; // not JSON: that is the answer
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

function isLevel(value: unknown): value is CoreLogLine['level'] {
  return value === 'debug' || value === 'info' || value === 'warn' || value === 'error';
}
