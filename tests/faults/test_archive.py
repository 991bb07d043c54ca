"""A tree of films, killed at any moment, ends as if nothing had happened; dead workers and full disks cost a retry and nothing else.

`python tests/faults/test_archive.py 20000` does as many small films and prints how much memory that took: some minutes."""
import hashlib, json, multiprocessing, os, random, shutil, signal, subprocess, sys, tempfile, threading, time
from pathlib import Path

import cv2, numpy as np, pytest
from helpers.archives import DONE, FILES, QUARANTINED, check_complete, contents, manifest, run_folder, write_films
from helpers.project import FULL, ROOT, python

import bss_gan.archive
from bss_gan.archive import archive
from bss_gan.images import BadInput, atomic_path, example_film

RUN = """
import json, sys
from bss_gan.archive import archive
if __name__ == "__main__":
    source, out, weights = sys.argv[1:]
    print(json.dumps(archive(source, out, weights, workers=2, progress=lambda counts: print(json.dumps(counts), flush=True))))
"""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return run_folder(tmp_path_factory.mktemp("weights") / "tiny")


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    "Films, and what else lies in an archive: 4 files for quarantine, 3 to skip."
    folder = tmp_path_factory.mktemp("archive") / "Röntgen films"
    write_films(folder, DONE)
    deep = folder / "00/Station 0"
    (deep / "empty.png").write_bytes(b"")
    (deep / "cut.png").write_bytes((deep / "3.png").read_bytes()[:900])
    (deep / "letter.jpg").write_text("Dear colleague,")
    assert cv2.imwrite(str(deep / "3.bmp"), cv2.imread(str(deep / "7.png")))  # its result would have the name 3.png, too
    (deep / ".DS_Store").write_bytes(b"\0")
    (deep / "notes.txt").write_text("none")
    (deep / "loop").symlink_to(folder)
    return folder


def times(folder):
    "Time and number of every entry below a folder, folders included."
    return {str(path): (path.lstat().st_mtime_ns, path.lstat().st_ino) for path in folder.rglob("*") if path.name != ".manifest.lock"}


@pytest.fixture(scope="module")
def whole(films, tiny, tmp_path_factory):
    "The output of an uninterrupted run."
    out, before = tmp_path_factory.mktemp("whole") / "out", (times(films), contents(films))
    check_complete(out, archive(films, out, tiny, workers=2))
    assert (times(films), contents(films)) == before, "the sources were touched"
    return out


def test_every_film_has_a_result_and_a_line(whole, films):
    done = {path: row for path, row in manifest(whole).items() if row["status"] == "done"}
    assert set(contents(whole)) == {str(Path(path).with_suffix(".png")) for path in done}
    for path, row in done.items():
        assert row["sha256_in"] == hashlib.sha256((films / path).read_bytes()).hexdigest()
        assert row["sha256_out"] == hashlib.sha256((whole / Path(path).with_suffix(".png")).read_bytes()).hexdigest()
        assert row["versions"]["bss_gan"] and row["seconds"] > 0 and row["model_sha256"]
    reasons = {Path(path).name: row["reason"] for path, row in manifest(whole).items() if row["status"] == "quarantined"}
    assert set(reasons) == {"empty.png", "cut.png", "letter.jpg", "3.png"} and "3.bmp" in reasons["3.png"]


def test_a_second_run_does_nothing(whole, films, tiny):
    before = times(whole), (whole / "manifest.jsonl").read_bytes()
    counts = archive(films, whole, tiny)
    assert counts["now"] == 0
    check_complete(whole, counts)
    assert (times(whole), (whole / "manifest.jsonl").read_bytes()) == before


def alive(group):
    "Processes of a process group that are not merely waiting to be buried."
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its_group = status.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(its_group) == group and state != "Z": found.append(status.parent.name)
    return found


