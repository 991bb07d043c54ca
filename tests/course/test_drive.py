"""With one changed line, a chapter reads films from a Drive: as in Colab, with pairs that no shipped network has met.

The line says itself what to change it to, after `# on your Drive:`. With FULL=1 every chapter that has one runs; else those do
that take seconds, and of the others the line alone is looked at."""
import re, shutil

import nbformat, pytest
from helpers.project import FULL, NBS, NOTEBOOKS, name

CHANGE = re.compile(r"^(\w+) = .*# on your Drive: (\1 = .+)$", re.M)  # the line to change, and to what
ON_DRIVE = [NBS / path for path in ("04_data.ipynb", "11_metrics.ipynb", "12_training.ipynb", "15_testing.ipynb", "tutorials/own_data_on_drive.ipynb")]
QUICK = {"04_data.ipynb", "own_data_on_drive.ipynb"}


@pytest.fixture(scope="session")
def films(made_once):
    "Pairs for the Drive, of simulated patients that no shipped network has seen."
    from bss_gan.simulation import write_pairs
    return made_once("drive", lambda folder: write_pairs(folder / "films", 28, size=128, seed=900_000)) / "films"


def with_the_line_changed(notebook):
    "The notebook, reading from a Drive."
    changed = nbformat.read(notebook, 4)
    cells = [cell for cell in changed.cells if cell.cell_type == "code" and CHANGE.search(cell.source)]
    assert len(cells) == 1, "one cell says how to read from a Drive"
    cells[0].source, lines = CHANGE.subn(r"\2", cells[0].source)
    assert lines == 1
    return changed


def test_the_chapters_that_read_from_a_drive_are_listed():
    assert [path for path in NOTEBOOKS if CHANGE.search("\n".join(cell.source for cell in nbformat.read(path, 4).cells))] == ON_DRIVE


@pytest.mark.parametrize("notebook", ON_DRIVE, ids=name)
def test_one_line_is_to_be_changed(notebook):
    for cell in with_the_line_changed(notebook).cells:
        if cell.cell_type == "code": compile(re.sub("%.*", "pass", cell.source) if "%pip" in cell.source else cell.source, name(notebook), "exec")


@pytest.mark.notebook
@pytest.mark.parametrize("notebook", [path for path in ON_DRIVE if FULL or path.name in QUICK], ids=name)
def test_runs_on_a_drive_with_one_changed_line(notebook, in_colab, content, films):
    for place in ("films", "bss_gan/films"): shutil.copytree(films, content / "drive/MyDrive" / place)
    in_colab(with_the_line_changed(notebook))
