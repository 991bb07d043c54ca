"""What several test files need to know about the project."""
import configparser, hashlib, os, re, shutil, subprocess, sys, textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NBS = ROOT / "nbs"
NOTEBOOKS = sorted(path for path in NBS.rglob("*.ipynb") if not any(part[0] in "._" for part in path.relative_to(NBS).parts))
SHARED_DATA = Path(os.environ.get("BSS_GAN_DATA", ROOT.parent / "shared" / "data"))
STUBS = ROOT / "tests" / "colab"  # a stand-in for Colab
FULL = os.environ.get("FULL") == "1"  # the slow proofs at full size: more kills, more broken files, Colab's own versions
NO_DATA = "the shared radiographs are absent"
COMMAND = (sys.executable, "-m", "bss_gan")


def settings():
    "settings.ini as a mapping, with `%(user)s` and the like filled in."
    parser = configparser.ConfigParser()
    parser.read(ROOT / "settings.ini", encoding="utf-8")
    return parser["DEFAULT"]


def name(notebook):
    "The notebook's path below nbs, which names it in the test report."
    return notebook.relative_to(NBS).as_posix()


def blocks(text):
    "The Python in the fenced blocks of a Markdown text."
    return [textwrap.dedent(code) for _, code in re.findall(r"^( *)```python\n(.*?)^\1```$", text, re.M | re.S)]


def answers(cell):
    "The Python in the hidden answers of a notebook's cell."
    hidden = re.findall(r"<details><summary>Answers</summary>(.*?)</details>", cell.source, re.S) if cell.cell_type == "markdown" else []
    return [code for text in hidden for code in blocks(text)]


def documented_lines(test):
    "The shell lines of CONTRIBUTING that say that this test runs them."
    return re.search(rf"<!-- th\w+ lines? (?:is|are) run by {test} -->\n```sh\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.S)[1]


def run(*command, status=0, env=None, timeout=3000, **options):
    "Runs a command and returns its finished process; fails with its output if it ends in another status (None: any will do)."
    done = subprocess.run([str(part) for part in command], env={**os.environ, **(env or {})}, timeout=timeout,
                          capture_output=True, text=True, **options)
    assert status is None or done.returncode == status, (
        f"exit status {done.returncode}, not {status}: {' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}")
    return done


def python(*arguments, **options):
    "Runs this Python in a process of its own, as `run` does."
    return run(sys.executable, *arguments, **options)


def tool(command):
    "The path of a command installed beside this Python."
    return Path(sys.executable).parent / command


def copy_project(folder):
    "Copies the notebooks, the package and their settings, and returns the copy."
    ignore = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
    for part in ("nbs", "bss_gan"): shutil.copytree(ROOT / part, folder / part, ignore=ignore)
    for part in ("settings.ini", "pyproject.toml"): shutil.copy(ROOT / part, folder / part)
    return folder


def tree(folder):
    "Everything below a folder: path -> checksum of a file, or what else is there; to be compared before and after."
    found = {}
    for path in sorted(Path(folder).rglob("*")):
        if path.is_symlink(): found[str(path.relative_to(folder))] = f"link to {os.readlink(path)}"
        elif path.is_file(): found[str(path.relative_to(folder))] = hashlib.sha256(path.read_bytes()).hexdigest()
        else: found[str(path.relative_to(folder))] = "folder" if path.is_dir() else "something else"
    return found
