"""The command through its real entry points: what it does, what it says, and its exit status."""
import json, re, shutil

import cv2, numpy as np, pytest
from project import COMMAND, run, tool

from bss_gan.core import example_film, read_film, write_film

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
    ["nonsense"], ["train"], ["suppress"], ["suppress", "film.png"], ["evaluate"], ["export", "--weights", "seed"],
    ["train", "--data", ".", "--out", "run", "--preset", "best"], ["train", "--data", ".", "--out", "run", "--epochs", "many"],
    ["export", "--weights", "seed", "--format", "pickle", "--out", "x"],
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
    command("train", "--data", pairs, "--out", trained, "--preset", "seed", "--epochs", "3", status=1)
    assert (trained / "generator.weights.h5").read_bytes() == before


def test_suppress_gives_films_back_as_they_came_and_names_the_bad_one(films, trained, tmp_path):
    done = command("suppress", films, "--out", tmp_path, "--weights", trained, status=1)
    assert "letter.png" in done.stderr
    assert "Shadow Suppression Detected" in done.stdout
    assert {path.name for path in tmp_path.glob("*.png")} >= {"eight.png", "sixteen.png", "dark.png", "photo.png"}
    for name in ("eight", "sixteen", "dark"):
        before, after = (cv2.imread(str(folder / f"{name}.png"), cv2.IMREAD_UNCHANGED) for folder in (films, tmp_path))
        assert (after.shape, after.dtype) == (before.shape, before.dtype)
        assert read_film(tmp_path / f"{name}.png").bone_dark == (name == "dark")


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
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"benchmark.md", "benchmark.json", "benchmark.png", "worst.png"}


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
    film = read_film(pairs / "source" / "sim_4.png").xray
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
