"""Every notebook that offers to open in Colab runs as Colab runs it, and so do the answers to its exercises.

Colab has the notebook alone: no repository beside it, no nbdev, no flags, and the library only once the notebook's own
`%pip` line has asked for it. `/content` is a temporary folder here: that path is replaced where a cell or the library names
it. With FULL=1, everything has the versions that Colab has."""
import fnmatch, json, re

import nbformat, pytest
from helpers.project import FULL, NOTEBOOKS, STUBS, answers, name, run

OPENED = [path for path in NOTEBOOKS if f"/nbs/{name(path)})" in path.read_text()]  # its badge leads to itself


def with_answers(notebook):
    "The notebook, its answers turned into cells; those that say that they take minutes are left out."
    cells = []
    for cell in notebook.cells:
        short = [code for code in answers(cell) if not re.match(r"#.*minute", code)]
        cells += [cell, *map(nbformat.v4.new_code_cell, short)]
    notebook.cells = cells
    return notebook


def test_every_chapter_opens_in_colab():
    closed = {name(path) for path in NOTEBOOKS} - {name(path) for path in OPENED}
    assert closed <= {"index.ipynb", "results.ipynb", "speed.ipynb", "bad_inputs.ipynb"}


if FULL:  # else the environment is borrowed from the tests, and has their versions
    def test_has_the_versions_of_colab(clean):
        listed = json.loads(run(clean / "pip", "list", "--format=json").stdout)
        installed = {package["name"].lower(): package["version"] for package in listed}
        wanted = re.findall(r"^([\w-]+)==(.+)$", (STUBS / "constraints.txt").read_text(), re.M)
        assert wanted and {package: version for package, version in wanted if not fnmatch.fnmatch(installed[package], version)} == {}


@pytest.mark.notebook
@pytest.mark.parametrize("notebook", OPENED, ids=name)
def test_runs_in_colab(notebook, in_colab):
    in_colab(with_answers(nbformat.read(notebook, 4)))
