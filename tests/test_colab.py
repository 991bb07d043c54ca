"""Every notebook that offers to open in Colab runs as Colab runs it.

Colab has the notebook alone: no repository beside it, no nbdev, no flags, and the library only once the notebook's own
`%pip` line has asked for it. `/content` is a temporary folder here: that path is replaced where a cell or the library
names it."""
import shutil, zipfile

import pytest
from project import NOTEBOOKS, ROOT, name, run

STUBS = ROOT / "tests" / "colab"
OPENED = [path for path in NOTEBOOKS if f"/nbs/{name(path)})" in path.read_text()]  # its badge leads to itself


@pytest.fixture
def content(wheel, tmp_path):
    "An empty /content, with the library unpacked outside of it."
    zipfile.ZipFile(wheel).extractall(tmp_path / "packages")
    folder = tmp_path / "content"
    folder.mkdir()
    for module in (tmp_path / "packages/bss_gan").glob("*.py"):
        module.write_text(module.read_text().replace("/content", str(folder)))
    return folder


def test_every_chapter_opens_in_colab():
    closed = {name(path) for path in NOTEBOOKS} - {name(path) for path in OPENED}
    assert closed <= {"index.ipynb", "results.ipynb", "speed.ipynb", "bad_inputs.ipynb"}


@pytest.mark.parametrize("notebook", OPENED, ids=name)
def test_runs_in_colab(notebook, clean, content, tmp_path):
    copy = content / notebook.name
    copy.write_text(notebook.read_text().replace("/content", str(content)))
    startup = tmp_path / "ipython/profile_default/startup"
    startup.mkdir(parents=True)
    shutil.copy(STUBS / "startup.py", startup)
    environment = {"PYTHONPATH": str(STUBS), "IPYTHONDIR": str(tmp_path / "ipython"), "HOME": str(tmp_path),
                   "COLAB_PACKAGES": str(tmp_path / "packages")}
    run(clean / "jupyter-execute", copy, cwd=content, env=environment)