def kill_somewhere(command, rng, everything):
    "Starts a run and kills it, on its first few films or before them; returns what it said, and whether it was over before."
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    said = [line for _, line in zip(range(rng.choice([0, 2, 3, 6])), process.stdout)]
    time.sleep(rng.uniform(0, 0.006) if said else rng.uniform(0, 1))
    over = process.poll() is not None
    if not over: os.killpg(process.pid, signal.SIGKILL) if everything else process.kill()
    process.wait()
    deadline = time.monotonic() + 10
    while alive(process.pid) and time.monotonic() < deadline: time.sleep(0.02)
    if orphans := alive(process.pid): os.killpg(process.pid, signal.SIGKILL)
    assert not orphans, "workers outlive the run that started them"
    said += process.communicate()[0].splitlines()
    return [line for line in said if line.endswith(("}", "}\n"))], over


def test_killed_ten_times_it_ends_like_an_uninterrupted_run(films, tiny, whole, tmp_path):
    seed = random.randrange(10**6)
    rng, out, before = random.Random(seed), tmp_path / "out", (times(films), contents(films))
    command = [sys.executable, "-c", RUN, str(films), str(out), str(tiny)]
    kills, progress = 0, []
    for attempt in range(10):
        said, over = kill_somewhere(command, rng, everything=attempt % 2 == 0)
        kills += not over
        for line in said:
            counts = json.loads(line)
            assert sum(counts[name] for name in ("done", "quarantined", "skipped", "waiting")) == counts["files"] == FILES, f"seed {seed}"
        if said: progress.append(json.loads(said[0])["done"])
    assert kills == 10, f"seed {seed}: the run was over after {kills} kills: give it more films"
    assert progress == sorted(progress) and progress[-1] > 0, f"seed {seed}: a restart knows of less than was done"
    check_complete(out, archive(films, out, tiny, workers=2))
    assert contents(out) == contents(whole), f"seed {seed}"
    lines = (out / "manifest.jsonl").read_text(encoding="utf-8").count('"status": "done"')
    assert lines == DONE, f"seed {seed}: {lines - DONE} films were done again although they were in the list"
    assert (times(films), contents(films)) == before, "the sources were touched"


def test_a_killed_worker_costs_its_film_a_retry(films, tiny, whole, tmp_path):
    killed = []

    def kill(counts):
        if counts["now"] in (5, 20, 40):
            victim = multiprocessing.active_children()[len(killed) % 2]
            victim.kill()
            killed.append(victim.pid)

    check_complete(tmp_path / "out", archive(films, tmp_path / "out", tiny, workers=2, progress=kill))
    assert len(set(killed)) == 3
    assert contents(tmp_path / "out") == contents(whole)


def test_workers_share_the_cores(tiny):
    code = "import os, sys\nfrom bss_gan.archive import _prepare_worker\n_prepare_worker(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))\nprint(*os.sched_getaffinity(0))"
    every = os.sched_getaffinity(0)
    for places in (1, 2, len(every) + 1):
        shares = [{int(core) for core in python("-c", code, tiny, place, places).stdout.split()} for place in range(places)]
        assert set().union(*shares) == every and max(map(len, shares)) - min(map(len, shares)) <= 1
        assert sum(map(len, shares)) == max(len(every), places), "no core has two workers as long as there are enough"


def test_ctrl_c_lets_workers_finish_the_film_at_hand(films, tiny, whole, tmp_path):
    command, out = [sys.executable, "-c", RUN, str(films), str(tmp_path / "out"), str(tiny)], tmp_path / "out"
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    for _ in zip(range(10), process.stdout): pass
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does it: everybody gets it
    error = process.communicate(timeout=30)[1]
    assert process.returncode and error.rstrip().endswith("KeyboardInterrupt") and "SpawnProcess" not in error, error
    done = [path for path, row in manifest(out).items() if row["status"] == "done"]
    assert 0 < len(done) < DONE and len(contents(out)) == len(done)
    check_complete(out, archive(films, out, tiny, workers=2))
    assert contents(out) == contents(whole)


