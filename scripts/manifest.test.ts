import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { parseAttachArguments, parseLaunchArguments } from '../debug-adapter/launchArguments.ts';
import {
  attachAttributes,
  configurationSnippets,
  launchAttributes,
} from '../extension/debug/launchSchema.ts';
import { SETTINGS } from '../extension/language/contributions.ts';
import { COMMANDS, withContributions } from './manifest.ts';

const ROOT = path.join(import.meta.dirname, '..');

test('package.json is what scripts/manifest.ts writes', () => {
  const manifest = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')) as Record<
    string,
    unknown
  >;
  assert.deepEqual(withContributions(manifest), manifest, 'run "npx tsx scripts/manifest.ts"');
});

test('the icon and the entry that the manifest names exist to be packaged', () => {
  const manifest = withContributions({});
  assert.ok(readFileSync(path.join(ROOT, String(manifest['icon']))).length > 0);
});

test('every command and setting that the manifest names is used by the extension', () => {
  const folder = path.join(ROOT, 'extension');
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  const sources = files
    .filter((it) => it.endsWith('.ts') && !it.endsWith('.test.ts') && !it.endsWith('contributions.ts'))
    .map((it) => readFileSync(path.join(folder, it), 'utf8'))
    .join('\n');
  for (const { command } of COMMANDS) assert.ok(sources.includes(`'${command}'`), command);
  for (const name of Object.keys(SETTINGS)) {
    const at = name.lastIndexOf('.');
    assert.ok(sources.includes(`getConfiguration('${name.slice(0, at)}')`), name);
    assert.ok(sources.includes(`get('${name.slice(at + 1)}'`), name);
  }
});

/** Every attribute with its default value, or a plausible one. */
const SAMPLES: Readonly<Record<string, unknown>> = {
  kernel: '/boot/kernel',
  initrd: '/boot/initrd',
  vm: 'hello',
  socket: '/run/hello.sock',
};

for (const [request, attributes, parse] of [
  ['launch', launchAttributes, parseLaunchArguments],
  ['attach', attachAttributes, parseAttachArguments],
] as const) {
  test(`the debug adapter knows every ${request} attribute that the editor offers, and accepts its default`, () => {
    for (const [key, schema] of Object.entries(attributes)) {
      const needed = request === 'launch' ? { kernel: '/boot/kernel' } : { vm: 'hello' };
      parse({ type: 'vmm', request, name: 'x', ...needed, [key]: schema.default ?? SAMPLES[key] });
    }
  });

  test(`the debug adapter refuses a wrong type of every ${request} attribute`, () => {
    const wrong = 3.5;
    for (const key of Object.keys(attributes)) {
      if (key === 'memory' || key === 'cwd') continue; // any number is MiB; cwd is handled by VS Code
      assert.throws(
        () => parse({ type: 'vmm', request, name: 'x', kernel: '/boot/kernel', vm: 'hello', [key]: wrong }),
        new RegExp(key),
        key,
      );
    }
  });

  test(`the debug adapter names an unknown key of ${request}`, () => {
    const message = messageOf(() =>
      parse({ type: 'vmm', request, name: 'x', kernel: 'k', vm: 'v', zzzzzz: 1 }),
    );
    assert.match(message, /"zzzzzz"/);
  });
}

test('every snippet is a configuration that the debug adapter accepts', () => {
  for (const { body } of configurationSnippets) {
    // ^"…" is VS Code's way to write a value that holds variables; ${1:x} is a place to type, x its first
    // text.
    const text = JSON.stringify(body).replaceAll('^\\"', '').replaceAll('\\""', '"');
    const filled = text.replaceAll(/\$\{\d:([^}]*)\}/g, '$1').replaceAll(/\\+\$\{workspaceFolder\}/g, '/src');
    const config = JSON.parse(filled) as Record<string, unknown>;
    if (body.request === 'launch') parseLaunchArguments(config);
    else parseAttachArguments(config);
  }
});

function messageOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return 'nothing was thrown';
}
