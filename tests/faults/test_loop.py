"""The loop over films, in a folder and in an archive: a fault costs one film, and no file of anybody else is overwritten.

Numbers are those of the table of faults found in public bug reports."""
import hashlib, json, os, pickle, shutil, signal, subprocess, sys, time
from pathlib import Path

import cv2, numpy as np, pytest
from helpers.project import python
from helpers.archives import manifest, run_folder, write_films

from bss_gan.archive import archive
from bss_gan.dicom import open_film
from bss_gan.files import owns
from bss_gan.images import BadInput, example_film
from bss_gan.testing import FAINT, LABELS, load_suppressor, suppress_file, suppress_files


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return run_folder(tmp_path_factory.mktemp("weights") / "tiny")


@pytest.fixture
def ward(tmp_path):
    "Two films, and what else a folder holds."
    folder = tmp_path / "ward"
    (folder / "older").mkdir(parents=True)
    for name in ("a.png", "b.png"): shutil.copy(example_film(), folder / name)
    (folder / "notes.txt").write_text("All well.")
    return folder


def checksums(folder):
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*")
            if path.is_file() and path.name[0] != "." and path.name != "manifest.jsonl"}


@pytest.mark.parametrize("loop", ["folder", "archive"])
def test_6_7_no_file_of_anybody_else_is_overwritten(loop, ward, tiny, tmp_path):
    out = tmp_path / "out"
    if loop == "archive": archive(ward, out, tiny, workers=1)
    else: suppress_files(ward, out, load_suppressor(tiny))
    (out / "a.png").write_text("a thesis")                 # replaces a result
    shutil.copy(example_film(), ward / "c.png")
    (out / "c.png").write_text("another")                  # where a result would go
    for film in ward.glob("*.png"): os.utime(film)         # to the archive, all films are new
    before = checksums(out)
    if loop == "archive":
        counts = archive(ward, out, tiny, workers=1)
        assert (counts["done"], counts["quarantined"]) == (1, 2)
        reasons = {path: row["reason"] for path, row in manifest(out).items()}
    else:
        results = {result.source.name: result for result in suppress_files(ward, out, load_suppressor(tiny))}
        assert [name for name, result in results.items() if result.ok] == ["b.png"]
        reasons = {name: result.message for name, result in results.items()}
    assert "a.png: has been changed since bss_gan wrote it" in reasons["a.png"]
    assert "c.png: was not written by bss_gan" in reasons["c.png"]
    after = checksums(out)
    assert {name for name in after if after[name] != before[name]} <= {"b.png"}


