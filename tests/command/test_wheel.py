"""The wheel works where nothing else of the project is."""
import json, re, zipfile
from importlib.metadata import requires

import pytest
from helpers.project import FULL, ROOT, run, settings

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


MAKERS = {"nbdev", "fastcore", "execnb", "ghapi"}  # needed to make the library, not to use it


def needed_by(package, seen):
    "Adds the names of a package and of everything that it needs, extras left out."
    if package not in seen:
        seen.add(package)
        for line in requires(package) or ():
            if "extra ==" not in line and "platform" not in line:
                needed_by(re.match(r"[\w.-]+", line)[0].lower().replace("_", "-"), seen)
    return seen


def test_the_library_needs_nothing_that_only_makes_it():
    needed = needed_by("bss_gan", set())
    assert {"tensorflow", "numpy", "click"} <= needed and not needed & MAKERS


if FULL:
    def test_environment_has_no_nbdev(clean):
        listed = json.loads(run(clean / "pip", "list", "--format=json").stdout)
        installed = {package["name"].lower().replace("_", "-") for package in listed}
        assert "bss-gan" in installed and not installed & MAKERS
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
