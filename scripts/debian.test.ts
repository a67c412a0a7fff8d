import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { afterHiccups, copiedEntry } from './debian.ts';

const DEB822 = `# A comment
Types: deb
URIs: https://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: https://mirror.example/debian-security
Suites:
 bookworm-security
Components: main
`;

describe('the copy of an apt entry for another suite', () => {
  it("keeps the mirror, components and keyring of the machine's own stanza", () => {
    const copy = copiedEntry(DEB822, { file: 'debian.sources', entry: 1 }, 'bookworm-backports');
    assert.match(copy, /^Suites: bookworm-backports$/m);
    assert.match(copy, /^URIs: https:\/\/mirror\.example\/debian$/m);
    assert.match(copy, /^Signed-By: .*debian-archive-keyring\.gpg$/m);
    assert.doesNotMatch(copy, /updates|security/);
  });

  it('replaces a value that continues on the next line', () => {
    const copy = copiedEntry(DEB822, { file: 'debian.sources', entry: 2 }, 'bookworm-backports');
    assert.deepEqual(copy.split('\n').slice(2), ['Suites: bookworm-backports', 'Components: main', '']);
  });

  it('keeps the options and components of a one-line entry', () => {
    const text =
      '# comment\ndeb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian bookworm main contrib\n';
    assert.equal(
      copiedEntry(text, { file: 'sources.list', entry: 2 }, 'bookworm-backports'),
      'deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian bookworm-backports main contrib\n',
    );
  });

  it('refuses an entry that is not there', () => {
    assert.throws(() => copiedEntry(DEB822, { file: 'debian.sources', entry: 3 }, 'x'), /has no stanza 3/);
    assert.throws(
      () => copiedEntry('# nothing\n', { file: 'sources.list', entry: 1 }, 'x'),
      /is not a deb entry/,
    );
  });
});

describe('an apt command', () => {
  /**
   * Fails as execFile does, once for each of `errors`, then succeeds. Returns the outcome, and how often it
   * ran.
   */
  async function outcome(errors: readonly string[], waitsMs: readonly number[]): Promise<[string, number]> {
    let runs = 0;
    const action = async (): Promise<string> => {
      const stderr = errors[runs++];
      if (stderr !== undefined) throw Object.assign(new Error('Command failed: apt-get'), { stderr });
      return 'done';
    };
    const result = await afterHiccups(action, waitsMs).catch((error: { stderr: string }) => error.stderr);
    return [result, runs];
  }

  const LOCKED = 'E: Could not get lock /var/lib/apt/lists/lock. It is held by process 4711 (apt-get)';
  const BUSY = 'E: Failed to fetch http://mirror.example/x.deb  503  Service Unavailable [IP: 192.0.2.1 80]';
  const SYNC = 'E: Failed to fetch http://mirror.example/Packages.xz  Hash Sum mismatch';
  const GONE = 'E: Failed to fetch http://mirror.example/x.deb  404  Not Found [IP: 192.0.2.1 80]';

  it('retries temporary failures: a lock of another apt, a busy mirror, one that is being updated', async () => {
    assert.deepEqual(await outcome([LOCKED, BUSY, SYNC], [0, 0, 0]), ['done', 4]);
  });

  it('fails in the end if the failure persists', async () => {
    assert.deepEqual(await outcome([LOCKED, LOCKED, LOCKED], [0, 0]), [LOCKED, 3]);
  });

  it('fails at once for anything else: a file that is gone needs new lists', async () => {
    assert.deepEqual(await outcome([GONE], [0, 0]), [GONE, 1]);
  });
});