def test_6_a_film_beside_the_result(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cv2.imwrite("scan.jpg", cv2.imread(str(example_film()), 0))
    shutil.copy(example_film(), "scan.png")
    before = checksums(tmp_path)
    result, = suppress_files("scan.jpg", ".", load_suppressor(tiny))
    assert not result.ok and "scan.png: was not written by bss_gan" in result.message and checksums(tmp_path) == before


@pytest.mark.parametrize("loop", ["folder", "archive"])
def test_121_pipes_and_sockets_do_not_hang(loop, ward, tiny, tmp_path):
    for name in ("pipe.png", "pipe.dcm", "pipe"): os.mkfifo(ward / name)
    if loop == "archive":
        counts = archive(ward, tmp_path / "out", tiny, workers=1, timeout=5)
        assert (counts["done"], counts["skipped"]) == (2, 4)
        return
    results = {result.source.name: result for result in suppress_files(ward, tmp_path / "out", load_suppressor(tiny))}
    assert all(results[name].skipped and "pipe" in results[name].message for name in ("pipe.png", "pipe.dcm", "pipe"))
    result, = suppress_files(ward / "pipe.png", tmp_path / "out", load_suppressor(tiny))
    assert not result.ok and not result.skipped and "is not a file but a pipe" in result.message


LONG = "胸" * 82 + ".png"  # 250 bytes


@pytest.mark.parametrize("loop", ["folder", "archive"])
def test_123_a_strange_name_costs_one_film_at_most(loop, ward, tiny, tmp_path):
    out = tmp_path / "out"
    names = [LONG, os.fsdecode(b"R\xf6ntgen.png"), "é\n1.png"]
    for name in names: shutil.copy(example_film(), ward / name)
    (out / "b.png").mkdir(parents=True) if loop == "folder" else None
    if loop == "archive":
        counts = archive(ward, out, tiny, workers=1)
        assert (counts["done"], counts["quarantined"]) == (5, 0)
    else:
        results = {result.source.name: result for result in suppress_files(ward, out, load_suppressor(tiny))}
        assert {name for name, result in results.items() if not (result.ok or result.skipped)} == {"b.png"}
        assert "b.png: is a folder" in results["b.png"].message
    assert all((out / name).is_file() for name in names)


def test_126_127_everything_not_done_is_listed(ward, tiny, tmp_path):
    for name in ("scan.dcm.gz", "films.zip"): (ward / name).write_bytes(b"PK\3\4" + bytes(100))
    results = suppress_files(ward, tmp_path / "out", load_suppressor(tiny))
    assert [result.source.name for result in results] == ["a.png", "b.png", "films.zip", "notes.txt", "older", "scan.dcm.gz"]
    assert [result.ok for result in results] == [True, True] + 4 * [False] and all(result.skipped for result in results[2:])
    assert "archive" in next(result.message for result in results if result.source.name == "older")
    (tmp_path / "tree/older").mkdir(parents=True)
    with pytest.raises(BadInput, match="holds no films.*bss-gan archive"):
        suppress_files(tmp_path / "tree", tmp_path / "out", load_suppressor(tiny))


def test_128_129_151_152_a_film_may_be_named_in_any_way(ward, tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(ward)
    suppressor = load_suppressor(tiny)
    results = suppress_files(["a.png", ward / "a.png", Path("older/../a.png"), "-"], "../out", suppressor)
    assert [result.ok for result in results] == [True, False] and "standard input" in results[1].message
    assert str(suppress_file("b.png", "../out/b.png", suppressor)).startswith("b.png: ")
    assert [result.ok for result in suppress_files("b.png", str(tmp_path / "out"), suppressor)] == [True]
    assert owns(tmp_path / "out/a.png") and owns(tmp_path / "out/b.png")


def test_an_unforeseen_error_costs_one_film(ward, tiny, tmp_path, monkeypatch):
    import bss_gan.testing
    opened = bss_gan.testing.open_film

    def fault(path, *more):
        if Path(path).name == "a.png": raise RuntimeError("out of colours")
        return opened(path, *more)

    monkeypatch.setattr(bss_gan.testing, "open_film", fault)
    results = suppress_files([ward / "a.png", ward / "b.png"], tmp_path / "out", load_suppressor(tiny))
    assert [result.ok for result in results] == [False, True] and "a.png: could not be done" in results[0].message


def test_150_a_suppressor_travels(tiny):
    suppressor = load_suppressor(tiny)
    xray = open_film(example_film()).xray
    assert np.array_equal(pickle.loads(pickle.dumps(suppressor)).suppress(xray), suppressor.suppress(xray))


def test_insisting_tries_quarantined_films_again(tiny, tmp_path):
    write_films(tmp_path / "films", 3)
    cv2.imwrite(str(tmp_path / "films/ramp.png"), np.tile(np.arange(0, 256, 4, dtype=np.uint8), (64, 1)))
    first = archive(tmp_path / "films", tmp_path / "out", tiny, workers=1)
    assert first["quarantined"] == 1
    again = archive(tmp_path / "films", tmp_path / "out", tiny, workers=1, insist=True)
    assert (again["now"], again["done"], again["quarantined"]) == (1, 4, 0)
    line = manifest(tmp_path / "out")["ramp.png"]
    assert line["score"] is None and "frontal chest film" in line["notes"][-1]
    assert archive(tmp_path / "films", tmp_path / "out", tiny, insist=True)["now"] == 0


# The verdict

@pytest.fixture(scope="module")
def chest():
    return load_suppressor("chest-v1"), open_film(example_film()).xray


@pytest.mark.parametrize("share", [0, 0.001, 0.02, 0.1])
def test_116_a_hardly_touched_film_is_never_detected(share, chest):
    suppressor, xray = chest
    soft = xray - share * (xray - suppressor.suppress(xray))
    label, score = suppressor.verdict(xray, soft)
    assert label == LABELS[0] and score < 0.5 and (share or score == 0)


def test_116_neither_is_a_flat_or_a_blank_film(chest):
    suppressor, _ = chest
    for grey in (0, 0.5, 1):
        flat = np.full((300, 280, 1), grey, np.float32)
        assert suppressor.verdict(flat, flat) == (LABELS[0], 0.0)


@pytest.mark.parametrize("name", ["jsrt_unpaired", "cxr", "cxr_more"])
def test_the_floor_is_far_below_every_real_bone_layer(name, chest, shared_data, tmp_path):
    films = sorted(path for path in (shared_data / name).iterdir() if path.suffix in (".png", ".jpg", ".jpeg"))[::12]
    for result in suppress_files(films, tmp_path, chest[0]):
        assert not result.ok or result.removed > 2 * FAINT and result.label == LABELS[1], result
