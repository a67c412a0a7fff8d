/**
 * The debug adapter: DAP on stdin and stdout, logs on stderr. Runs by itself: `node dist/debug-adapter.js`.
 */
import { DapConnection } from './dapConnection.ts';
import { editorGone } from './handlers/terminate.ts';
import { stderrLog } from './log.ts';
import { requestTable } from './requestTable.ts';
import { SessionState } from './session/sessionState.ts';

function main(): void {
  const log = stderrLog();
  const connection = new DapConnection(log);
  const state = new SessionState(connection.emitEvent, log);
  // Let what was written reach the editor before the process goes.
  state.finish = () => process.stdout.write('', () => process.exit(0));
  connection.serve(requestTable(state));
  connection.start(process.stdin, process.stdout);
  const leave = (): void => void editorGone(state).finally(() => process.exit(0));
  connection.onBroken = () =>
    void editorGone(state).finally(() => process.stdout.write('', () => process.exit(1)));
  process.stdin.once('close', leave);
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.once(signal, leave);
  process.stdout.on('error', () => undefined); // the editor's end is closed: stdin shows the same
}

main();
