"""Runs inside gdb: answers the questions of a JSON file (argument `questions`), one JSON object a line. See gdbQuestions.ts."""
import json
import os
import re

import gdb

MEMORY_BITS = (1 << 64) - 1


def emit(kind, value):
    print("@@" + json.dumps({"kind": kind, **value}))


def sections():
    """Where gdb put the sections: a relocatable object has no addresses of its own."""
    found = {}
    for line in gdb.execute("info files", to_string=True).splitlines():
        match = re.match(r"\t(0x[0-9a-f]+) - 0x[0-9a-f]+ is (\S+)$", line)
        if match:
            found.setdefault(match[2], int(match[1], 16))
    return found


def function_blocks(address):
    """Blocks around an address up to the function proper, innermost first."""
    found = []
    block = gdb.block_for_pc(address)
    while block is not None and not block.is_static and not block.is_global:
        found.append(block)
        block = block.superblock
    return found


def answer_address(address):
    sal = gdb.find_pc_line(address)
    names = [b.function.name for b in function_blocks(address) if b.function is not None]
    return {
        "functions": names,
        "file": sal.symtab.fullname() if sal.symtab else None,
        "line": sal.line,
    }


def breakpoint_addresses(place):
    """What `break` takes."""
    try:
        gdb.execute("delete", to_string=True)
        gdb.execute("break " + place, to_string=True)
    except gdb.error as error:
        return {"addresses": [], "error": str(error)}
    text = gdb.execute("info breakpoints", to_string=True)
    found = re.findall(r"^(?:\S+ +breakpoint +keep|\d+\.\d+ {2,}) *y +(0x[0-9a-f]+)", text, re.MULTILINE)
    return {"addresses": [hex(int(address, 16)) for address in found]}


def is_variable(symbol):
    if symbol.addr_class == gdb.SYMBOL_LOC_CONST_BYTES:
        return True
    # Labels are "variables" of a type of gdb's own; enumerators are constants, as some variables are.
    if symbol.addr_class == gdb.SYMBOL_LOC_CONST:
        fields = symbol.type.fields() if symbol.type.code == gdb.TYPE_CODE_ENUM else []
        return symbol.name not in [field.name for field in fields]
    return symbol.is_variable and str(symbol.type) != "__CORE_ADDR"


def answer_scope(address):
    """Arguments and variables of the innermost function at an address: as gdb lists them with their places, and their types."""
    symbols = []
    for block in function_blocks(address):
        for symbol in block:
            kind = "argument" if symbol.is_argument else "variable" if is_variable(symbol) else "other"
            symbols.append({"name": symbol.name, "type": str(symbol.type), "kind": kind})
        if block.function is not None:
            break
    try:
        places = gdb.execute("info scope *%d" % address, to_string=True)
    except gdb.error as error:
        places = str(error)
    return {"symbols": symbols, "places": places}


def named_target(gdb_type):
    """The structure, union or enumeration a variable's type leads to."""
    for _ in range(32):
        gdb_type = gdb_type.strip_typedefs().unqualified()
        if gdb_type.code in (gdb.TYPE_CODE_PTR, gdb.TYPE_CODE_REF, gdb.TYPE_CODE_RVALUE_REF, gdb.TYPE_CODE_ARRAY):
            gdb_type = gdb_type.target()
        else:
            break
    is_named = gdb_type.code in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION, gdb.TYPE_CODE_ENUM) and gdb_type.tag
    return gdb_type if is_named else None


def layout(gdb_type, base, out):
    for field in gdb_type.fields():
        if not hasattr(field, "bitpos"):
            continue  # a static member
        inner = field.type
        name = "<base>" if field.is_base_class else field.name or ""
        position = base + field.bitpos
        out.append("%d:%d %s %s" % (position, field.bitsize, name, inner))
        is_struct = inner.code in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION)
        if is_struct and not inner.tag:
            layout(inner, position, out)


def answer_types(address, seen):
    """Types of the variables in scope that were not seen before, through the variable that has them."""
    found = []
    for block in function_blocks(address):
        for symbol in block:
            is_placed = symbol.is_variable and symbol.addr_class != gdb.SYMBOL_LOC_OPTIMIZED_OUT
            if not (symbol.is_argument or is_placed):
                continue
            target = named_target(symbol.type)
            if target is None or str(target) in seen:
                continue
            seen.add(str(target))
            # Not read: gdb only wants an expression of the type.
            gdb.set_convenience_variable("shown", gdb.Value(0).cast(target.pointer()))
            members = []
            if target.code == gdb.TYPE_CODE_ENUM:
                members = ["%s = %d" % (field.name, field.enumval) for field in target.fields()]
            else:
                layout(target, 0, members)
            found.append({
                "variable": symbol.name,
                "type": str(target),
                "size": target.sizeof,
                "members": members,
                "printed": gdb.execute("ptype /r *$shown", to_string=True),
            })
        if block.function is not None:
            break
    return found


def main(questions):
    gdb.execute("set pagination off")
    gdb.execute("set confirm off")
    gdb.execute("set breakpoint pending off")
    gdb.execute("set max-completions 0")
    places = sections()
    emit("sections", {"addresses": {name: hex(address) for name, address in places.items()}})
    seen = set()
    for question in questions["addresses"]:
        address = (places[question["section"]] + question["offset"]) & MEMORY_BITS
        found = answer_address(address)
        emit("address", {"address": hex(address), **found})
        if found["functions"]:
            if question["scope"]:
                emit("scope", {"address": hex(address), "function": found["functions"][0], **answer_scope(address)})
            if question["types"]:
                for shown in answer_types(address, seen):
                    emit("type", {"address": hex(address), **shown})
        near = question["breakpointNear"]
        # Rust's library is in as many units as a popular header.
        is_header = found["file"] is not None and (found["file"].endswith(".h") or "/library/" in found["file"])
        if near is not None and found["line"] > 0 and (questions["headers"] or not is_header):
            line = max(1, found["line"] + near)
            # gdb takes `a/./b.h` for a different file from `b.h`, which other units call it.
            name_only = is_header or os.path.normpath(found["file"]) != found["file"]
            file = os.path.basename(found["file"]) if name_only else found["file"]
            emit("breakpoint", {"file": file, "line": line, **breakpoint_addresses("-source %s -line %d" % (file, line))})
    for name in questions["functions"]:
        emit("function", {"name": name, **breakpoint_addresses(name)})
