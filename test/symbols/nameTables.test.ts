/**
 * Indexes that compilers, linkers and gdb write into a file, compared with the names that a pass over the
 * same file finds.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { DwarfFile } from '../../debug-adapter/dwarf/dwarfFile.ts';
import { elfSectionLoader } from '../../debug-adapter/symbols/files/imageSections.ts';
import { type NameTables, nameTablesOf } from '../../debug-adapter/symbols/index/nameTables.ts';
import {
  NAME_ENUMERATION,
  NAME_ENUMERATOR,
  NAME_FUNCTION,
  NAME_STRUCTURE,
  NAME_TYPE,
  NAME_UNION,
  NAME_VARIABLE,
  TYPE_KINDS,
} from '../../debug-adapter/symbols/index/symbolIndex.ts';
import { openFileSource } from '../../vmm-core/client/fileSource.ts';
import { parseElf } from '../../vmm-core/elf/elfFile.ts';
import { compile, missingTool, openImage, scratchDirectory } from './compile.ts';

const ALL_KINDS = [NAME_VARIABLE, NAME_FUNCTION, NAME_ENUMERATOR, ...TYPE_KINDS];

interface Producer {
  readonly title: string;
  readonly tools: readonly string[];
  readonly section: string;
  /** Returns the program. */
  readonly build: (directory: string, source: string) => string;
}

function clang(directory: string, source: string, options: readonly string[]): string {
  const driver = source.endsWith('.cc') ? 'clang++-14' : 'clang-14';
  return compile(driver, source, path.join(directory, 'program'), ['-O1', ...options]);
}

function gdbIndexed(directory: string, source: string, options: readonly string[]): string {
  const driver = source.endsWith('.cc') ? 'g++' : 'gcc';
  const program = compile(driver, source, path.join(directory, 'program'), ['-g', '-O1']);
  execFileSync('gdb-add-index', [...options, program], { cwd: directory, stdio: 'ignore', timeout: 60_000 });
  return program;
}

const PRODUCERS: readonly Producer[] = [
  {
    title: 'clang -gpubnames, DWARF 5',
    tools: ['clang-14'],
    section: '.debug_names',
    build: (directory, source) => clang(directory, source, ['-gdwarf-5', '-gpubnames']),
  },
  {
    title: 'lld --gdb-index',
    tools: ['clang-14', 'ld.lld-14'],
    section: '.gdb_index',
    build: (directory, source) =>
      clang(directory, source, ['-gdwarf-4', '-ggnu-pubnames', '-fuse-ld=lld', '-Wl,--gdb-index']),
  },
  {
    title: 'gdb-add-index',
    tools: ['gcc', 'gdb', 'objcopy'],
    section: '.gdb_index',
    build: (directory, source) => gdbIndexed(directory, source, []),
  },
  {
    title: 'gdb-add-index -dwarf-5',
    tools: ['gcc', 'gdb', 'objcopy'],
    section: '.debug_names',
    build: (directory, source) => gdbIndexed(directory, source, ['-dwarf-5']),
  },
];

function dwarfOf(program: string): DwarfFile {
  const elf = parseElf(openFileSource(program));
  return new DwarfFile(elfSectionLoader(elf, {}, assert.fail), {
    littleEndian: elf.littleEndian,
    onProblem: (problem) => assert.fail(problem.message),
  });
}

/** Whether one of the spellings leads to some place. */
function lists(tables: NameTables, kinds: readonly number[], ...spellings: string[]): boolean {
  return spellings.some((name) => [...tables.find(name, kinds)].length > 0);
}

function tablesIn(program: string, section: string): NameTables {
  const file = dwarfOf(program);
  assert.ok(file.section(section), `${section} is there`);
  const tables = nameTablesOf(file);
  assert.ok(tables, 'they cover every unit');
  return tables;
}

for (const { title, tools, section, build } of PRODUCERS) {
  test(`${title}: every name of a C program leads somewhere`, (t: TestContext) => {
    const missing = missingTool(...tools);
    if (missing !== undefined) return t.skip(missing);
    const tables = tablesIn(build(scratchDirectory(), 'values.c'), section);
    for (const name of ['main', 'push', 'choose']) assert.ok(lists(tables, [NAME_FUNCTION], name), name);
    for (const name of ['head', 'ticks', 'greeting']) assert.ok(lists(tables, [NAME_VARIABLE], name), name);
    for (const name of ['int', 'word_t']) assert.ok(lists(tables, [NAME_TYPE], name), name);
    for (const name of ['point', 'node']) assert.ok(lists(tables, [NAME_STRUCTURE], name), name);
    assert.ok(lists(tables, [NAME_UNION], 'number'));
    assert.ok(lists(tables, [NAME_ENUMERATION], 'colour'));
    if (tables.hasEnumerators) assert.ok(lists(tables, [NAME_ENUMERATOR], 'GREEN'));
    assert.equal(lists(tables, [NAME_VARIABLE, ...TYPE_KINDS], 'main'), false);
    assert.equal(lists(tables, [NAME_FUNCTION], 'node'), false);
    assert.equal(lists(tables, ALL_KINDS, 'no_such_name'), false);
  });

  test(`${title}: names of a C++ program are found, with or without their namespaces`, (t: TestContext) => {
    const missing = missingTool(...tools);
    if (missing !== undefined) return t.skip(missing);
    const program = build(scratchDirectory(), 'values.cc');
    const tables = tablesIn(program, section);
    assert.ok(lists(tables, [NAME_FUNCTION], 'main', 'main()'));
    for (const [simple, qualified] of [
      ['Point', 'outer::inner::Point'],
      ['Circle', 'outer::inner::Circle'],
      ['Diamond', 'Diamond'],
    ] as const) {
      assert.ok(lists(tables, [NAME_STRUCTURE], simple, qualified, `outer::${simple}`), simple);
    }
  });

  test(`${title}: addresses and expressions are answered the same as without it`, async (t: TestContext) => {
    const missing = missingTool(...tools);
    if (missing !== undefined) return t.skip(missing);
    const image = openImage(build(scratchDirectory(), 'values.c'));
    const [main] = image.functionByName('main');
    assert.ok(main);
    assert.equal(image.functionAt(main.start)?.name, 'main');
    const frame = { registers: new Map(), memory: { read: async () => undefined } };
    const value = await image.evaluate('sizeof(struct node) * 0 + GREEN + sizeof(word_t)', frame);
    assert.equal(await value.display(), '13');
    assert.match((await image.describeType('union number')) ?? '', /^union number \{/);
    assert.deepEqual(image.problems(), []);
  });
}
