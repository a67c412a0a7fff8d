import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answersF5, debuggedLanguages, type F5Situation } from './f5.ts';

const KERNEL_TREE: F5Situation = {
  hasCandidates: true,
  hasConfigurations: false,
  language: undefined,
  othersLanguages: new Set(['javascript', 'python']),
};

test('F5 boots the kernel of the workspace when no file is open, or one that no other debugger wants', () => {
  assert.equal(answersF5(KERNEL_TREE), true);
  for (const language of ['markdown', 'makefile', 'c', 'vmconf']) {
    assert.equal(answersF5({ ...KERNEL_TREE, language }), true, language);
  }
});

test('F5 is left to VS Code in a file that another debugger wants', () => {
  assert.equal(answersF5({ ...KERNEL_TREE, language: 'python' }), false);
});

test('F5 is left to VS Code where there is a configuration, or nothing to boot', () => {
  assert.equal(answersF5({ ...KERNEL_TREE, hasConfigurations: true }), false);
  assert.equal(answersF5({ ...KERNEL_TREE, hasCandidates: false }), false);
});

test('what other debuggers want is in the manifests of their extensions, which may have any form', () => {
  const manifests = [
    {},
    { contributes: { themes: [] } },
    {
      contributes: {
        debuggers: [{ type: 'node', languages: ['javascript', 'typescript'] }, { type: 'chrome' }],
      },
    },
    { contributes: { debuggers: [{ type: 'python', languages: ['python'] }] } },
  ];
  assert.deepEqual([...debuggedLanguages(manifests)], ['javascript', 'typescript', 'python']);
});
