"""Reads what the modules say about their public names, without running them."""
import ast, html, io, re, tokenize
from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "bss_gan"


@dataclass
class Entry:
    "A public name, or a member of a public class."
    name: str
    module: str
    line: int
    code: str         # its source
    signature: str    # one line; empty for a constant
    sentence: str     # its docstring, or the comment on the line of a constant
    parameters: list  # of (name, type, default, meaning); the fields of a dataclass
    returns: tuple    # (type, meaning), or ()
    members: list     # of Entry


def _comments(source):
    "Line number -> comment."
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}


def _text(node):
    return ast.unparse(node) if node is not None else ""


def _arguments(node, comments):
    "Parameters of a function: each one's comment stands at the end of its line."
    positional = node.args.posonlyargs + node.args.args
    defaults = [None] * (len(positional) - len(node.args.defaults)) + node.args.defaults
    pairs = list(zip(positional, defaults)) + list(zip(node.args.kwonlyargs, node.args.kw_defaults))
    rows = [(arg.arg, _text(arg.annotation), _text(default), comments.get((default or arg).end_lineno, "")) for arg, default in pairs if arg.arg != "self"]
    rows += [(f"*{arg.arg}", _text(arg.annotation), "", comments.get(arg.end_lineno, "")) for arg in (node.args.vararg,) if arg]
    rows += [(f"**{arg.arg}", _text(arg.annotation), "", comments.get(arg.end_lineno, "")) for arg in (node.args.kwarg,) if arg]
    return rows


def _call(name, rows):
    given = [row[0] + (f"={row[2]}" if row[2] else "") for row in rows]
    line = f"{name}({', '.join(given)})"
    return line if len(line) <= 88 else f"{name}(\n    " + ",\n    ".join(given) + ",\n)"


def _function(node, module, source, comments):
    is_property = any(_text(decorator) == "property" for decorator in node.decorator_list)
    one_line = node.lineno == node.body[0].lineno or node.args.args and node.args.args[-1].lineno == node.lineno
    rows = [row[:3] + ("" if one_line else row[3],) for row in _arguments(node, comments)]
    meaning = comments.get(node.returns.end_lineno, "") if node.returns else ""
    return Entry(node.name, module, node.lineno, _source(node, source), node.name if is_property else _call(node.name, rows),
                 ast.get_docstring(node) or "", rows, (_text(node.returns), meaning) if node.returns else (), [])


def _class(node, module, source, comments):
    fields = [(item.target.id, _text(item.annotation), _text(item.value), comments.get(item.end_lineno, ""))
              for item in node.body if isinstance(item, ast.AnnAssign)]
    functions = [_function(item, module, source, comments) for item in node.body if isinstance(item, ast.FunctionDef)]
    made = next((entry.parameters for entry in functions if entry.name == "__init__"), [])
    bases = ", ".join(_text(base) for base in node.bases)
    members = [entry for entry in functions if entry.name[0] != "_" and entry.sentence]
    return Entry(node.name, module, node.lineno, _source(node, source), f"class {node.name}" + (f"({bases})" if bases else ""),
                 ast.get_docstring(node) or "", fields or made, (), members)


def _source(node, source):
    first = min([node.lineno] + [decorator.lineno for decorator in getattr(node, "decorator_list", [])])
    return "\n".join(source.splitlines()[first - 1:node.end_lineno])


def read_module(module):
    "Public names of a module in the order in which they stand in its chapter."
    source = (PACKAGE / f"{module}.py").read_text(encoding="utf-8")
    comments, found, public = _comments(source), [], []
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef): found.append(_function(node, module, source, comments))
        if isinstance(node, ast.ClassDef): found.append(_class(node, module, source, comments))
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if name == "__all__": public = ast.literal_eval(node.value)
            found.append(Entry(name, module, node.lineno, _source(node, source), "", comments.get(node.lineno, ""), [], (), []))
    return [entry for entry in found if entry.name in public]


