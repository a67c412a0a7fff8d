/**
 * Generates C and C++ programs from a seed: types of every shape that refer to one another, functions that
 * are inlined into one another, blocks, loops, switches. What they compute does not matter, only that a
 * compiler has something to do.
 */

type Random = () => number;

const SCALARS = [
  'char',
  'signed char',
  'unsigned char',
  'short',
  'unsigned short',
  'int',
  'unsigned int',
  'long',
  'unsigned long',
  'long long',
  'float',
  'double',
  '_Bool',
];
const INTEGERS = ['int', 'unsigned int', 'long', 'unsigned char', 'short'];

class Writer {
  readonly random: Random;
  readonly isCpp: boolean;
  readonly #lines: string[] = [];
  #depth = 0;

  constructor(random: Random, isCpp: boolean) {
    this.random = random;
    this.isCpp = isCpp;
  }

  get text(): string {
    return `${this.#lines.join('\n')}\n`;
  }

  line(text: string): void {
    if (text.startsWith('}')) this.#depth--;
    this.#lines.push(`${'  '.repeat(this.#depth)}${text}`);
    if (text.endsWith('{')) this.#depth++;
  }

  pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.random() * from.length)] as T;
  }

  below(limit: number): number {
    return Math.floor(this.random() * limit);
  }

  scalar(): string {
    const type = this.pick(SCALARS);
    return type === '_Bool' && this.isCpp ? 'bool' : type;
  }
}

/** A program of `functions` functions over as many types; one file, compiled as it is. */
export function generateC(random: Random, functions = 24): string {
  const out = new Writer(random, false);
  out.line('typedef unsigned long word_t;');
  out.line('enum colour { RED, GREEN = 7, BLUE, NONE = -1 };');
  const types = cTypes(out, 12);
  out.line('static volatile long sink;');
  out.line('static int table[16] = { 1, 2, 3 };');
  for (let index = 0; index < functions; index++) cFunction(out, index, types);
  out.line('int main(int argc, char **argv) {');
  out.line('long total = argc;');
  for (let index = 0; index < functions; index++) {
    const type = types[index % types.length] as string;
    out.line(`{ static struct ${type} local${index}; total += f${index}(&local${index}, argc, total); }`);
  }
  out.line('return (int)(total + sink + (argv != 0));');
  out.line('}');
  return out.text;
}

function cTypes(out: Writer, count: number): string[] {
  const names: string[] = [];
  for (let index = 0; index < count; index++) {
    const name = `record${index}`;
    out.line(`struct ${name} {`);
    out.line('long id;');
    const members = 3 + out.below(6);
    for (let member = 0; member < members; member++) cMember(out, `m${member}`, names);
    out.line(`struct ${name} *next;`);
    out.line('};');
    names.push(name);
  }
  return names;
}

function cMember(out: Writer, name: string, earlier: readonly string[]): void {
  const record = earlier.length === 0 ? undefined : out.pick(earlier);
  switch (out.below(9)) {
    case 0:
      return out.line(
        `${out.pick(INTEGERS.slice(0, 3))} ${name}_a : ${1 + out.below(7)}, ${name}_b : ${1 + out.below(9)};`,
      );
    case 1:
      return out.line(`${out.scalar()} ${name}[${1 + out.below(300)}];`);
    case 2:
      return out.line(`const ${out.scalar()} *volatile ${name};`);
    case 3:
      return out.line(`${out.scalar()} (*${name})(struct ${record ?? 'unknown'} *, ${out.scalar()});`);
    case 4:
      return out.line(`union { ${out.scalar()} ${name}_x; ${out.scalar()} ${name}_y[3]; };`);
    case 5:
      return out.line(
        `struct { ${out.scalar()} inner; enum { ${name}_P${out.below(1e6)}, ${name}_Q${out.below(1e6)} = 200 } kind; } ${name};`,
      );
    case 6:
      return out.line(record === undefined ? `enum colour ${name};` : `struct ${record} ${name};`);
    case 7:
      return out.line(`word_t ${name}[2][3];`);
    default:
      return out.line(`${out.scalar()} ${name};`);
  }
}

function cFunction(out: Writer, index: number, types: readonly string[]): void {
  const type = types[index % types.length] as string;
  const qualifier =
    index % 3 === 0 ? 'static inline ' : index % 3 === 1 ? 'static ' : '__attribute__((noinline)) ';
  out.line('');
  out.line(`${qualifier}long f${index}(struct ${type} *record, ${out.pick(INTEGERS)} count, long seed) {`);
  out.line(`long result = seed ^ ${out.below(1000)};`);
  const callee = index > 0 ? out.below(index) : undefined;
  statements(
    out,
    index,
    callee === undefined ? undefined : { callee, type: types[callee % types.length] as string },
  );
  out.line('return result;');
  out.line('}');
}

