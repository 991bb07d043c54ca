"""Every command that the documents name works as written; nobody has to guess what was left out.

A line that is neither run, nor parsed, nor listed with a reason below, fails."""
import re, shlex, shutil

import nbformat, pytest, yaml
from helpers.project import COMMAND, NOTEBOOKS, ROOT, run

from bss_gan.cli import main
from bss_gan.simulation import write_pairs

ELSEWHERE = {  # the test that runs it, as it is written
    r"nbdev_export|nbdev_clean|python \.ci/readme\.py|git status": "test_project.py: test_a_change_of_a_chapter_goes_as_contributing_says",
    r"nbdev_test": "test_notebooks.py: test_cells_pass",
    r"python \.ci/pages\.py|python \.ci/browse\.py": "test_site.py: project",
    r"python \.ci/demo\.py _proc": "test_demo.py: site",
    r"python3 -m venv .*\[dev\]": ".ci/run",
}
NOT_HERE = {  # why it can't be run here
    r"git (clone|switch|commit|push)": "needs GitHub, or changes the repository that is tested",
    r"python3 -m venv .* bss-gan demo|python3 -m venv .*source": "installs an environment of its own; the demo runs in test_cli.py",
    r"pip install|python -m pip install|apt-get|sudo": "installs what the tests have already",
    r"pytest|FULL=1 pytest": "are these tests",
    r"python tests/benchmarks/": "measures speed, which is never tested",
    r"jupyter|quarto|twine|cyclonedx-py|pip-audit|bandit|python -m build|python -m venv library|test |library/bin|mkdir|done|for K": "belongs to a program of others",
    r"TotalSegmentator|export TF_CONFIG|gcloud|gh release": "needs a program, or machines, that are not here",
    r"python -m http\.server": "never ends",
}
MINUTES = {"train", "simulate"}  # only parsed: as written they take minutes to hours; `--help` examples of a small size run in test_cli.py


def lines_of(block):
    "The commands of a block: comments go, and a line that ends in a backslash continues."
    block = re.sub(r"\\\n\s*", " ", block)
    return [line for line in (re.sub(r"\s+#.*", "", raw).strip() for raw in block.splitlines()) if line and line[0] != "#"]


def documented():
    "(document, line) of every command in README, CONTRIBUTING, the notebooks and the workflows."
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]:
        for block in re.findall(r"```sh\n(.*?)```", path.read_text(), re.S): yield from ((path.name, line) for line in lines_of(block))
    for path in NOTEBOOKS:
        if path.name == "index.ipynb": continue  # is the README
        for cell in nbformat.read(path, 4).cells:
            blocks = re.findall(r"^```(\w*)\n(.*?)^```", cell.source, re.M | re.S) if cell.cell_type == "markdown" else []
            yield from ((path.name, line) for language, block in blocks if language in ("", "sh") for line in lines_of(block))
    for path in sorted((ROOT / ".github/workflows").glob("*.yml")):
        for job in yaml.safe_load(path.read_text())["jobs"].values():
            for step in job.get("steps", ()): yield from ((path.name, line) for line in lines_of(step.get("run", "")))


LINES = list(documented())
OURS = [(where, line) for where, line in LINES if line.startswith("bss-gan ")]


def words(line):
    "The command's name and its arguments, up to a pipe or another command."
    return shlex.split(re.split(r" (?:&&|\||>) ", line)[0])[1:]


def test_every_line_is_run_or_has_a_reason():
    rules = re.compile("|".join(f"(?:{rule})" for rule in (*ELSEWHERE, *NOT_HERE)))
    ours = {line for _, line in OURS}
    assert [(where, line) for where, line in LINES if line not in ours and not rules.search(line) and line != ".ci/run"] == []
    assert len(OURS) > 20 and len(LINES) > len(OURS)


@pytest.mark.parametrize("where, line", OURS, ids=[f"{where}: {line[:60]}" for where, line in OURS])
def test_the_command_understands_it(where, line):
    name, *arguments = words(line.replace("$K", "0"))
    assert main.commands[name].make_context(name, arguments)


@pytest.fixture(scope="module")
def there(trained, tmp_path_factory):
    "A folder with what the README's lines name."
    folder = tmp_path_factory.mktemp("readme")
    write_pairs(folder / "pairs", n=6, size=128, seed=900_000)  # patients that no shipped weights have seen
    for name in ("results_a", "results_b"): shutil.copytree(folder / "pairs/target", folder / name)
    write_pairs(folder / "their_films", n=2, size=64, seed=950_000)
    for name in ("films", "hospital/ward"): shutil.copytree(folder / "pairs/source", folder / name)
    shutil.copytree(trained, folder / "run")
    return folder


MADE = {"suppress": "suppressed/sim_900000.png", "archive": "archived/ward/sim_900000.png", "evaluate": "figures.json",
        "export": "generator.onnx", "benchmark": "comparison"}


@pytest.mark.parametrize("line", [line for where, line in OURS if where == "README.md" and words(line)[0] not in MINUTES], ids=lambda line: line[:40])
def test_the_readmes_lines_make_what_they_say(line, there):
    name, *arguments = words(line)
    run(*COMMAND, name, *arguments, cwd=there)
    assert (there / MADE[name]).exists()
