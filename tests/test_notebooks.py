"""The cells of every notebook pass as tests."""
import re

import nbformat, pytest
from project import NBS, NOTEBOOKS, ROOT, name, run, tool

every_notebook = pytest.mark.parametrize("notebook", NOTEBOOKS, ids=name)


@every_notebook
def test_cells_pass(notebook):
    before = set(NBS.rglob("*"))
    done = run(tool("nbdev_test"), "--n_workers", "1", "--do_print", "--path", notebook, cwd=ROOT)
    assert f"Completed {notebook}" in done.stdout, "nbdev_test did not run this notebook"
    left = {path for path in set(NBS.rglob("*")) - before if "__pycache__" not in path.parts}
    assert left == set(), "the notebook leaves files behind"


@every_notebook
def test_no_notebook_switches_its_tests_off(notebook):
    text = "\n".join(cell.source for cell in nbformat.read(notebook, 4).cells)
    assert re.findall(r"skip_exec|#\|\s*eval:\s*false", text) == []
