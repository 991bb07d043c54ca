"""The command through its real entry points: what it does, what it says, and its exit status."""
import json, os, pty, re, shlex, shutil, signal, subprocess, termios, time
from html.parser import HTMLParser
from pathlib import Path

import cv2, numpy as np, pytest
from helpers.project import COMMAND, ROOT, copy_project, python, run, settings, tool
from pydicom import uid
from helpers.little_runs import whole_files

from bss_gan.cli import main
from bss_gan.images import OUTPUTS, example_film, write_film
from bss_gan.dicom import open_film
from bss_gan.export import shipped_weights
from bss_gan.simulation import write_pairs

SYNTAXES = [uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian, uid.DeflatedExplicitVRLittleEndian, uid.RLELossless, uid.JPEGBaseline8Bit,
            uid.JPEGExtended12Bit, uid.JPEGLossless, uid.JPEGLosslessSV1, uid.JPEGLSLossless, uid.JPEGLSNearLossless, uid.JPEG2000Lossless,
            uid.JPEG2000, uid.HTJ2KLossless, uid.HTJ2K]
ROWS = {"mae", "psnr", "psnr_fit", "ssim", "ms_ssim", "bsr", "suppression"}


def command(*arguments, **options):
    "Runs bss-gan; whatever happens, no traceback is shown."
    done = run(*COMMAND, *arguments, **options)
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    "A folder with an 8-bit film, a 16-bit one, a bone-dark one, a JPEG and a text file that calls itself a film."
    folder = tmp_path_factory.mktemp("films")
    grey = cv2.resize(cv2.imread(str(example_film()), cv2.IMREAD_UNCHANGED), (181, 203), interpolation=cv2.INTER_AREA)
    for name, pixels in {"eight.png": grey, "sixteen.png": np.uint16(grey) * 257, "dark.png": 255 - grey, "photo.jpg": grey}.items():
        cv2.imwrite(str(folder / name), pixels)
    (folder / "letter.png").write_text("Dear colleague,")
    return folder


def test_installed_script_and_module_are_the_same_command():
    assert run(tool("bss-gan"), "--help").stdout == run(*COMMAND, "--help").stdout


@pytest.mark.parametrize("arguments", [
    ["nonsense"], ["train"], ["suppress"], ["suppress", "film.png"], ["evaluate"], ["export", "--weights", "baseline"],
    ["train", "--data", ".", "--out", "run", "--preset", "best"], ["train", "--data", ".", "--out", "run", "--epochs", "many"],
    ["export", "--weights", "baseline", "--format", "pickle", "--out", "x"],
    ["benchmark"], ["benchmark", "--data", "."], ["benchmark", "--data", ".", "--peer", "theirs"], ["benchmark", "--data", ".", "--peer", "=."],
    ["benchmark", "--data", ".", "--peer", "identity=."], ["benchmark", "--data", ".", "--peer", "a=x", "--peer", "a=y"],
], ids=" ".join)
def test_wrong_usage_ends_in_status_2(arguments, tmp_path):
    assert "Usage: bss-gan" in command(*arguments, cwd=tmp_path, status=2).stderr


def test_train_writes_the_run_folder(trained):
    for part in ("config.json", "history.csv", "split.json", "checkpoints", "losses.png", "samples/epoch_001.png", "samples/epoch_003.png",
                 "generator.json", "generator.weights.h5", "discriminator.json", "discriminator.weights.h5"):
        assert (trained / part).exists(), part
    assert len((trained / "history.csv").read_text().splitlines()) == 1 + 3


def test_train_does_not_start_over_in_a_used_folder(trained, pairs):
    before = (trained / "generator.weights.h5").read_bytes()
    command("train", "--data", pairs, "--out", trained, "--preset", "baseline", "--epochs", "3", status=1)
    assert (trained / "generator.weights.h5").read_bytes() == before


