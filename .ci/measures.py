"""Prints how the course measures up: a row for each chapter, and for the library what must not be.

    python .ci/measures.py

Lines leave out blank ones and directives; assertions count in hidden cells too. Parameters are those of public functions,
of public methods of public classes, and the fields of public dataclasses; a comment beside one documents it."""
import ast
import io
import re
import statistics
import tokenize
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parent.parent
LONGEST, MOST_PARAMETERS = 120, 7


def lines_of(source):
    "The lines of a cell that say something."
    return [line for line in source.splitlines() if line.strip() and not line.startswith("#|")]


def commented_lines(source):
    "The numbers of the lines with a comment."
    return {token.start[0] for token in tokenize.generate_tokens(io.StringIO(source).readline) if token.type == tokenize.COMMENT}


def parameters(function):
    "The parameters of a function, without self and cls."
    every = function.args.posonlyargs + function.args.args + function.args.kwonlyargs
    return [each for each in every if each.arg not in ("self", "cls")]


def public(nodes):
    "Functions and classes that do not begin with an underscore."
    return [node for node in nodes if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name[0] != "_"]


def described(tree):
    "(node, line) of everything that wants a comment: parameters of public functions and methods, fields of public dataclasses."
    for node in public(tree.body):
        if isinstance(node, ast.FunctionDef): yield from ((each, each.lineno) for each in parameters(node))
        elif isinstance(node, ast.ClassDef):
            yield from ((each, each.lineno) for each in node.body if isinstance(each, ast.AnnAssign))
            for method in public(node.body):
                if isinstance(method, ast.FunctionDef) and not any("property" in ast.unparse(d) for d in method.decorator_list):
                    yield from ((each, each.lineno) for each in parameters(method))


def measure(notebook):
    "The row of a chapter."
    cells = nbformat.read(notebook, 4).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    texts = [cell.source for cell in cells if cell.cell_type == "markdown"]
    exported = [cell.source for cell in code if re.match(r"#\| exporti?\b", cell.source)]
    exported = [source for source in exported if not all(re.match(r"(from|import) |\s|\)", line) for line in lines_of(source))]
    lengths = [len(lines_of(source)) for source in exported]
    trees = [(ast.parse(source), commented_lines(source)) for source in exported]
    names = [name for tree, _ in trees for name in public(tree.body)]
    wanted = [line in comments for tree, comments in trees for _, line in described(tree)]
    asserted = sum(len(re.findall(r"^\s*assert\b|\bexpect_refusal\(|\bpytest\.raises\(", cell.source, re.M)) for cell in code if cell.source not in exported)
    pictures = sum(kind.startswith("image/") for cell in code for output in cell.outputs for kind in output.get("data", ()))
    shown = [cell for cell in cells if "#| hide" not in cell.source]
    in_a_row = max(map(len, re.findall("e+", "".join("e" if cell.source in exported else "." for cell in code))), default=0)
    return {"chapter": notebook.stem, "cells": len(cells), "shown": len(shown), "words": sum(len(text.split()) for text in texts),
            "exported": len(exported), "median": statistics.median(lengths or [0]), "longest": max(lengths, default=0), "in a row": in_a_row,
            "names": len(names), "assertions a name": round(asserted / max(len(names), 1), 1), "pictures": pictures,
            "documented": f"{100 * sum(wanted) / max(len(wanted), 1):.0f} %"}


def faults():
    "What the house rules forbid, by module."
    for path in sorted((ROOT / "bss_gan").glob("[!_]*.py")):
        text = path.read_text()
        for number, line in enumerate(text.splitlines(), 1):
            if len(line) > LONGEST and not line.startswith("__all__"): yield f"{path.name}:{number} has {len(line)} columns"  # nbdev lays that one out
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and len(parameters(node)) > MOST_PARAMETERS and "click" not in "".join(map(ast.unparse, node.decorator_list)):
                yield f"{path.name}:{node.lineno} {node.name} has {len(parameters(node))} parameters"
            if isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").startswith("bss_gan")):
                for each in node.names:
                    if each.name[0] == "_" and each.name != "__version__": yield f"{path.name}:{node.lineno} imports the private {each.name}"


def main():
    notebooks = sorted((ROOT / "nbs").glob("[0-9]*.ipynb"))
    rows = [measure(path) for path in notebooks]
    width = {key: max(len(key), *(len(str(row[key])) for row in rows)) for key in rows[0]}
    print("  ".join(key.ljust(width[key]) for key in rows[0]))
    for row in rows: print("  ".join(str(value).ljust(width[key]) for key, value in row.items()))
    tutorials = [measure(path) for path in sorted((ROOT / "nbs").rglob("*.ipynb")) if path not in notebooks and ".ipynb_checkpoints" not in path.parts]
    modules = [path for path in (ROOT / "bss_gan").glob("*.py") if path.name != "_modidx.py"]
    print(f"\npictures: {sum(row['pictures'] for row in rows)} in chapters, {sum(row['pictures'] for row in tutorials)} elsewhere; "
          f"chapters with a median of at most 8 lines: {sum(row['median'] <= 8 for row in rows)} of {len(rows)}; "
          f"lines of modules: {sum(len(path.read_text().splitlines()) for path in modules)}")
    found = list(faults())
    print(f"against the house rules: {len(found)}", *found, sep="\n  ")


if __name__ == "__main__": main()