# A film that ends every process that reads it, as a fault in a decoder would: each new Python gets this on its way.
DEADLY = """
import os, signal
import bss_gan.archive
suppress = bss_gan.archive._suppress
def deadly(path, *rest):
    if path.name == "7.png":
        with open(os.environ["DEATHS"], "a") as file: file.write("x")
        os.kill(os.getpid(), signal.SIGKILL)
    return suppress(path, *rest)
bss_gan.archive._suppress = deadly
"""


def test_a_film_that_kills_its_workers_goes_to_quarantine(films, tiny, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(DEADLY)
    env = {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]), "DEATHS": str(tmp_path / "deaths")}
    done = python("-c", RUN, films, tmp_path / "out", tiny, env=env)
    deadly = [path for path in manifest(tmp_path / "out") if path.endswith("/7.png")]
    assert (tmp_path / "deaths").read_text() == "xxx" * len(deadly) and len(deadly) == 3
    assert all("ended 3 worker processes" in manifest(tmp_path / "out")[path]["reason"] for path in deadly)
    check_complete(tmp_path / "out", json.loads(done.stdout.splitlines()[-1]), done=DONE - 3, quarantined=QUARANTINED + 3)


# A film whose reading never ends: after the plan is made, a named pipe takes its place, into which nobody writes.
ENDLESS = """
import json, os, sys
from pathlib import Path
from bss_gan.archive import archive
if __name__ == "__main__":
    source, out, weights, engine = sys.argv[1:]
    endless = [Path(source, "00/Station 1/7.png"), Path(source, "00/Station 2/7.png")]
    def replace(counts):
        if counts["now"]: return
        for path in endless:
            path.unlink()
            os.mkfifo(path)
    print(json.dumps(archive(source, out, weights, engine, workers=2, progress=replace, timeout=3)))
"""


@pytest.mark.parametrize("engine", ["local", "ray"])
def test_a_film_that_never_ends_goes_to_quarantine(engine, films, tiny, whole, tmp_path):
    if engine == "ray": pytest.importorskip("ray", reason="Ray is not installed: pip install 'bss-gan[ray]'")
    shutil.copytree(films, tmp_path / "films", symlinks=True)
    said = python("-c", ENDLESS, tmp_path / "films", tmp_path / "out", tiny, engine, timeout=120).stdout.splitlines()
    check_complete(tmp_path / "out", json.loads(next(line for line in said if line.startswith("{"))), done=DONE - 2, quarantined=QUARANTINED + 2)
    endless = [row for path, row in manifest(tmp_path / "out").items() if path.endswith("/7.png") and row["status"] == "quarantined"]
    assert len(endless) == 2 and all("not done after 3 s" in row["reason"] for row in endless)
    assert contents(tmp_path / "out") == {name: data for name, data in contents(whole).items() if name not in ("00/Station 1/7.png", "00/Station 2/7.png")}


# A decoder that never ends and lets no other thread of its process have a turn; and what it wrote before, if it was the writer.
STUCK = """
import ctypes
import bss_gan.archive
suppress = bss_gan.archive._suppress
def stuck(path, *rest):
    found = suppress(path, *rest)
    if path.name == "7.png": ctypes.PyDLL(None).sleep(10_000)
    return found
bss_gan.archive._suppress = stuck
"""