def test_suppress_gives_films_back_as_they_came_and_names_the_bad_one(films, trained, tmp_path):
    done = command("suppress", films, "--out", tmp_path, "--weights", trained, status=1)
    assert "letter.png" in done.stderr
    assert "Shadow Suppression Detected" in done.stdout
    assert {path.name for path in tmp_path.glob("*.png")} >= {"eight.png", "sixteen.png", "dark.png", "photo.png"}
    for name in ("eight", "sixteen", "dark"):
        before, after = (cv2.imread(str(folder / f"{name}.png"), cv2.IMREAD_UNCHANGED) for folder in (films, tmp_path))
        assert (after.shape, after.dtype) == (before.shape, before.dtype)
        assert open_film(tmp_path / f"{name}.png").bone_dark == (name == "dark")


def test_suppress_without_a_bad_film_ends_in_status_0(films, trained, tmp_path):
    command("suppress", films / "eight.png", films / "dark.png", "--out", tmp_path, "--weights", trained, "--pictures", tmp_path / "pictures")
    for folder in (tmp_path, tmp_path / "pictures"): assert {path.name for path in folder.glob("*.png")} >= {"eight.png", "dark.png"}


def test_unknown_weights_are_named(films, tmp_path):
    assert "nosuch" in command("suppress", films / "eight.png", "--out", tmp_path, "--weights", "nosuch", status=1).stderr
    assert list(tmp_path.iterdir()) == []


def test_evaluate_reports_identity_beside_the_model_on_patients_not_trained_on(pairs, trained, tmp_path):
    done = command("evaluate", "--data", pairs, "--weights", trained, "--size", "120", "--json", tmp_path / "table.json")
    assert "identity" in done.stdout
    table = json.loads((tmp_path / "table.json").read_text())
    kept = json.loads((trained / "split.json").read_text())["test"]
    assert sorted(row["case"] for row in table["cases"]) == sorted(case for case, _ in kept)
    assert table["n"] == len(kept)
    assert set(table["identity"]) >= ROWS and set(table["model"]) >= ROWS
    assert abs(table["identity"]["suppression"]) < 1e-6


def test_evaluate_scores_the_predictions_of_another_system(pairs, tmp_path):
    table = tmp_path / "table.json"
    command("evaluate", "--data", pairs, "--predictions", pairs / "target", "--json", table)
    assert json.loads(table.read_text())["model"]["suppression"] > 0.99
    command("evaluate", "--data", pairs, "--predictions", pairs / "source", "--json", table)
    assert abs(json.loads(table.read_text())["model"]["suppression"]) < 0.01


def test_benchmark_compares_systems_on_the_same_unseen_patients(pairs, trained, tmp_path):
    table = tmp_path / "table.json"
    done = command("benchmark", "--data", pairs, "--peer", f"perfect={pairs / 'target'}", "--peer", f"nothing={pairs / 'source'}",
                   "--weights", trained, "--json", table, "--out", tmp_path / "out")
    report, kept = json.loads(table.read_text()), json.loads((trained / "split.json").read_text())["test"]
    assert list(report["systems"]) == ["identity", "perfect", "nothing", str(trained)]
    assert sorted(row["case"] for row in report["cases"]) == sorted(case for case, _ in kept)
    assert "trained or validated" in done.stdout and "| identity |" in done.stdout
    assert report["systems"]["perfect"]["suppression"] > 0.99 and abs(report["systems"]["nothing"]["suppression"]) < 0.01
    assert {path.name for path in (tmp_path / "out").iterdir()} - {OUTPUTS} == {"benchmark.md", "benchmark.json", "benchmark.png", "worst.png"}


def test_benchmark_names_missing_films_and_scores_all_on_the_others(pairs, tmp_path):
    lacking = tmp_path / "lacking"
    shutil.copytree(pairs / "target", lacking)
    (lacking / "sim_3.png").unlink()
    done = command("benchmark", "--data", pairs, "--peer", f"a={lacking}", "--peer", f"b={pairs / 'source'}", "--json", tmp_path / "table.json", status=1)
    assert "sim_3.png" in done.stderr and "| b |" in done.stdout
    cases = json.loads((tmp_path / "table.json").read_text())["cases"]
    assert len(cases) == 9 and "sim_3.png" not in [case["file"] for case in cases]


def test_benchmark_says_which_folder_is_not_there(pairs, tmp_path):
    assert "nosuch" in command("benchmark", "--data", pairs, "--peer", f"a={tmp_path / 'nosuch'}", status=1).stderr


