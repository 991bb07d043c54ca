"""Prints README.md, made from nbs/index.ipynb: `python .ci/readme.py > README.md`."""
import configparser, re, sys
from pathlib import Path
from urllib.parse import urljoin

import nbformat
from nbconvert import MarkdownExporter

root = Path(__file__).resolve().parent.parent
config = configparser.ConfigParser()
config.read(root / "settings.ini", encoding="utf-8")
settings = config["DEFAULT"]
repository, branch = f"{settings['user']}/{settings['repo']}", settings["branch"]


def absolute(link):
    "Makes a relative link absolute, so that it works on GitHub and on PyPI alike."
    target = link[1]
    if target.endswith((".png", ".gif", ".svg")):
        base = f"https://raw.githubusercontent.com/{repository}/{branch}/nbs/"
    else:
        base = f"https://github.com/{repository}/blob/{branch}/nbs/"
    return f"]({urljoin(base, target)})"


notebook = nbformat.read(root / "nbs" / settings["readme_nb"], as_version=4)
notebook.cells = [cell for cell in notebook.cells if not re.search(r"^#\|\s*hide\s*$", cell.source, re.M)]
for cell in notebook.cells:
    if cell.cell_type == "code": cell.source = re.sub(r"^#\|.*\n?", "", cell.source, flags=re.M)

notebook.metadata["language_info"] = {"name": "python"}
text, resources = MarkdownExporter().from_notebook_node(notebook)
if resources["outputs"]:
    sys.exit("index.ipynb: keep its pictures in nbs/images and link to them, else the README loses them")
text = re.sub(r"\]\((?![a-z]+:|#)([^)]+)\)", absolute, text)
sys.stdout.buffer.write((re.sub(r"\n{3,}", "\n\n", text).strip() + "\n").encode())