def test_a_decoder_that_never_ends_costs_its_film_only(films, tiny, whole, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(STUCK)
    code = RUN.replace("workers=2", "workers=2, timeout=2")
    python("-c", code, films, tmp_path / "out", tiny, env={"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])})
    rows = manifest(tmp_path / "out")
    stuck = {path for path, row in rows.items() if "not done after 2 s" in row.get("reason", "")}
    assert stuck == {path for path in rows if path.endswith("/7.png")} and len(stuck) == 3
    assert contents(tmp_path / "out") == {name: data for name, data in contents(whole).items() if not name.endswith("/7.png")}


def test_a_drive_that_never_answers_stops_the_run(films, tiny, tmp_path, monkeypatch):
    # What asks for a film that has taken too long gets no answer either.
    asked = threading.Event()

    def clear(*film):
        asked.set()
        threading.Event().wait()

    monkeypatch.setattr(bss_gan.archive, "_clear", clear)
    monkeypatch.setattr(bss_gan.archive, "_PATIENCE", 0.2)
    shutil.copytree(films / "00/Station 1", tmp_path / "films")

    def hang(counts):
        if counts["now"]: return
        (tmp_path / "films/7.png").unlink()
        os.mkfifo(tmp_path / "films/7.png")

    with pytest.raises(BadInput, match="7.png: was not done after 1 s.*drive does not answer.*Finished films are kept"):
        archive(tmp_path / "films", tmp_path / "out", tiny, workers=2, progress=hang, timeout=1)
    rows = manifest(tmp_path / "out")
    assert asked.is_set() and "7.png" not in rows and {row["status"] for row in rows.values()} == {"done"}


DISK = """
import subprocess, sys
from pathlib import Path
from bss_gan.archive import archive
from bss_gan.images import BadInput
from helpers.archives import DONE, QUARANTINED, check_complete, contents, manifest
if __name__ == "__main__":
    films, tiny, whole, disk = map(Path, sys.argv[1:])
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160k", "tmpfs", disk], check=True)
    for _ in range(2):  # full, and full still
        try: archive(films, disk / "out", tiny, workers=2)
        except BadInput as error: print(error)
        else: raise AssertionError("expected BadInput: make the disk smaller")
        done = [path for path, row in manifest(disk / "out").items() if row["status"] == "done"]
        assert 0 < len(done) < DONE and {row["status"] for row in manifest(disk / "out").values()} == {"done", "quarantined", "skipped"}
    subprocess.run(["mount", "-o", "remount,size=20m", disk], check=True)
    counts = archive(films, disk / "out", tiny, workers=2)
    check_complete(disk / "out", counts)
    assert counts["now"] <= DONE + QUARANTINED - 1 - len(done) and contents(disk / "out") == contents(whole)
    print("complete")
"""


def test_59_disk_full(films, tiny, whole, tmp_path):
    # In a name space of its own anybody may mount a small disk, where the system allows such name spaces.
    space = ["unshare", "--map-root-user", "--mount"]
    (tmp_path / "disk").mkdir()
    if shutil.which("unshare") is None or subprocess.run([*space, "mount", "-t", "tmpfs", "tmpfs", tmp_path / "disk"]).returncode:
        pytest.skip("no small disk can be mounted here")
    paths = os.pathsep.join([str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run([*space, sys.executable, "-c", DISK, films, tiny, whole, tmp_path / "disk"], capture_output=True, text=True,
                          env=os.environ | {"PYTHONPATH": paths}, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    *refusals, complete = done.stdout.splitlines()
    assert complete == "complete" and len(refusals) == 2
    assert all("No space left on device" in line and "run this again" in line for line in refusals)


def test_61_a_lost_drive_is_told_and_nothing_goes_to_quarantine(films, tiny, tmp_path):
    # The drive goes away under the run: its folder has another name from one moment to the next.
    shutil.copytree(films, tmp_path / "drive", symlinks=True)
    (tmp_path / "sitecustomize.py").write_text("""
import errno, os
import bss_gan.archive, bss_gan.files
bss_gan.files.RETRIES = (0, 0, 0)
digest = bss_gan.archive._sha256
def lost(path):
    if "drive" in str(path) and not os.path.exists(path): raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN), str(path))
    return digest(path)
bss_gan.archive._sha256 = lost
""")
    code = """
import json, os, sys
from bss_gan.archive import archive
from bss_gan.images import BadInput
if __name__ == "__main__":
    drive, out, weights = sys.argv[1:]
    def unplug(counts):
        if counts["now"] == 9: os.rename(drive, drive + ".gone")
    try: archive(drive, out, weights, workers=2, progress=unplug)
    except BadInput as error: print(error)
    os.rename(drive + ".gone", drive)
    print(json.dumps(archive(drive, out, weights, workers=2)))
"""
    env = {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    told, counts = python("-c", code, tmp_path / "drive", tmp_path / "out", tiny, env=env).stdout.splitlines()
    assert "Transport endpoint is not connected" in told
    check_complete(tmp_path / "out", json.loads(counts))


def test_54_a_list_that_names_a_path_outside_of_the_tree(films, whole, tiny, tmp_path):
    out, victim = tmp_path / "out", tmp_path / "victim.png"
    shutil.copytree(whole, out)
    shutil.copy(next(whole.rglob("*.png")), victim)
    before = contents(whole), victim.read_bytes()
    row = next(row for row in manifest(out).values() if row["status"] == "done")
    with open(out / "manifest.jsonl", "a") as lines: lines.write(json.dumps(row | {"path": "../victim.png", "size": 1}) + "\n")
    counts = archive(films, out, tiny)
    assert counts["done"] == DONE and counts["now"] == 0
    assert (contents(out), victim.read_bytes()) == before and not [path for path in tmp_path.iterdir() if path not in (out, victim)]


def test_a_changed_film_is_done_again(films, tiny, tmp_path):
    shutil.copytree(films, tmp_path / "films", symlinks=True)
    films, out = tmp_path / "films", tmp_path / "out"
    archive(films, out, tiny, workers=1)
    changed, spoilt = films / "00/Station 1/4.png", films / "00/Station 1/5.png"
    before = contents(out)
    shutil.copy(films / "00/Station 0/8.png", changed)
    spoilt.write_bytes(b"")
    (out / "00/.0a1b2c3d.part.4.png").write_bytes(b"half a film")  # of a killed run
    counts = archive(films, out, tiny, workers=1)
    assert (counts["changed"], counts["now"]) == (2, 2)
    after = contents(out)
    assert {name for name in before if before[name] != after.get(name)} == {"00/Station 1/4.png", "00/Station 1/5.png"}
    assert set(after) == set(before) - {"00/Station 1/5.png"}, "no half films, and no result of a film that is no more"


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    "Films in DICOM: one with two copies, three that clash, one beside a broken one with its UID, and one more."
    from helpers.dicom_films import make
    folder, grey = tmp_path_factory.mktemp("scans") / "scans", cv2.resize(cv2.imread(str(example_film()), 0), (64, 64)) / np.float32(255)
    for ward in ("north", "south"): (folder / ward).mkdir(parents=True)
    for number in range(4): make(folder / f"north/{number}.dcm", xray=grey, SOPInstanceUID=f"1.2.{number}", PatientID=f"{number}")
    shutil.copy(folder / "north/0.dcm", folder / "south/copy.dcm")
    shutil.copy(folder / "north/0.dcm", folder / "south/1.2.840.99")  # a number, no ending
    make(folder / "south/clash.dcm", xray=grey, SOPInstanceUID="1.2.1", PatientID="other")
    shutil.copy(folder / "north/1.dcm", folder / "south/again.dcm")
    (folder / "south/cut.dcm").write_bytes((folder / "north/2.dcm").read_bytes()[:-2000])
    return folder


def scan_statuses(out):
    return {Path(path).name: (row["status"], row["reason"]) for path, row in manifest(out).items()}


def test_42_copies_are_skipped_and_clashes_quarantined(scans, tiny, tmp_path):
    shutil.copytree(scans, tmp_path / "scans")
    scans, out = tmp_path / "scans", tmp_path / "out"
    counts = archive(scans, out, tiny, workers=2)
    assert {name: counts[name] for name in ("files", "done", "quarantined", "skipped", "waiting")} == dict(files=9, done=3, quarantined=4, skipped=2, waiting=0)
    found = scan_statuses(out)
    assert {name for name in found if found[name][0] == "quarantined"} == {"1.dcm", "clash.dcm", "again.dcm", "cut.dcm"}
    assert all(found[name][0] == "skipped" and "is the same file as" in found[name][1] for name in ("copy.dcm", "1.2.840.99"))
    assert all("has the SOPInstanceUID of another film" in found[name][1] for name in ("1.dcm", "clash.dcm", "again.dcm")) and "cut.dcm: holds" in found["cut.dcm"][1]
    assert set(contents(out)) == {"north/0.dcm", "north/2.dcm", "north/3.dcm"}
    assert manifest(out)["north/3.dcm"]["uid"] == "1.2.3" and manifest(out)["south/cut.dcm"]["uid"] is None
    before = (out / "manifest.jsonl").read_bytes()
    assert archive(scans, out, tiny)["now"] == 0 and (out / "manifest.jsonl").read_bytes() == before
    for gone in ("north/0.dcm", "south/clash.dcm"): (scans / gone).unlink()  # an original, and one of two that clash
    counts = archive(scans, out, tiny, workers=1)
    assert (counts["now"], counts["done"], counts["quarantined"], counts["skipped"]) == (4, 4, 1, 2)
    found = scan_statuses(out)
    assert (found["1.2.840.99"][0], found["1.dcm"][0], found["copy.dcm"][0], found["again.dcm"][0]) == ("done", "done", "skipped", "skipped")
    assert set(contents(out)) >= {"south/1.2.840.99.dcm", "north/1.dcm"} and "south/again.dcm" not in contents(out)


class Killed(BaseException):
    "The end of a run between two steps."


def list_scans(root, out, films, rng, monkeypatch, steps):
    "What a run lists of films (path -> UID and contents) that are done in any order, until it is killed after so many steps; none: it is not."
    left = [steps if steps is not None else -1]

    def step(action):
        def counted(*args, **options):
            left[0] -= 1
            if left[0] == -1: raise Killed
            return action(*args, **options)
        return counted

    known = bss_gan.archive._Manifest(out / "manifest.jsonl", {"model": "none", "model_sha256": "0"})
    try:
        with monkeypatch.context() as patch:
            if steps is not None:
                patch.setattr(known, "add", step(known.add))
                patch.setattr(Path, "unlink", step(Path.unlink))
            twins = bss_gan.archive._Twins(known, out)
            todo, counts = bss_gan.archive._plan(root, out, known, twins)
            for path in rng.sample(todo, len(todo)):
                size, time = bss_gan.archive._identity(root, path)
                with atomic_path(out / path) as part: part.write_bytes(b"result")
                twins.add(bss_gan.archive._line(path, size, time, uid=films[path][0], sha256_in=films[path][1], status="done", reason=""))
            return len(todo)
    except Killed:
        return None
    finally:
        known.close()


def what_should_be(films):
    fates = {}
    for path in sorted(films):
        same_uid = [other for other in sorted(films) if films[other][0] == films[path][0]]
        clash = len({films[other][1] for other in same_uid}) > 1
        fates[path] = "quarantined" if clash else "done" if path == same_uid[0] else "skipped"
    return fates


def test_42_the_order_of_copies_and_clashes_does_not_matter_nor_does_a_kill(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda number: None)
    seed = random.randrange(10**6)
    rng, kills = random.Random(seed), 0
    for turn in range(300):
        root, out, films = tmp_path / f"{turn}/in", tmp_path / f"{turn}/out", {}
        root.mkdir(parents=True)
        out.mkdir()
        for _ in range(rng.randrange(1, 5)):  # runs, each killed and gone on with; before each, films come, change and go
            for path in rng.sample(sorted(films), rng.randrange(len(films) + 1)):
                (root / path).unlink()
                (out / path).unlink(missing_ok=True)
                del films[path]
            for _ in range(rng.randrange(1, 6)):
                path = f"{rng.randrange(6)}.dcm"
                films[path] = rng.choice("12"), rng.choice("xxy")
                (root / path).write_text(f"{films[path]}")
                os.utime(root / path, ns=(0, rng.randrange(10**18)))  # files of one moment may have one time
            kills += list_scans(root, out, films, rng, monkeypatch, rng.randrange(8)) is None
            list_scans(root, out, films, rng, monkeypatch, None)
            last = {path: row["status"] for path, row in manifest(out).items() if path in films}
            assert last == what_should_be(films), f"seed {seed}, turn {turn}"
            assert set(contents(out)) == {path for path in films if last[path] == "done"}, f"seed {seed}, turn {turn}"
            assert list_scans(root, out, films, rng, monkeypatch, None) == 0, f"seed {seed}, turn {turn}: work is done twice"
    assert kills > 100


def measure(number, source, out, weights):
    "Most memory in MB of this process and of a worker, and how much the workers grew after the first fifth."
    def memory(pid, field):
        return next(int(line.split()[1]) / 1024 for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith(field))

    early, late = [], []

    def look(counts):
        if counts["now"] == number // 5: early[:] = [memory(child.pid, "VmRSS") for child in multiprocessing.active_children()]
        if counts["now"] == number - 10: late[:] = [(memory(child.pid, "VmRSS"), memory(child.pid, "VmHWM")) for child in multiprocessing.active_children()]

    counts = archive(source, out, weights, workers=2, progress=look)
    assert counts["done"] == number
    return memory(os.getpid(), "VmHWM"), max(peak for _, peak in late), max(now for now, _ in late) - max(early), counts["seconds"]


def test_memory_stays_flat(tiny, tmp_path):
    number = 20_000 if FULL else 1000
    write_films(tmp_path / "films", number)
    _, peak, growth, _ = measure(number, tmp_path / "films", tmp_path / "out", tiny)
    assert peak < 1500 and growth < 20, (peak, growth)


RAY = """
import json, os, signal, sys
from pathlib import Path
from bss_gan.archive import archive

def actors():
    "Processes of actors that descend from this one."
    parent, title = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try: parent[int(folder.name)], title[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1]), (folder / "cmdline").read_text()
        except OSError: pass
    def ours(pid): return pid == os.getpid() or pid in parent and ours(parent[pid])
    return sorted(pid for pid in title if title[pid].startswith("ray::_Actor") and ours(pid))

if __name__ == "__main__":
    killed = []
    def kill(counts):
        if counts["now"] in (5, 20):
            killed.append(actors()[0])
            os.kill(killed[-1], signal.SIGKILL)
    source, out, weights = sys.argv[1:]
    counts = archive(source, out, weights, engine="ray", workers=2, progress=kill)
    print(json.dumps({"counts": counts, "killed": len(set(killed)), "usage": os.environ["RAY_USAGE_STATS_ENABLED"]}))
"""


def test_a_killed_actor_of_ray_costs_its_film_a_retry(films, tiny, whole, tmp_path):
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'bss-gan[ray]'")
    said = python("-c", RAY, films, tmp_path / "out", tiny).stdout.splitlines()
    done = json.loads(next(line for line in said if line.startswith("{")))  # Ray speaks of the killed actor there, too
    assert (done["killed"], done["usage"]) == (2, "0")
    check_complete(tmp_path / "out", done["counts"])
    assert contents(tmp_path / "out") == contents(whole)


if __name__ == "__main__":
    number, folder = int(sys.argv[1]), Path(tempfile.mkdtemp())
    write_films(folder / "films", number)
    main, worker, growth, seconds = measure(number, folder / "films", folder / "out", run_folder(folder / "tiny"))
    print(f"{number:,} films in {seconds:.0f} s; most memory: {main:.0f} MB, each worker {worker:.0f} MB, of which {growth:.0f} MB came after the first fifth")
    shutil.rmtree(folder)
