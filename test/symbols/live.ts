/**
 * Runs a program under gdb and records what gdb sees at many stops: registers of every frame, values of every
 * variable in scope, and the memory needed to find them again. Our engine then answers from the recording.
 */
import { askGdb } from './gdb.ts';
import type { MemoryReader } from '../../debug-adapter/symbols/frames/frameContext.ts';

export interface LiveFrame {
  readonly name: string | null;
  readonly inlined: boolean;
  readonly pc: string;
  readonly registers: Readonly<Record<string, string>>;
  /** Values of scalar parts by path: `node->at.x` is `node.at.x`. */
  readonly variables: Readonly<Record<string, string>>;
  /** Type names of the variables. */
  readonly types: Readonly<Record<string, string>>;
}

export interface LiveStop {
  readonly frames: readonly LiveFrame[];
  /** Expression text to gdb's answer; `/x text` to the answer in a format. */
  readonly expressions: Readonly<Record<string, string>>;
  /** Address to bytes in hex. */
  readonly memory: Readonly<Record<string, string>>;
}

/** Stops once at each of `addresses` that the program reaches. */
export function recordStops(
  program: string,
  directory: string,
  addresses: readonly bigint[],
  expressions: readonly string[] = [],
  regionBytes = 8192,
): LiveStop[] {
  return askGdb<LiveStop>(
    program,
    directory,
    `
REGISTERS = ["rax","rbx","rcx","rdx","rsi","rdi","rbp","rsp","r8","r9","r10","r11","r12","r13","r14","r15","rip"] + ["xmm%d" % i for i in range(16)]
EXPRESSIONS = ${JSON.stringify(expressions)}
gdb.execute("set pagination off")
gdb.execute("set confirm off")
gdb.execute("set print entry-values no")
gdb.execute("set disable-randomization on")
gdb.execute("set inferior-tty /dev/null")

def leaves(path, value, out, depth):
    try:
        t = value.type.strip_typedefs()
        if value.is_optimized_out:
            out[path] = "optimized out"
            return
        if t.code in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):
            if depth > 4: return
            for f in t.fields():
                if hasattr(f, "bitpos"):
                    leaves(path + "." + f.name if f.name else path, value[f], out, depth + 1)
            return
        if t.code == gdb.TYPE_CODE_ARRAY:
            low, high = t.range()
            for i in range(low, min(high, low + 5) + 1):
                leaves("%s[%d]" % (path, i), value[i], out, depth + 1)
            return
        if t.code == gdb.TYPE_CODE_FLT:
            out[path] = "%r" % float(value)
            return
        out[path] = str(int(value) & ((1 << (8 * t.sizeof)) - 1))
    except gdb.MemoryError:
        out[path] = "unreadable"
    except gdb.error as e:
        out[path] = "optimized out" if "optimized out" in str(e) else "error: " + str(e)

def frame_info(f):
    registers = {}
    for r in REGISTERS:
        try:
            v = f.read_register(r)
            if r.startswith("xmm"): v = v["uint128"]
            if not v.is_optimized_out: registers[r] = str(int(v) & ((1 << 128) - 1))
        except Exception: pass
    variables = {}
    types = {}
    try: block = f.block()
    except RuntimeError: block = None
    while block is not None:
        for s in block:
            if (s.is_argument or s.is_variable) and s.name not in types:
                types[s.name] = str(s.type)
                try: leaves(s.name, s.value(f), variables, 0)
                except Exception as e: variables[s.name] = "error: " + str(e)
        if block.function is not None: break
        block = block.superblock
    return {"name": f.name(), "inlined": f.type() == gdb.INLINE_FRAME, "pc": hex(f.pc()), "registers": registers, "variables": variables, "types": types}

def snapshot():
    frames = []
    f = gdb.newest_frame()
    while f is not None and len(frames) < 12:
        frames.append(frame_info(f))
        if f.name() == "main": break
        f = f.older()
    gdb.newest_frame().select()
    answers = {}
    for e in EXPRESSIONS:
        try: answers[e] = gdb.execute("output" + e, to_string=True) if e[0] == "/" else gdb.parse_and_eval(e).format_string(symbols=True)
        except gdb.error as error: answers[e] = "error: " + str(error)
    memory = {}
    inferior = gdb.selected_inferior()
    sp = int(gdb.newest_frame().read_register("rsp"))
    regions = [(sp - 256, 8192)]
    end_of_own = ""  # right after the program's file is its .bss
    for line in gdb.execute("info proc mappings", to_string=True).splitlines():
        p = line.split()
        own = len(p) >= 5 and p[0].startswith("0x") and (p[-1] in ("[heap]", gdb.current_progspace().filename) or p[0] == end_of_own and p[-1].startswith("rw"))
        end_of_own = p[1] if own else ""
        if own:
            regions.append((int(p[0], 16), min(int(p[1], 16) - int(p[0], 16), ${regionBytes})))
    for start, size in regions:
        while size > 0:
            try:
                memory[hex(start)] = inferior.read_memory(start, size).tobytes().hex()
                break
            except gdb.MemoryError:
                size -= 256 if size < 8192 else 4096
    emit({"frames": frames, "expressions": answers, "memory": memory})

for address in [${addresses.join(',')}]:
    gdb.Breakpoint("*%d" % address, internal=True, temporary=True)
gdb.execute("run", to_string=True)
while gdb.selected_inferior().pid != 0:
    snapshot()
    gdb.execute("continue", to_string=True)
`,
  );
}

export function recordedMemory(stop: LiveStop): MemoryReader {
  const regions = Object.entries(stop.memory).map(([start, hex]) => ({
    start: BigInt(start),
    bytes: Uint8Array.from(Buffer.from(hex, 'hex')),
  }));
  return {
    read: async (address, lengthBytes) => {
      const region = regions.find(
        ({ start, bytes }) =>
          address >= start && address + BigInt(lengthBytes) <= start + BigInt(bytes.length),
      );
      if (region === undefined) return undefined;
      const at = Number(address - region.start);
      return region.bytes.slice(at, at + lengthBytes);
    },
  };
}