def test_benchmark_finds_a_patient_under_another_name(pairs, tmp_path):
    film = open_film(pairs / "source" / "sim_4.png").xray
    write_film(tmp_path / "theirs" / "0001.png", 1 - film[:, ::-1])
    done = command("benchmark", "--data", pairs, "--peer", f"a={pairs / 'target'}", "--trained-on", tmp_path / "theirs", "--json", tmp_path / "table.json")
    assert re.search(r"left out, looks like \S+0001.png .*sim_4.png", done.stdout)
    assert "sim_4.png" not in [case["file"] for case in json.loads((tmp_path / "table.json").read_text())["cases"]]
    done = command("benchmark", "--data", pairs, "--peer", f"a={pairs / 'target'}", "--trained-on", pairs, status=1)
    assert "No patient" in done.stderr


def test_export_gives_a_savedmodel_that_runs_without_the_library(trained, tmp_path):
    command("export", "--weights", trained, "--format", "savedmodel", "--out", tmp_path / "saved")
    code = ("import sys, tensorflow as tf; model = tf.saved_model.load(sys.argv[1]); "
            "soft = model.serve(tf.zeros([1, 120, 120, 1])); print(soft.shape, 'bss_gan' in sys.modules)")
    assert run(COMMAND[0], "-c", code, tmp_path / "saved").stdout.strip() == "(1, 120, 120, 1) False"


# Help, wrong usage, completion

def examples():
    "Every example of the help texts, as (command, line)."
    return [(name, line.partition("  #")[0].strip()) for name, command in main.commands.items() for line in command.examples]


def words(line):
    "The arguments that the shell would hand to the command in a line."
    return shlex.split(re.sub(r' > \S+$|^eval "\$\(|\)"$', "", line))[1:]


@pytest.mark.parametrize("name, line", examples(), ids=lambda text: text)
def test_every_example_of_the_help_is_a_line_that_the_command_understands(name, line):
    command_name, *arguments = words(line)
    assert command_name == name and main.commands[name].make_context(name, arguments)


def test_every_command_shows_examples():
    for name in main.commands:
        said = command(name, "--help").stdout
        assert "Examples:\n  " in said and f"bss-gan {name}" in said.partition("Examples:")[2] and "--quiet" in said


