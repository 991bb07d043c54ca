"""Every notebook that offers to open in Colab runs as Colab runs it, and so do the answers to its exercises.

Colab has the notebook alone: no repository beside it, no nbdev, no flags, other versions of everything (the fixture
`clean`), and the library only once the notebook's own `%pip` line has asked for it. `/content` is a temporary folder here:
that path is replaced where a cell or the library names it."""
import fnmatch, json, re, shutil, zipfile

import nbformat, pytest
from bss_gan.simulation import write_pairs
from project import NOTEBOOKS, ROOT, answers, name, run

STUBS = ROOT / "tests" / "colab"
OPENED = [path for path in NOTEBOOKS if f"/nbs/{name(path)})" in path.read_text()]  # its badge leads to itself
CHANGE = re.compile(r"^(\w+) = .*# on your Drive: (\1 = .+)$", re.M)  # the line to change, and to what
ON_DRIVE = {"01_data.ipynb", "05_metrics.ipynb", "06_training.ipynb", "08_testing.ipynb", "tutorials/own_data_on_drive.ipynb"}


@pytest.fixture
def content(wheel, tmp_path):
    "An empty /content, with the library unpacked outside of it."
    zipfile.ZipFile(wheel).extractall(tmp_path / "packages")
    folder = tmp_path / "content"
    folder.mkdir()
    for module in (tmp_path / "packages/bss_gan").glob("*.py"):
        module.write_text(module.read_text().replace("/content", str(folder)))
    return folder


@pytest.fixture(scope="session")
def films(tmp_path_factory):
    "Pairs for the Drive, of simulated patients whom no shipped network has met."
    return write_pairs(tmp_path_factory.mktemp("drive") / "films", 28, size=128, seed=900_000)


@pytest.fixture
def in_colab(clean, content, tmp_path):
    "Runs a notebook in the stand-in for Colab; fails with what a cell raised."
    startup = tmp_path / "ipython/profile_default/startup"
    startup.mkdir(parents=True)
    shutil.copy(STUBS / "startup.py", startup)
    environment = {"PYTHONPATH": str(STUBS), "IPYTHONDIR": str(tmp_path / "ipython"), "HOME": str(tmp_path),
                   "COLAB_PACKAGES": str(tmp_path / "packages")}

    def execute(notebook):
        copy = content / "notebook.ipynb"
        copy.write_text(nbformat.writes(notebook).replace("/content", str(content)))
        run(clean / "jupyter-execute", copy, cwd=content, env=environment)

    return execute


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


def test_has_the_versions_of_colab(clean):
    installed = {package["name"].lower(): package["version"] for package in json.loads(run(clean / "pip", "list", "--format=json").stdout)}
    wanted = re.findall(r"^([\w-]+)==(.+)$", (STUBS / "constraints.txt").read_text(), re.M)
    assert wanted and {package: version for package, version in wanted if not fnmatch.fnmatch(installed[package], version)} == {}


@pytest.mark.parametrize("notebook", OPENED, ids=name)
def test_runs_in_colab(notebook, in_colab):
    in_colab(with_answers(nbformat.read(notebook, 4)))


@pytest.mark.parametrize("notebook", [path for path in OPENED if name(path) in ON_DRIVE], ids=name)
def test_runs_on_a_drive_with_one_changed_line(notebook, in_colab, content, films):
    for place in ("films", "bss_gan/films"): shutil.copytree(films, content / "drive/MyDrive" / place)
    changed = nbformat.read(notebook, 4)
    cells = [cell for cell in changed.cells if cell.cell_type == "code" and CHANGE.search(cell.source)]
    assert len(cells) == 1, "one cell says how to read from a Drive"
    cells[0].source, lines = CHANGE.subn(r"\2", cells[0].source)
    assert lines == 1
    in_colab(changed)