class Documentation:
    "Writes the documentation of public names in Markdown, each linked with the others."

    def __init__(
        self,
        chapters,    # module -> page of its chapter, in reading order
        repository,  # address of the files on GitHub, with the branch
        shown,       # names that their chapters document; the others are on the page of the reference alone
    ):
        self.repository = repository
        self.modules = {module: read_module(module) for module in chapters}
        self.entries = {entry.name: entry for entries in self.modules.values() for entry in entries}
        place = lambda entry: chapters[entry.module] if entry.name in shown else "reference.html"
        self.pages = {name: f"{place(entry)}#{name.lower()}" for name, entry in self.entries.items()}

    def _code(self, text):
        "Code as HTML; public names in it are links."
        link = lambda match: f'<a href="{self.pages[match[0]]}">{match[0]}</a>' if match[0] in self.pages else match[0]
        linked = re.sub(r"[A-Za-z_]\w+", link, html.escape(text, quote=False))
        return f"<code>{linked}</code>" if text else ""

    def _prose(self, text):
        return re.sub(r"`([^`]+)`", lambda match: self._code(html.unescape(match[1])), html.escape(text, quote=False))

    def _meaning(self, kind, meaning):
        return meaning or (self.entries[kind].sentence if kind in self.entries else "")

    def _table(self, entry, head):
        "Parameters and what comes back, or the fields of a class."
        heads, rows = [head, "Type", "Default", "Meaning"], []
        for name, kind, default, meaning in entry.parameters:
            rows.append([f"<code>{name}</code>", self._code(kind), self._code(default), self._prose(self._meaning(kind, meaning))])
        if entry.returns and entry.returns[0] != "None":
            rows.append(["returns", self._code(entry.returns[0]), "", self._prose(self._meaning(*entry.returns))])
        if not any(row[2] for row in rows):
            for row in (heads, *rows): del row[2]
        lines = [f'<tr><th scope="row">{name}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>' for name, *cells in rows]
        titles = "".join(f'<th scope="col">{title}</th>' for title in heads)
        return _raw('<table class="table parameters">', f"<thead><tr>{titles}</tr></thead>", "<tbody>", *lines, "</tbody>", "</table>") if rows else ""

    def _entry(self, entry, level, anchor, folded, head="Parameter"):
        source = f"[Source]({self.repository}/bss_gan/{entry.module}.py#L{entry.line}){{.source-link}}"
        table = self._table(entry, head)
        if table and folded: table = f"<details><summary>{head}s of {entry.name}</summary>\n\n{table}</details>\n\n"
        return (f"{'#' * level} {entry.name} {{#{anchor}}}\n\n```python\n{entry.signature}\n```\n\n"
                f"{entry.sentence} {source}\n\n{table}")

    def document(self, name, folded):
        "Signature, sentence, link to the source, table of parameters, and the members."
        entry = self.entries[name]
        text = self._entry(entry, 3, name.lower(), folded, "Field" if entry.signature.startswith("class") else "Parameter")
        for member in entry.members: text += self._entry(member, 4, f"{name}.{member.name}".lower(), folded)
        return text

    def in_lesson(self, name):
        "A name as its lesson documents it: what would bury the text is folded, and so is the code."
        return self.document(name, folded=True) + f"<details><summary>Code of {name}</summary>\n\n```python\n{self.entries[name].code}\n```\n\n</details>\n"

    def _constant(self, entry):
        value = _folded(entry.code.split("=", 1)[1], 60)
        return f"### {entry.name} {{#{entry.name.lower()}}}\n\n{self._prose(entry.sentence)} `{value}`\n\n"

    def list_names(self, titles):
        "The reference: every public name by chapter, its parameters open; titles: module -> title of its chapter."
        text = "Every public name of the library, by chapter, in the order in which the chapter builds it. A chapter shows each name at work.\n\n"
        for module, entries in self.modules.items():
            text += f"## {titles[module]}: `bss_gan.{module}` {{#{module}}}\n\n"
            for entry in entries: text += self.document(entry.name, folded=False) if entry.signature else self._constant(entry)
        return text


def _raw(*lines):
    return "\n".join(("```{=html}", *lines, "```")) + "\n\n"


def _folded(text, length):
    text = " ".join(re.sub(r"#.*", "", text).split())
    return text if len(text) <= length else text[:length].rsplit(" ", 1)[0] + " …"