@pytest.fixture(scope="module")
def shell(films, tmp_path_factory):
    "A folder in which the examples can be typed as they stand, and a function that types a line in bash."
    folder = tmp_path_factory.mktemp("shell")
    write_pairs(folder / "pairs", n=6, size=128, seed=900_000)  # whom no shipped weights have met
    shutil.copytree(folder / "pairs/target", folder / "theirs")
    for name in ("ward", "films", "hospital"): shutil.copytree(films, folder / name, ignore=shutil.ignore_patterns("letter.png"))
    shutil.copy(films / "eight.png", folder / "film.png")
    (folder / ".config/fish/completions").mkdir(parents=True)
    (folder / "bin").mkdir()
    (folder / "bin/bss-gan").write_text(f'#!/bin/sh\nexec {shlex.join(COMMAND)} "$@"\n')
    (folder / "bin/bss-gan").chmod(0o755)
    return lambda line, **options: run("bash", "-c", line, cwd=folder, env={"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "HOME": str(folder)}, **options)


@pytest.mark.parametrize("line", [line for name, line in examples() if name not in ("train", "demo") and "onnx" not in line and "zsh" not in line])
def test_the_examples_run_in_bash(line, shell):  # training takes minutes, ONNX and zsh have to be installed: these are only parsed, above
    assert "Traceback" not in shell(line).stderr


@pytest.mark.parametrize("typed, meant", [("supress", "suppress"), ("evalute", "evaluate"), ("dctor", "doctor")])
def test_a_mistyped_command_is_told_what_was_meant(typed, meant):
    assert f"Did you mean '{meant}'?" in command(typed, status=2).stderr


def test_a_mistyped_option_and_a_forgotten_command_are_told_what_was_meant(films):
    assert "--data" in command("evaluate", "--dta", "pairs", status=2).stderr.partition("Error")[2]
    assert "bss-gan suppress" in command(films / "eight.png", "--out", "x", status=2).stderr


@pytest.mark.parametrize("typed, offered", [
    ("bss-gan su", {"suppress"}), ("bss-gan train --preset ch", {"chest", "chest-sim"}), ("bss-gan suppress --weights chest-", {"chest-v1", "chest-sim-v1"}),
    ("bss-gan archive --engine r", {"ray"}), ("bss-gan evaluate --pre", {"--predictions"}), ("bss-gan completion ", {"bash", "zsh", "fish"}),
])
def test_bash_completes(typed, offered, shell):
    words = typed.split(" ")
    complete = f"COMP_WORDS=({' '.join(map(shlex.quote, words))}); COMP_CWORD={len(words) - 1}; _bss_gan_completion bss-gan {words[-1]!r} {words[-2]!r}"
    said = shell(f'eval "$(bss-gan completion bash)"; complete -p bss-gan; {complete}; printf "%s\\n" "${{COMPREPLY[@]}}"').stdout.splitlines()
    assert "_bss_gan_completion" in said[0] and set(said[1:]) == offered


def test_zsh_and_fish_get_lines_of_their_own():
    assert "#compdef bss-gan" in command("completion", "zsh").stdout
    assert "complete --no-files --command bss-gan" in command("completion", "fish").stdout


# Figures for programs, quiet, verbose, colour

@pytest.fixture(scope="module")
def tree(films, tmp_path_factory):
    "A tree of films of which none is bad."
    folder = tmp_path_factory.mktemp("tree")
    shutil.copytree(films, folder / "north", ignore=shutil.ignore_patterns("letter.png"))
    return folder


def lines(pairs, trained, films, tree, out):
    "A line for each command that gives figures, and a name that these have."
    return {
        "simulate": (["--out", out / "made", "--films", 2, "--size", 64], "seeds"),
        "train": (["--data", pairs, "--out", out / "run", "--epochs", 1], "history"),
        "suppress": ([films / "eight.png", "--out", out / "films", "--weights", trained], "films"),
        "evaluate": (["--data", pairs, "--weights", trained], "identity"),
        "benchmark": (["--data", pairs, "--peer", f"nothing={pairs / 'source'}"], "systems"),
        "archive": (["--in", tree, "--out", out / "archive", "--weights", trained, "--workers", 1], "done"),
        "export": (["--weights", trained, "--format", "savedmodel", "--out", out / "saved"], "format"),
        "doctor": ([], "findings"),
    }


def test_every_command_has_a_way_to_give_figures():
    with_json = {name for name, command in main.commands.items() if any(option.name == "json_file" for option in command.params)}
    assert with_json == {*main.commands} - {"completion"} == {*lines(*[Path()] * 5), "demo"}


@pytest.mark.parametrize("name", lines(*[Path()] * 5))
def test_json_on_standard_output_is_nothing_but_json(name, pairs, trained, films, tree, tmp_path):
    arguments, figure = lines(pairs, trained, films, tree, tmp_path)[name]
    done = command(name, *arguments, "--json", "-")
    assert figure in json.loads(done.stdout) and done.stderr


@pytest.mark.parametrize("name", lines(*[Path()] * 5))
def test_quiet_says_nothing_but_writes_figures(name, pairs, trained, films, tree, tmp_path):
    arguments, figure = lines(pairs, trained, films, tree, tmp_path)[name]
    done = command(name, *arguments, "--quiet", "--json", tmp_path / "figures.json")
    assert (done.stdout, done.stderr) == ("", "") and figure in json.loads((tmp_path / "figures.json").read_text())


def test_quiet_still_says_what_failed(films, trained, tmp_path):
    done = command("suppress", films, "--out", tmp_path, "--weights", trained, "-q", status=1)
    assert done.stdout == "" and "letter.png" in done.stderr


def test_verbose_shows_versions_and_the_traceback(tmp_path):
    done = run(*COMMAND, "evaluate", "--data", tmp_path / "nowhere", "-v", status=1)
    assert "bss_gan 0." in done.stderr and "Traceback" in done.stderr and "BadFolder" in done.stderr
    assert "Traceback" not in command("evaluate", "--data", tmp_path / "nowhere", status=1).stderr


def on_terminal(*arguments, **variables):
    "What a command writes on a terminal."
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(ours, (24, 100))
    process = subprocess.Popen([*COMMAND, *map(str, arguments)], stdout=theirs, stderr=theirs, env={**os.environ, "TERM": "xterm", **variables})
    os.close(theirs)
    said = b""
    try:
        while part := os.read(ours, 65536): said += part
    except OSError: pass  # a terminal that nobody writes to any more ends so on Linux
    os.close(ours)
    return process.wait(), said.decode()


def test_colour_and_bars_are_for_terminals_only(trained, tree, tmp_path):
    suppress = ["suppress", tree / "north", "--out", tmp_path, "--weights", trained]
    assert "\033[32m" in on_terminal("doctor", NO_COLOR="")[1]
    assert "\033" not in on_terminal("doctor", NO_COLOR="1")[1]
    assert "\033" not in command("doctor").stdout
    assert "film/s" in on_terminal(*suppress)[1]
    assert "film/s" not in command(*suppress).stderr and "suppressing: 4 of 4" in command(*suppress).stderr


# Ctrl-C

def interrupted(*arguments, sign, number=signal.SIGINT, group=True, cwd=None):
    "Starts a command, and when the sign is there sends it a signal, by default as a terminal does it, to all its processes: what it says."
    process = subprocess.Popen([*COMMAND, *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True, cwd=cwd)
    until = time.monotonic() + 120
    while not sign():
        assert process.poll() is None and time.monotonic() < until, process.communicate()[1]
        time.sleep(0.02)
    (os.killpg if group else os.kill)(process.pid, number)
    error = process.communicate(timeout=60)[1]
    assert process.returncode == 128 + number and "Traceback" not in error and "Stopped. " in error, error
    return error


def parts(folder):
    "Files that were begun and not finished."
    return [path.name for path in folder.rglob("*") if ".part" in path.name]


def line_to_go_on(error):
    "The arguments of the line that a stopped command names."
    return shlex.split(re.search(r": bss-gan (.*)", error)[1])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl_c", "sigterm"])
def test_a_stopped_training_names_the_line_that_goes_on(number, pairs, tmp_path):
    out = tmp_path / "a run"
    train = ["train", "--data", pairs, "--out", out, "--epochs", 40]
    error = interrupted(*train, sign=(out / "samples/epoch_002.png").exists, number=number, group=number == signal.SIGINT)
    again = line_to_go_on(error)
    assert "keeps every finished epoch" in error and again == [*map(str, train), "--resume"] and whole_files(out) and not parts(out)
    error = interrupted(*again, sign=(out / "samples/epoch_006.png").exists)
    assert line_to_go_on(error) == again and len((out / "history.csv").read_text().splitlines()) >= 7


def test_a_training_stopped_in_its_first_epoch_starts_again(pairs, tmp_path):
    train = ["train", "--data", pairs, "--out", tmp_path / "run", "--epochs", 40]
    error = interrupted(*train, sign=(tmp_path / "run/config.json").exists)
    assert "nothing to continue" in error and line_to_go_on(error) == list(map(str, train))


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    "A folder of forty films that take a while."
    folder = tmp_path_factory.mktemp("many")
    film = cv2.resize(cv2.imread(str(example_film()), cv2.IMREAD_UNCHANGED), (1800, 1900))
    for number in range(40): cv2.imwrite(str(folder / f"{number:02}.png"), film)
    return folder


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl_c", "sigterm"])
def test_stopped_suppression_leaves_whole_films_only(number, many, tmp_path):
    suppress = ["suppress", many, "--out", tmp_path / "out"]
    error = interrupted(*suppress, sign=lambda: (tmp_path / "out").exists() and any((tmp_path / "out").glob("*.png")), number=number)
    assert line_to_go_on(error) == list(map(str, suppress)) and 0 < len(whole_files(tmp_path / "out")) < 40 and not parts(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl_c", "sigterm"])
def test_a_stopped_archive_goes_on_with_the_same_line(number, many, tmp_path):
    out = tmp_path / "out"
    archive = ["archive", "--in", many, "--out", out, "--workers", 2]
    error = interrupted(*archive, sign=lambda: out.exists() and any(out.glob("*.png")), number=number, group=number == signal.SIGINT)
    done = len(whole_files(out)) - 1  # manifest.jsonl
    assert line_to_go_on(error) == list(map(str, archive)) and 0 < done < 40 and not parts(out)
    counts = json.loads(command(*line_to_go_on(error), "--json", "-").stdout)
    assert (counts["done"], counts["now"]) == (40, 40 - done)


@pytest.mark.parametrize("sign", ["demo.json", "pairs/source/sim_2.png", "runs/baseline/history.csv"])
def test_a_stopped_demo_goes_on_with_the_same_line(sign, tmp_path):
    error = interrupted("demo", "--out", tmp_path / "demo", sign=(tmp_path / "demo" / sign).exists)
    assert line_to_go_on(error) == ["demo", "--out", str(tmp_path / "demo")] and not parts(tmp_path) and whole_files(tmp_path / "demo")


def test_stopped_simulation_leaves_whole_films_only(tmp_path):
    simulate = ["simulate", "--out", tmp_path / "made", "--films", 400, "--size", 256]
    error = interrupted(*simulate, sign=lambda: (tmp_path / "made/target").exists() and not time.sleep(0.2))  # while its workers start
    assert line_to_go_on(error) == list(map(str, simulate)) and not parts(tmp_path)


# Doctor

def doctor(*path, status=1):
    "What the doctor finds, as what -> (found, advice), with folders in front of the path of Python."
    done = command("doctor", "--json", "-", status=status, cwd=path[0], env={"PYTHONPATH": os.pathsep.join(map(str, path))})
    report = json.loads(done.stdout)
    assert report["ok"] == (status == 0)
    faults = {finding["what"]: finding for finding in report["findings"] if finding["advice"]}
    for finding in faults.values(): assert finding["found"] in done.stderr and finding["advice"] in done.stderr
    return report["findings"], faults


def test_doctor_finds_nothing_wrong_here_and_looks_at_everything_that_the_library_needs():
    findings, _ = doctor(ROOT, status=0)
    looked_at = {finding["what"] for finding in findings}
    needed = {re.split("[<>=]", requirement)[0] for requirement in settings()["requirements"].split()}
    assert looked_at >= needed | {f"weights {name}" for name in shipped_weights()} | {"Python", "training", "memory", "PNG", "disk, here"}
    assert {f"DICOM, {syntax.name}" for syntax in SYNTAXES} <= looked_at


def test_doctor_finds_a_flipped_byte_in_weights(tmp_path):
    weights = copy_project(tmp_path) / "bss_gan/weights"
    for file, place in (("chest-v1.weights.h5", 1_000_000), ("baseline.discriminator.weights.h5", 100_000)):
        data = bytearray((weights / file).read_bytes())
        data[place] ^= 1
        (weights / file).write_bytes(data)
    _, faults = doctor(tmp_path)
    assert {*faults} == {"weights chest-v1", "weights baseline"}
    assert all("SHA-256" in fault["found"] and "pip install" in fault["advice"] for fault in faults.values())


def test_doctor_finds_a_package_that_cannot_be_imported(tmp_path):
    (tmp_path / "imagecodecs.py").write_text("raise ImportError('torn')")
    _, faults = doctor(tmp_path, ROOT)
    broken = {"imagecodecs", "Every kind of film file, opened"}  # what needs it
    assert broken < {*faults} and all("torn" in fault["found"] for fault in faults.values())


BROKEN = """
import collections, imagecodecs, shutil
from PIL import Image

def not_built(*arguments, **options): raise RuntimeError("not built")

right = imagecodecs.jpegls_decode
imagecodecs.jpeg2k_decode, imagecodecs.jpegls_decode = not_built, lambda *arguments: right(*arguments) ^ 8
Image.init()
del Image.OPEN["TIFF"]
shutil.disk_usage = lambda folder: collections.namedtuple("Usage", "free")(10**8)
"""


def test_doctor_finds_decoders_that_fail_or_lie_and_a_full_disk(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(BROKEN)
    (tmp_path / "matplotlib.py").write_text("raise ImportError('torn')")
    findings, faults = doctor(tmp_path, ROOT)
    syntaxes = {finding["what"] for finding in findings if "JPEG-LS" in finding["what"] or "JPEG 2000" in finding["what"]}
    assert len(syntaxes) >= 4 and {*faults} == syntaxes | {"disk, here", "disk, temporary files", "matplotlib"}
    assert "not built" in str(faults) and "other grey values" in str(faults)


def test_doctor_finds_a_graphics_processor_that_tensorflow_does_not_see(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("from pathlib import Path\nright = Path.exists\nPath.exists = lambda path, **how: str(path) == '/dev/nvidia0' or right(path, **how)")
    _, faults = doctor(tmp_path, ROOT)
    assert [*faults] == ["training"] and "and-cuda" in str(faults)


# Pages

class Page(HTMLParser):
    "A page whose tags are checked as it is read: all closed in order, nothing from outside, every picture with a text."
    EMPTY = {"meta", "img"}

    def __init__(self, path):
        super().__init__()
        self.open, self.pictures, self.text, self.heads = [], [], path.read_text(), []
        assert self.text.startswith("<!doctype html>") and not re.search(r"https?:|url\(|@import|<script|<link", self.text)
        self.feed(self.text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag not in self.EMPTY: self.open.append(tag)
        for name in {"src", "href", "srcset"} & {*attributes}: assert attributes[name].startswith("data:image/png;base64,")
        if tag == "html": assert attributes["lang"] == "en"
        if tag == "img": self.pictures.append(attributes["alt"])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] in (["h1"], ["h2"]): self.heads.append(data)


def check_page(page):
    assert "Not for diagnosis" in page.text and "width=device-width" in page.text and "color-scheme: light dark" in page.text
    assert all(page.pictures)
    return page


def test_the_page_on_an_evaluation_shows_the_worst_first_and_identity(pairs, trained, tmp_path):
    command("evaluate", "--data", pairs, "--weights", trained, "--json", tmp_path / "table.json", "--report", tmp_path / "page.html")
    page, table = check_page(Page(tmp_path / "page.html")), json.loads((tmp_path / "table.json").read_text())
    worst = sorted(table["cases"], key=lambda case: case["suppression"])
    assert [text.split()[0] for text in page.pictures] == [case["file"] for case in worst[:4]]
    assert f"{table['identity']['psnr']:.2f}" in page.text and "identity (do nothing)" in page.text and "trained or validated" in page.text
    assert "as confidential as the films" in page.text
    command("evaluate", "--data", pairs, "--predictions", pairs / "target", "--report", tmp_path / "theirs.html")
    assert "target" in check_page(Page(tmp_path / "theirs.html")).heads[0]


def test_the_page_on_suppressed_films_shows_failures_and_low_scores_first(films, trained, tmp_path):
    (tmp_path / "in").mkdir()
    for path in films.iterdir(): shutil.copy(path, tmp_path / "in" / f"<{path.name}")
    command("suppress", tmp_path / "in", "--out", tmp_path / "out", "--weights", trained, "--json", tmp_path / "films.json", "--report", tmp_path / "page.html", status=1)
    page = check_page(Page(tmp_path / "page.html"))
    done = sorted((film for film in json.loads((tmp_path / "films.json").read_text())["films"] if film["ok"]), key=lambda film: film["score"])
    assert [text.split()[0] for text in page.pictures] == [Path(film["source"]).name for film in done]
    assert page.text.index("letter.png") < page.text.index("<img") and "bone layer" in page.text and "as confidential as the films" in page.text


def test_the_page_of_the_demo(tmp_path):
    code = ("from pathlib import Path; import sys; from bss_gan.demo import Demo, run_demo; run_demo(Path(sys.argv[1]), "
            "Demo(films=14, size=64, baseline_epochs=1, residual_epochs=1, residual_size=64, residual_crop=32))")
    python("-c", code, tmp_path / "demo")
    page = check_page(Page(tmp_path / "demo/report.html"))
    assert page.heads[1:4] == ["How good is it?", "baseline: the worst of 2 films", "residual: the worst of 2 films"] and len(page.pictures) == 9
