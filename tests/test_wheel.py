"""The wheel works where nothing else of the project is."""
import json, zipfile

import pytest
from project import ROOT, run, settings

MAKE_FILM = """
from bss_gan.images import write_film
from bss_gan.simulation import simulate
write_film("film.png", simulate(seed=1, size=256).xray)
"""


def test_wheel_holds_the_package_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    package = {path.relative_to(ROOT).as_posix() for path in (ROOT / "bss_gan").rglob("*")
               if path.is_file() and "__pycache__" not in path.parts}
    inside = {entry for entry in names if ".dist-info/" not in entry}
    assert inside == package
    assert any(entry.endswith("licenses/LICENSE") for entry in names)


def test_environment_has_no_nbdev(clean):
    installed = {package["name"].lower() for package in json.loads(run(clean / "pip", "list", "--format=json").stdout)}
    assert "bss_gan" in {name.replace("-", "_") for name in installed}
    assert not installed & {"nbdev", "fastcore", "execnb", "ghapi"}
    run(clean / "pip", "check")


@pytest.mark.parametrize("command", [["bss-gan"], ["python", "-m", "bss_gan"]], ids=" ".join)
def test_command_answers(clean, tmp_path, command):
    done = run(clean / command[0], *command[1:], "--help", cwd=tmp_path)
    assert done.stdout.startswith("Usage: bss-gan")
    for subcommand in ("demo", "train", "suppress", "evaluate", "export"): assert subcommand in done.stdout


def test_version(clean, tmp_path):
    done = run(clean / "python", "-c", "import bss_gan; print(bss_gan.__version__, bss_gan.__file__)", cwd=tmp_path)
    version, file = done.stdout.split()
    assert version == settings()["version"]
    assert file.startswith(str(clean.parent))


def test_shipped_network_suppresses_a_film(clean, tmp_path):
    run(clean / "python", "-c", MAKE_FILM, cwd=tmp_path)
    run(clean / "bss-gan", "suppress", "film.png", "--out", "out", cwd=tmp_path)
    assert (tmp_path / "out/film.png").stat().st_size > 1000
