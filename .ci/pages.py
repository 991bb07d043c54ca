"""Makes in _proc the pages that Quarto renders: python .ci/pages.py; see "The site" in CONTRIBUTING.md."""
import configparser, json, re, shutil
from pathlib import Path

import yaml
from nbdev.config import get_config
from nbdev.doclinks import NbdevLookup
from nbdev.serve import proc_nbs

from reference import Documentation

ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT / "_proc"
ABOUT = {"contributing": "CONTRIBUTING.md", "changelog": "CHANGELOG.md", "security": ".github/SECURITY.md",
         "licence": "LICENSE", "citation": "CITATION.cff"}
config = configparser.ConfigParser()
config.read(ROOT / "settings.ini", encoding="utf-8")
SETTINGS = config["DEFAULT"]
FILES = f"{SETTINGS['git_url']}/blob/{SETTINGS['branch']}"
SITE = f"{SETTINGS['doc_host']}{SETTINGS['doc_baseurl']}/"


# Reference

def chapters(notebooks):
    "Module -> (its page, its title), in reading order."
    heads = {path: yaml.safe_load("".join(notebook["cells"][0]["source"]).strip().strip("-")) for path, notebook in notebooks.items()}
    return {path.stem[3:]: (head["output-file"], head["title"]) for path, head in sorted(heads.items()) if re.match(r"\d\d_", path.name)}


def write_reference(notebooks):
    "Documents each public name where its chapter shows it, and all on a page of their own; gives the addresses of those on it alone."
    found = chapters(notebooks)
    sources = ["".join(cell["source"]) for notebook in notebooks.values() for cell in notebook["cells"]]
    in_lessons = {name for text in sources for name in re.findall(r"^show_doc\((\w+)\)", text, re.M)}
    documentation = Documentation({module: page for module, (page, _) in found.items()}, FILES, in_lessons)
    taken = {name.lower() for name in documentation.entries}
    for cell in (cell for notebook in notebooks.values() for cell in notebook["cells"]):
        text = "".join(cell["source"])
        shown = re.search(r"^show_doc\((\w+)\)", text, re.M)
        if shown:
            cell.update(cell_type="markdown", source=NbdevLookup().linkify(documentation.in_lesson(shown[1])))
            for key in ("outputs", "execution_count"): cell.pop(key, None)
        elif cell["cell_type"] == "markdown":  # a heading "Ribs" leaves the address #ribs to the function
            cell["source"] = re.sub(r"^#+ (\w+)$", lambda head: head[0] + f" {{#on-{head[1].lower()}}}" * (head[1].lower() in taken), text, flags=re.M)
    names = documentation.list_names({module: title for module, (_, title) in found.items()})
    (PAGES / "reference.md").write_text(f"---\ntitle: Reference\ntoc-depth: 2\nrepo-actions: false\n---\n\n{names}", encoding="utf-8")
    return {name.lower() for name in documentation.entries} - {name.lower() for name in in_lessons}


# What a page would fetch from elsewhere

def inline(notebook):
    """Writes HTML outputs into the page itself, and leaves the still picture of a Jupyter widget, which moves with a kernel only.

    For outputs of either kind Quarto would fetch require.js, jQuery and more from other hosts."""
    notebook["metadata"].pop("widgets", None)
    for output in (output for cell in notebook["cells"] for output in cell.get("outputs", [])):
        data = output.get("data", {})
        data.pop("application/vnd.jupyter.widget-view+json", None)
        if "text/html" in data: output["data"] = {"text/markdown": ["``````{=html}\n", *"".join(data["text/html"]).splitlines(keepends=True), "\n``````\n"]}


def with_slider(text):
    "The landing page's text: the README's still picture becomes one with a divider that moves."
    slider = (ROOT / "nbs/slider.html").read_text(encoding="utf-8")
    return re.sub(r"!\[[^\]]*\]\(images/strip\.png\)", lambda _: "```{=html}\n" + slider + "```", text)


def own(text, root, unshown=()):
    "Text whose links to pages of the site are relative and lead to public names, with a badge that is no picture of another host."
    text = re.sub(r"\[(`_\w+`)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"\]\([^()\s]*?\w+\.html#(\w+)\)", lambda link: f"]({root}reference.html#{link[1]})" if link[1] in unshown else link[0], text)
    text = re.sub(r"\]\(" + re.escape(SITE), "](" + root, text)
    return re.sub(r"\[!\[Open in Colab\]\([^)]*\)\]\(([^)]*)\)", r"[Open in Colab](\1){.btn .btn-outline-primary .btn-sm}", text)


def write_notebooks(notebooks, unshown):
    for path, notebook in notebooks.items():
        inline(notebook)
        root = "../" * (len(path.relative_to(PAGES).parts) - 1)
        for cell in notebook["cells"]:
            if cell["cell_type"] == "markdown": cell["source"] = own(with_slider("".join(cell["source"])), root, unshown).splitlines(keepends=True)
        path.write_text(json.dumps(notebook, ensure_ascii=False), encoding="utf-8")


# About

def write_about():
    "The project's own documents as pages."
    (PAGES / "about").mkdir()
    for name, file in ABOUT.items():
        text = (ROOT / file).read_text(encoding="utf-8")
        if file.endswith(".md"):
            text = re.sub(r"\A# .*\n", "", own(text, "../"))
            text = re.sub(r"\]\((?![a-z]+:|#|\.\./)([^)]+)\)", rf"]({FILES}/\1)", text)
        else: text = f"```text\n{text}```\n"
        (PAGES / f"about/{name}.md").write_text(f"---\ntitle: {name.title()}\nrepo-actions: false\n---\n\n{text}", encoding="utf-8")


if __name__ == "__main__":
    get_config().d["skip_procs"] = "exec_show_docs,clean_magics"  # nothing is run: the reference is read from the modules; %pip stays
    proc_nbs(n_workers=0, force=True)
    shutil.rmtree(PAGES / "demo")  # a page of its own, which .ci/demo.py builds
    notebooks = {path: json.loads(path.read_text(encoding="utf-8")) for path in sorted(PAGES.rglob("*.ipynb"))}
    write_notebooks(notebooks, unshown=write_reference(notebooks))
    write_about()