function statements(out: Writer, index: number, call: { callee: number; type: string } | undefined): void {
  const count = 3 + out.below(4);
  for (let step = 0; step < count; step++) {
    const name = `v${step}`;
    switch (out.below(6)) {
      case 0:
        out.line(`for (int i = 0; i < (int)count; i++) {`);
        out.line(`long ${name} = table[(i + ${out.below(16)}) & 15] * result;`);
        out.line(`result += ${name} >> ${1 + out.below(5)};`);
        out.line('}');
        break;
      case 1:
        out.line(`if (result > ${out.below(500)}) {`);
        out.line(`int ${name} = (int)record->id + ${out.below(9)};`);
        out.line(`sink += ${name};`);
        out.line('} else {');
        out.line(`result -= record->id;`);
        out.line('}');
        break;
      case 2:
        out.line(`switch (result & 3) {`);
        out.line(`case 0: result += ${out.below(99)}; break;`);
        out.line(`case 1: { long ${name} = result * 3; sink = ${name}; break; }`);
        out.line(`default: result ^= count;`);
        out.line('}');
        break;
      case 3:
        if (call === undefined) break;
        out.line(`{`);
        out.line(`struct ${call.type} ${name};`);
        out.line(`${name}.id = result; ${name}.next = 0;`);
        out.line(`result += f${call.callee}(&${name}, 2, result);`);
        out.line('}');
        break;
      case 4:
        out.line(`double ${name} = result * 0.5;`);
        out.line(`result += (long)(${name} * ${1 + out.below(7)});`);
        break;
      default:
        out.line(`while (result > 1000 && record->next) {`);
        out.line(`record = record->next;`);
        out.line(`result /= 2;`);
        out.line('}');
    }
  }
  out.line(`sink = result + ${index};`);
}

/** Namespaces, classes with bases and virtual functions, templates, references, lambdas, overloads. */
export function generateCpp(random: Random, classes = 8): string {
  const out = new Writer(random, true);
  out.line('static volatile long sink;');
  out.line('static int table[16] = { 1, 2, 3 };');
  out.line('namespace shapes {');
  out.line('enum class Colour : unsigned char { Red, Green = 200, Blue };');
  out.line('struct Base {');
  out.line('long id = 1;');
  out.line('virtual long area(int scale) const { return id * scale; }');
  out.line('virtual ~Base() {}');
  out.line('};');
  out.line('namespace detail {');
  out.line('template <typename T, int N> struct Box {');
  out.line('T items[N];');
  out.line('Colour colour;');
  out.line(
    'T sum(T start) const { T total = start; for (int i = 0; i < N; i++) total += items[i]; return total; }',
  );
  out.line('};');
  out.line('}');
  for (let index = 0; index < classes; index++) cppClass(out, index);
  out.line('}');
  out.line('int main(int argc, char **argv) {');
  out.line('long total = argc;');
  for (let index = 0; index < classes; index++) {
    out.line(`{ shapes::Shape${index} one; total += one.area(argc) + one.step(total, argc); }`);
    out.line(`{ static shapes::detail::Box<int, ${index + 2}> box; total += box.sum(argc); }`);
    out.line(
      `{ static shapes::detail::Box<${out.pick(['long', 'short', 'double'])}, 3> box; total += (long)box.sum(2); }`,
    );
  }
  out.line('return (int)(total + sink + (argv != nullptr));');
  out.line('}');
  return out.text;
}

function cppClass(out: Writer, index: number): void {
  const base = index === 0 ? 'Base' : out.pick(['Base', `Shape${out.below(index)}`]);
  out.line(`class Shape${index} : public ${base} {`);
  out.line('public:');
  const members = 2 + out.below(4);
  for (let member = 0; member < members; member++) {
    const name = `m${index}_${member}`;
    switch (out.below(6)) {
      case 0:
        out.line(`${out.scalar()} ${name}[${1 + out.below(260)}];`);
        break;
      case 1:
        out.line(`detail::Box<int, ${2 + out.below(4)}> ${name};`);
        break;
      case 2:
        out.line(`Colour ${name} = Colour::Blue;`);
        break;
      case 3:
        out.line(`unsigned ${name}a : 3, ${name}b : ${1 + out.below(12)};`);
        break;
      case 4:
        out.line(`const Base *${name} = nullptr;`);
        break;
      default:
        out.line(`${out.scalar()} ${name};`);
    }
  }
  out.line(`struct Part { long first; ${out.scalar()} second; } part;`);
  out.line(
    `static long shared(const Part &part, long more) { return part.first + more * ${1 + out.below(9)}; }`,
  );
  out.line('long area(int scale) const override {');
  out.line(`long result = ${base}::area(scale) + ${out.below(100)};`);
  out.line('for (int i = 0; i < scale; i++) {');
  out.line('long each = table[i & 15] + result;');
  out.line('sink = each;');
  out.line('result += shared(part, each);');
  out.line('}');
  out.line('return result;');
  out.line('}');
  out.line('__attribute__((noinline)) long step(long seed, int count) {');
  out.line('long &alias = part.first;');
  out.line(
    'auto add = [&alias, seed](int by) { long local = alias + by; sink = local; return local ^ seed; };',
  );
  out.line(`detail::Box<long, 4> box{{seed, seed, ${out.below(50)}, 1}, Colour::Green};`);
  out.line('for (int i = 0; i < count; i++) alias += add(i) + box.sum(i);');
  out.line('if (alias > 100) { int half = (int)(alias / 2); sink += half; }');
  out.line('return step(alias & 7);');
  out.line('}');
  out.line('long step(int only) { return only ? step(only - 1) + id : id; }');
  out.line('};');
}
