"""Fixtures for all tests, and the rule that a test skipped in continuous integration has failed."""
import fcntl, os, shutil, sysconfig, zipfile

import nbformat, pytest
from helpers.project import COMMAND, FULL, NO_DATA, ROOT, SHARED_DATA, STUBS, copy_project, python, run


@pytest.fixture(scope="session")
def shared_data():
    "The folder of real radiographs, which are not redistributed; tests that need it skip without it."
    if not SHARED_DATA.is_dir(): pytest.skip(f"{NO_DATA}: {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    "Makes something in a folder that all processes of the tests share; the first that asks makes it, the others wait."
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ: shared = shared.parent

    def make(name, build):
        folder, done = shared / name, shared / f"{name}.done"
        with open(shared / f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                folder.mkdir()
                build(folder)
                done.touch()
        return folder

    return make


@pytest.fixture(scope="session")
def pairs(made_once):
    "A source|target folder of small simulated films."
    from bss_gan.simulation import write_pairs
    return made_once("pairs", lambda folder: write_pairs(folder, n=10, size=128))


@pytest.fixture(scope="session")
def trained(pairs, made_once):
    "The run folder of a short training of the baseline preset, by the command."
    train = (*COMMAND, "train", "--data", pairs, "--preset", "baseline", "--epochs", "3")
    return made_once("trained", lambda folder: run(*train, "--out", folder / "run")) / "run"


@pytest.fixture(scope="session")
def wheel(made_once):
    "The wheel, built from a copy of the project."
    def build(folder):
        copy_project(folder)
        for part in ("README.md", "LICENSE"): shutil.copy(ROOT / part, folder / part)
        python("-m", "build", "--wheel", folder)

    return next((made_once("wheel", build) / "dist").glob("*.whl"))


def borrow_packages(folder, wheel):
    "An environment with the wheel, which finds everything else among the packages of the tests."
    python("-m", "venv", "--without-pip", folder)
    python("-m", "pip", "--python", folder / "bin/python", "install", "-q", "--no-deps", "--no-index", wheel)
    packages = next(folder.glob("lib/python*/site-packages"))
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")


def install_colabs_versions(folder, wheel):
    "An environment with the wheel, what runs a notebook, and nibabel, in Colab's versions."
    python("-m", "venv", folder)
    run(folder / "bin/pip", "install", "-q", wheel, "nbclient", "ipykernel", "nibabel", timeout=3000,
        env={"PIP_CONSTRAINT": str(ROOT / "tests/colab/constraints.txt")})  # .ci/constraints.txt has the newest


@pytest.fixture(scope="session")
def clean(wheel, made_once):
    "The commands of an environment with the wheel. With FULL=1 it is new, in Colab's versions, and holds no nbdev."
    fill = install_colabs_versions if FULL else borrow_packages
    return made_once("clean", lambda folder: fill(folder, wheel)) / "bin"


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
    execute_notebook = "from nbclient.cli import main; main()"

    def execute(notebook):
        copy = content / "notebook.ipynb"
        copy.write_text(nbformat.writes(notebook).replace("/content", str(content)))
        run(clean / "python", "-c", execute_notebook, copy, cwd=content, env=environment)

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


def pytest_collection_modifyitems(items):
    "The notebooks come first: they take longest, and one process runs them while another one does the rest."
    items.sort(key=lambda item: item.get_closest_marker("notebook") is None)
