"""With one changed line, a chapter reads films from a Drive: as in Colab, with pairs that no shipped network has met.

The line says itself what to change it to, after `# on your Drive:`."""
import re, shutil

import nbformat, pytest
from project import NBS, name

CHANGE = re.compile(r"^(\w+) = .*# on your Drive: (\1 = .+)$", re.M)  # the line to change, and to what
ON_DRIVE = [NBS / path for path in ("04_data.ipynb", "11_metrics.ipynb", "12_training.ipynb", "15_testing.ipynb", "tutorials/own_data_on_drive.ipynb")]


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    "Pairs for the Drive, of simulated patients whom no shipped network has met."
    from bss_gan.simulation import write_pairs
    return write_pairs(tmp_path_factory.mktemp("drive") / "films", 28, size=128, seed=900_000)


@pytest.mark.parametrize("notebook", ON_DRIVE, ids=name)
def test_runs_on_a_drive_with_one_changed_line(notebook, in_colab, content, films):
    for place in ("films", "bss_gan/films"): shutil.copytree(films, content / "drive/MyDrive" / place)
    changed = nbformat.read(notebook, 4)
    cells = [cell for cell in changed.cells if cell.cell_type == "code" and CHANGE.search(cell.source)]
    assert len(cells) == 1, "one cell says how to read from a Drive"
    cells[0].source, lines = CHANGE.subn(r"\2", cells[0].source)
    assert lines == 1
    in_colab(changed)
