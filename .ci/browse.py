"""Renders _proc into _proc/_docs from the same _quarto.yml where no Quarto is: python .ci/browse.py, after .ci/pages.py.

smalldocs reads Quarto's options. What it leaves undone is done here as Quarto does it: names of pages, formulas as
MathML, themes without web fonts, no actions where a page says so."""
import html, re
from pathlib import Path

import nbformat
from latex2mathml.converter import convert
from smalldocs.site import build

PAGES = Path(__file__).resolve().parent.parent / "_proc"
DOCS = PAGES / "_docs"


def formula(match):
    display = "block" if match[1] == "display" else "inline"
    return convert(html.unescape(match[2]), display=display)


def renamed():
    "Page that smalldocs writes -> the name that nbdev gives it: output-file in its front matter."
    heads = {path: nbformat.read(path, 4).cells[0].source for path in PAGES.rglob("*.ipynb")}
    return {path.with_suffix(".html").name: re.search(r"^output-file: (\S+)", head, re.M)[1] for path, head in heads.items()}


def without_actions():
    "Pages that are made from other files, and so have none of their own on GitHub: repo-actions: false in their front matter."
    return {path.relative_to(PAGES).with_suffix(".html") for path in PAGES.rglob("*.md") if "repo-actions: false" in path.read_text(encoding="utf-8")}


def finish(text, names):
    text = re.sub("|".join(rf"\b{name}\b" for name in names), lambda match: names[match[0]], text)
    text = re.sub(r'<(?:link|script)[^>]*cdn\.jsdelivr\.net/npm/katex[^>]*>(?:</script>)?\n?', "", text)
    return re.sub(r'<span class="math (\w+)">\\[(\[](.*?)\\[)\]]</span>', formula, text, flags=re.S)


if __name__ == "__main__":
    build(PAGES)
    names = {old: new for old, new in renamed().items() if old != new}
    for path in [*DOCS.rglob("*.html"), DOCS / "search.json", DOCS / "sitemap.xml"]:
        text = finish(path.read_text(encoding="utf-8"), names)
        if path.relative_to(DOCS) in without_actions(): text = re.sub(r'<div class="toc-actions">(<div.*?</div>)+</div>', "", text)
        path.write_text(text, encoding="utf-8")
        if path.name in names: path.rename(path.with_name(names[path.name]))
    for path in DOCS.glob("site_libs/themes/*.css"):
        path.write_text(re.sub(r"@import url\(https:[^)]*\);", "", path.read_text(encoding="utf-8")), encoding="utf-8")
