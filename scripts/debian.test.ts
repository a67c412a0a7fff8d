import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { copiedEntry } from './debian.ts';

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
