"""Fixtures for all tests, and the rule that a test skipped in continuous integration has failed."""
import os, shutil, zipfile

import nbformat, pytest
from project import COMMAND, NO_DATA, ROOT, SHARED_DATA, STUBS, copy_project, python, run


@pytest.fixture(scope="session")
def shared_data():
    "The folder of real radiographs, which are not redistributed; tests that need it skip without it."
    if not SHARED_DATA.is_dir(): pytest.skip(f"{NO_DATA}: {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture(scope="session")
def pairs(tmp_path_factory):
    "A source|target folder of small simulated films."
    from bss_gan.simulation import write_pairs
    folder = tmp_path_factory.mktemp("pairs")
    write_pairs(folder, n=10, size=128)
    return folder


@pytest.fixture(scope="session")
def trained(pairs, tmp_path_factory):
    "The run folder of a short training of the baseline preset, by the command."
    folder = tmp_path_factory.mktemp("trained") / "run"
    run(*COMMAND, "train", "--data", pairs, "--out", folder, "--preset", "baseline", "--epochs", "3")
    return folder


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    "The wheel, built from a copy of the project."
    project = copy_project(tmp_path_factory.mktemp("wheel"))
    for part in ("README.md", "LICENSE"): shutil.copy(ROOT / part, project / part)
    python("-m", "build", "--wheel", project)
    return next((project / "dist").glob("*.whl"))


@pytest.fixture(scope="session")
def clean(wheel, tmp_path_factory):
    "The commands of a new environment in Colab's versions: the wheel, what runs a notebook, nibabel, and nothing of nbdev."
    folder = tmp_path_factory.mktemp("clean") / "venv"
    python("-m", "venv", folder)
    run(folder / "bin/pip", "install", "-q", wheel, "nbclient", "ipykernel", "nibabel", timeout=900,
        env={"PIP_CONSTRAINT": str(ROOT / "tests/colab/constraints.txt")})  # in place of .ci/constraints.txt, which has the newest
    return folder / "bin"


@pytest.fixture
def content(wheel, tmp_path):
    "An empty /content, with the library unpacked outside of it."
    zipfile.ZipFile(wheel).extractall(tmp_path / "packages")
    folder = tmp_path / "content"
    folder.mkdir()
    for module in (tmp_path / "packages/bss_gan").glob("*.py"):
        module.write_text(module.read_text().replace("/content", str(folder)))
    return folder


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


@pytest.fixture(scope="session")
def start_chromium():
    "A function that starts a real browser, which asks its makers for nothing, with further arguments."
    from playwright.sync_api import sync_playwright
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if not program: pytest.skip("no Chromium: apt-get install chromium")
    quiet = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync"]
    with sync_playwright() as playwright:
        yield lambda *arguments: playwright.chromium.launch(executable_path=program, args=[*quiet, *arguments])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    report = yield
    if report.skipped and os.environ.get("CI") == "true" and NO_DATA not in str(report.longrepr):
        report.outcome, report.longrepr = "failed", f"skipped, which CI does not allow: {report.longrepr}"
    return report
