/** JSON lines on stderr (stdout belongs to DAP). `TRAPFRAME_LOG=debug` adds the messages. */

const LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LEVELS)[number];

export type Log = (level: LogLevel, tag: string, text: string) => void;

/** A log that starts at the level named by the environment, `warn` without one. */
export function stderrLog(env: NodeJS.ProcessEnv = process.env): Log {
  const wanted = LEVELS.findIndex((it) => it === env.TRAPFRAME_LOG);
  const threshold = wanted < 0 ? LEVELS.indexOf('warn') : wanted;
  return (level, tag, text) => {
    if (LEVELS.indexOf(level) < threshold) return;
    const line = { time: new Date().toISOString(), level, process: 'debug-adapter', tag, text };
    process.stderr.write(`${JSON.stringify(line)}\n`);
  };
}
