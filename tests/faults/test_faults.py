"""The machine fails: full disks, killed processes, a Drive that doesn't answer, a loss that breaks. Numbers as in the list of faults.

With FULL=1 a training is killed 25 times, and 25 machines are lost."""
import errno, hashlib, json, multiprocessing, os, random, shutil, signal, subprocess, sys, time
from dataclasses import replace
from functools import cache
from pathlib import Path

import cv2, numpy as np, pytest
from helpers.little_runs import train_little, weights, whole_files
from helpers.project import COMMAND, FULL, ROOT, python, run, tree

import bss_gan.data, bss_gan.files
from bss_gan.images import BadInput
from bss_gan.files import claim_outputs, mirror, owned_outputs, owns, remove_outputs, write_json
from bss_gan.data import BadFolder, find_pairs, find_same_patients, load_pairs, split_by_case
from bss_gan.simulation import simulate, write_pairs
from bss_gan.testing import load_suppressor, suppress_files

KILLS = 25 if FULL else 3


@cache
def chest(number, side):
    "A simulated chest under grey noise, which hardly compresses, so that the file is large."
    noise = np.random.default_rng(number).random((side, side), np.float32)
    return (65535 * (0.9 * simulate(number, side).xray[..., 0] + 0.1 * noise)).astype(np.uint16)


def write_films(folder, n, side=160):
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(n): assert cv2.imwrite(str(folder / f"{number:03}.png"), chest(number, side))
    return folder


# A full disk

class SmallDisk:
    "A disk in memory with a fixed number of bytes."
    as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]

    def __init__(self, path):
        self.path = path

    def set_size(self, size, how="remount,"):
        "Resizes the disk; False if this machine doesn't allow it."
        command = [*self.as_root, "mount", "-t", "tmpfs", "-o", f"{how}size={size},mode=777", "tmpfs", self.path]
        return subprocess.run(list(map(str, command)), capture_output=True).returncode == 0

    def close(self):
        run(*self.as_root, "umount", "--lazy", self.path)


@pytest.fixture
def disk(tmp_path):
    (tmp_path / "disk").mkdir()
    disk = SmallDisk(tmp_path / "disk")
    if not disk.set_size("1m", how=""): pytest.skip("only root can mount a small disk")
    yield disk
    disk.close()


def test_59_disk_full_while_films_are_suppressed(disk, trained, tmp_path):
    films = write_films(tmp_path / "in", 40)  # 2 MB
    suppress = [*COMMAND, "suppress", films, "--out", disk.path / "out", "--weights", trained]
    done = run(*suppress, status=1)
    assert "No space left on device" in done.stderr and "Make room" in done.stderr and "Traceback" not in done.stderr
    first = whole_files(disk.path)
    assert 0 < len(first) < 40
    assert list((disk.path / "out").glob(".*.part*")) == []
    disk.set_size("10m")
    run(*suppress)
    assert len(whole_files(disk.path)) == 40


@pytest.mark.parametrize("share, kept", [(0.1, 0), (0.75, 1)], ids=["in_the_first_epoch", "in_the_second_checkpoint"])
def test_59_disk_full_while_training(share, kept, disk, pairs, trained):
    disk.set_size(int(share * sum(path.stat().st_blocks * 512 for path in trained.rglob("*"))))
    train = [*COMMAND, "train", "--data", pairs, "--out", disk.path / "run", "--preset", "baseline", "--epochs", "3"]
    resume = ["--resume"] * bool(kept)
    done = run(*train, status=1)
    assert f"{disk.path / 'run'}: cannot be written" in done.stderr and "Make room" in done.stderr and "Traceback" not in done.stderr
    assert ("--resume: 1 epochs are kept" in done.stderr) == ((disk.path / "run/checkpoints/checkpoint").exists()) == bool(kept)
    whole_files(disk.path)
    disk.set_size("1g")
    run(*train, *resume)
    resumed, uninterrupted = weights(disk.path / "run"), weights(trained)
    assert [name for name in uninterrupted if not np.array_equal(resumed[name], uninterrupted[name])] == []


# A killed process

DIE_WHILE_WRITING = """
import os, signal, sys
from pathlib import Path
from bss_gan.cli import main
write = Path.write_bytes

def half(path, data):
    if len(os.listdir(path.parent)) < 4: return write(path, data)
    with open(path, "wb") as file:
        file.write(data[:len(data) // 2])
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)

Path.write_bytes = half
main(sys.argv[1:])
"""


def test_60_killed_while_a_film_is_written(trained, tmp_path):
    films, out = write_films(tmp_path / "in", 12), tmp_path / "out"
    suppress = ["suppress", films, "--out", out, "--weights", trained]
    python("-c", DIE_WHILE_WRITING, *suppress, status=-signal.SIGKILL)
    assert 3 <= len(whole_files(out)) < 12
    run(*COMMAND, *suppress)
    assert whole_files(out) == whole_files(films)


# A Drive that does not answer

class Drive:
    "Makes an action on paths with a certain ending fail a number of times, with an error of the operating system."

    def __init__(self, action, name, times, code):
        self.action, self.name, self.left, self.code = action, name, times, code

    def __call__(self, *args, **options):
        path = next((str(arg) for arg in args if str(arg).endswith(self.name)), None)
        if path and self.left > 0:
            self.left -= 1
            raise OSError(self.code, os.strerror(self.code), path)
        return self.action(*args, **options)


@pytest.fixture
def fail(monkeypatch):
    "Replaces an action by one that fails, and retries without waiting."
    monkeypatch.setattr(bss_gan.files, "RETRIES", (0, 0, 0))

    def fail(owner, action, name, times, code):
        drive = Drive(getattr(owner, action), name, times, code)
        monkeypatch.setattr(owner, action, lambda *args, **options: drive(*args, **options))

    return fail


lost = pytest.mark.parametrize("code", [errno.ENOTCONN, errno.EIO], ids=["ENOTCONN", "EIO"])


@lost
def test_61_the_rest_of_a_batch_is_done(code, fail, trained, tmp_path):
    films, suppressor = write_films(tmp_path / "in", 4), load_suppressor(trained)
    fail(os, "listdir", "in", 3, code)
    fail(Path, "read_bytes", "000.png", 3, code)
    fail(Path, "read_bytes", "001.png", 4, code)
    fail(os, "replace", "out/002.png", 3, code)
    results = suppress_files([films], tmp_path / "out", suppressor, workers=1)
    assert [result.ok for result in results] == [True, False, True, True]
    assert os.strerror(code) in results[1].message and "001.png" in results[1].message
    assert whole_files(tmp_path / "out") == ["000.png", "002.png", "003.png"]


@lost
def test_61_pairs_are_looked_for_again(code, fail, tmp_path):
    for side in ("source", "target"): write_films(tmp_path / side, 2)
    fail(bss_gan.data, "_film_size", "source/000.png", 3, code)
    assert {pair.source.name for pair in find_pairs(tmp_path).pairs} == {"000.png", "001.png"}
    fail(bss_gan.data, "_film_size", "source/000.png", 4, code)
    with pytest.raises(BadFolder, match="Mount the Drive again"): find_pairs(tmp_path)


@lost
def test_61_films_are_read_again(code, fail, tmp_path):
    for side in ("source", "target"): write_films(tmp_path / side, 6)
    fail(bss_gan.data, "find_films", "source", 3, code)
    pairs = find_pairs(tmp_path).pairs
    wanted = load_pairs(pairs, 64)
    for name in ("source/000.png", "target/000.png", "source/003.png"): fail(Path, "read_bytes", name, 3, code)
    assert all(np.array_equal(*films) for films in zip(load_pairs(pairs, 64), wanted))
    fail(Path, "read_bytes", "source/000.png", 3, code)
    assert find_same_patients([pair.source for pair in pairs], limit=2) == []


@lost
def test_61_a_lost_drive_is_reported_without_waiting_for_every_film(code, fail, tmp_path, monkeypatch):
    for side in ("source", "target"): write_films(tmp_path / side, 40)
    pairs, tried = find_pairs(tmp_path).pairs, []
    fail(Path, "read_bytes", ".png", 10_000, code)
    read = bss_gan.data.open_film
    monkeypatch.setattr(bss_gan.data, "open_film", lambda path, *rest, **more: tried.append(path) or read(path, *rest, **more))
    monkeypatch.setattr(bss_gan.files, "RETRIES", (0.05, 0.05, 0.05))
    with pytest.raises(BadFolder, match=f"{os.strerror(code)}.*Mount the Drive again"): load_pairs(pairs, 64)
    assert tried.count(pairs[0].source) == 4 and len(set(tried)) < 40


def test_61_what_another_try_cannot_fix_is_reported_at_once(fail, trained, tmp_path):
    films = write_films(tmp_path / "in", 1)
    fail(Path, "read_bytes", "000.png", 1, errno.EACCES)
    result, = suppress_files([films], tmp_path / "out", load_suppressor(trained))
    assert "000.png: cannot be read (Permission denied)" in result.message


@lost
def test_61_results_that_cannot_be_written_stop_the_batch(code, fail, trained, tmp_path):
    films, suppressor = write_films(tmp_path / "in", 4), load_suppressor(trained)
    fail(os, "replace", "out/001.png", 4, code)
    with pytest.raises(BadInput, match="001.png: cannot be written"): suppress_files([films], tmp_path / "out", suppressor, workers=1)
    assert "001.png" not in os.listdir(tmp_path / "out") and "000.png" in whole_files(tmp_path / "out")


LOST_FILM = """
import errno, os, sys
from pathlib import Path
import bss_gan.data, bss_gan.files
from bss_gan.cli import main
bss_gan.files.RETRIES = (0, 0, 0)
read = Path.read_bytes

def unless_lost(path):
    if path.name == "001.png": raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN), str(path))
    return read(path)

Path.read_bytes = unless_lost
main(sys.argv[1:])
"""


def test_61_the_command_names_the_film(trained, tmp_path):
    films = write_films(tmp_path / "in", 3)
    done = python("-c", LOST_FILM, "suppress", films, "--out", tmp_path / "out", "--weights", trained, status=1)
    assert "001.png: cannot be read (Transport endpoint is not connected)" in done.stderr and "Traceback" not in done.stderr
    assert whole_files(tmp_path / "out") == ["000.png", "002.png"]


# Once more

def test_62_a_second_mirror_copies_nothing(tmp_path, monkeypatch):
    films = write_films(tmp_path / "drive", 3)
    mirror(films, tmp_path / "local", progress=False)
    copied = []
    monkeypatch.setattr(shutil, "copy2", lambda source, target: copied.append(source))
    mirror(films, tmp_path / "local", progress=False)
    assert copied == [] and len(whole_files(tmp_path / "local")) == 3


def test_62_a_second_suppress_writes_the_same_bytes(trained, tmp_path):
    films = write_films(tmp_path / "in", 3)
    suppress = [*COMMAND, "suppress", films, "--out", tmp_path / "out", "--weights", trained]
    run(*suppress)
    first = {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.png")}
    run(*suppress)
    assert first == {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.png")} != {}


# Training


def bits(folder):
    "Checksums of everything that a run leaves: networks, optimisers, running mean, history without its seconds."
    import tensorflow as tf
    from bss_gan.runs import read_history
    arrays = {" ".join(name): array for name, array in weights(folder).items()}
    reader = tf.train.load_checkpoint(str(folder / "checkpoints"))
    arrays |= {name: reader.get_tensor(name) for name in reader.get_variable_to_dtype_map() if name != "_CHECKPOINTABLE_OBJECT_GRAPH"}
    for row in read_history(folder): arrays |= {f"epoch {row['epoch']} {name}": value for name, value in row.items() if name != "seconds"}
    return {name: hashlib.sha256(np.asarray(array).tobytes()).hexdigest() for name, array in arrays.items()}


def expect_same_bits(whole, resumed):
    wanted, found = bits(whole), bits(resumed)
    assert [name for name in {*wanted, *found} if wanted.get(name) != found.get(name)] == []
    return wanted


@pytest.fixture(scope="module")
def little(tmp_path_factory):
    "Pairs of films of 32 x 32 pixels."
    folder = tmp_path_factory.mktemp("little")
    write_pairs(folder, n=10, size=32)
    return folder


@pytest.fixture(scope="module")
def fork():
    "Starts a training in its own process, forked from one that has loaded TensorFlow but not used it."
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["bss_gan.runs", "test_faults"])

    def fork(*arguments):
        process = server.Process(target=train_little, args=arguments)
        process.start()
        return process

    first = server.Process(target=time.sleep, args=(0,))
    first.start()
    first.join()  # from now on, TensorFlow is loaded
    return fork


def epochs_of(folder):
    "The number of epochs in the history of a run."
    history = folder / "history.csv"
    return len(history.read_text().splitlines()) - 1 if history.exists() else 0


def test_72_training_killed_at_any_moment_ends_with_the_same_bits(fork, little, tmp_path):
    whole, killed, epochs = tmp_path / "whole", tmp_path / "killed", 2 * KILLS + 4
    begun = time.monotonic()
    process = fork(little, whole, epochs, False)
    while not epochs_of(whole): time.sleep(0.01)
    first = time.monotonic() - begun  # from nothing to the end of the first epoch
    process.join()
    epoch = (time.monotonic() - begun - first) / (epochs - 1)
    reached = []
    for turn in range(KILLS):
        process, before = fork(little, killed, epochs, (killed / "checkpoints/checkpoint").exists()), epochs_of(killed)
        if turn % 2:  # while the second epoch since the start is trained and written, else while the first one is
            while epochs_of(killed) == before:
                assert process.is_alive(), f"training has ended after {reached}"
                time.sleep(0.01)
        process.join(random.uniform(0, epoch if turn % 2 else first))
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL, f"training has ended after {reached}"
        if killed.exists(): whole_files(killed)
        reached.append(epochs_of(killed))
    process = fork(little, killed, epochs, (killed / "checkpoints/checkpoint").exists())
    process.join()
    print(f"killed {KILLS} times; epochs in the history then: {reached}")
    wanted = expect_same_bits(whole, killed)
    for part in ("generator", "discriminator", "g_optimizer/_iterations", "d_optimizer/_iterations", "averaged", f"epoch {epochs}"):
        assert any(part in name for name in wanted), part


@pytest.fixture
def copied(trained, tmp_path):
    "A copy of a finished run, and the command that resumes it."
    shutil.copytree(trained, tmp_path / "run")

    def resume(data, *options, status=1):
        return run(*COMMAND, "train", "--data", data, "--out", tmp_path / "run", "--epochs", "3", "--resume", *options, status=status)

    return tmp_path / "run", resume


@pytest.mark.parametrize("options, named", [(("--batch", "2"), "batch was 4, now 2"), (("--learning-rate", "0.5"), "learning_rate was 0.001, now 0.5")])
def test_73_resume_with_other_settings(options, named, copied, pairs):
    folder, resume = copied
    before = bits(folder)
    done = resume(pairs, *options)
    assert named in done.stderr and "config.json" in done.stderr and "Traceback" not in done.stderr
    assert bits(folder) == before


def test_73_resume_with_other_data(copied, pairs, tmp_path):
    folder, resume = copied
    before = bits(folder)
    for side in ("source", "target"):
        shutil.copytree(pairs / side, tmp_path / "other" / side)
        shutil.move(tmp_path / "other" / side / "sim_3.png", tmp_path / "other" / side / "somebody_else.png")
    done = resume(tmp_path / "other")
    assert "split.json" in done.stderr and "started differently" in done.stderr and "Traceback" not in done.stderr
    assert "somebody_else" in done.stderr or "sim_3" in done.stderr
    assert bits(folder) == before


def test_72_machines_lost_while_a_file_is_on_its_way_to_the_drive(fork, little, tmp_path):
    whole, drive, epochs = tmp_path / "whole", tmp_path / "drive", KILLS + 3
    fork(little, whole, epochs, False).join()
    on_its_way = 0
    for turn in range(KILLS):
        machine, before = tmp_path / f"machine_{turn}", epochs_of(drive)
        process = fork(little, machine, epochs, (drive / "checkpoints/checkpoint").exists(), drive)
        while epochs_of(drive) == before:  # then this machine's first epoch is being copied, its checkpoint last
            assert process.is_alive()
            time.sleep(0.001)
        process.join(random.uniform(0, 0.1))
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        on_its_way += any(drive.rglob(".*.part*"))
        whole_files(drive)
    process = fork(little, tmp_path / "last", epochs, (drive / "checkpoints/checkpoint").exists(), drive)
    process.join()
    print(f"{KILLS} machines lost, {on_its_way} of them with a file on its way; epochs on the Drive then: {before}")
    expect_same_bits(whole, tmp_path / "last")
    expect_same_bits(whole, drive)


def test_72_a_machine_that_is_gone_with_its_disk(pairs, trained, tmp_path):
    folder, drive = tmp_path / "run", tmp_path / "drive"
    train = [*COMMAND, "train", "--data", pairs, "--out", folder, "--preset", "baseline", "--epochs", "3", "--copy", drive]
    process = subprocess.Popen(list(map(str, train)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (drive / "checkpoints/checkpoint").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    shutil.rmtree(folder)
    run(*train, "--resume")
    resumed, uninterrupted = weights(drive), weights(trained)
    assert [name for name in uninterrupted if not np.array_equal(resumed[name], uninterrupted[name])] == []


@pytest.mark.parametrize("file, text", [("config.json", ""), ("config.json", "[1]"), ("config.json", "[" * 100_000), ("split.json", "{"), ("split.json", "[1]"), ("split.json", "[" * 100_000)],
                         ids=["config-empty", "config-list", "config-deep", "split-cut", "split-list", "split-deep"])
def test_73_resume_with_a_damaged_file(file, text, copied, pairs):
    folder, resume = copied
    (folder / file).write_text(text)
    done = resume(pairs)
    assert str(folder / file) in done.stderr and "Traceback" not in done.stderr, done.stderr


BROKEN_FILMS = """
import sys
import tensorflow as tf
import bss_gan.runs
from bss_gan.cli import main
make = bss_gan.runs.make_dataset

def with_a_hole(xray, soft, config, epoch, *args, **options):  # NaN in the second batch of the second epoch
    data = make(xray, soft, config, epoch, *args, **options)
    return data.enumerate().map(lambda i, films: (tf.where((epoch == 1) & (i == 1), float("nan"), films[0]), films[1]))

bss_gan.runs.make_dataset = with_a_hole
main(sys.argv[1:])
"""


def test_74_loss_turns_nan(pairs, trained, tmp_path):
    train = ["train", "--data", pairs, "--out", tmp_path / "run", "--preset", "baseline", "--epochs", "3"]
    done = python("-c", BROKEN_FILMS, *train, status=1)
    assert "epoch 2, batch 2" in done.stderr and "after epoch 1" in done.stderr and "Traceback" not in done.stderr, done.stderr
    assert all(np.isfinite(array).all() for array in weights(tmp_path / "run").values())
    run(*COMMAND, *train, "--resume")
    resumed, uninterrupted = weights(tmp_path / "run"), weights(trained)
    assert [name for name in uninterrupted if not np.array_equal(resumed[name], uninterrupted[name])] == []


def lose_all(checkpoints):
    shutil.rmtree(checkpoints)
    checkpoints.mkdir()


def lose_the_list(checkpoints):
    (checkpoints / "checkpoint").write_text("")


def name_nothing(checkpoints):
    (checkpoints / "checkpoint").write_text('model_checkpoint_path: "ckpt-9"')


def lose_the_values(checkpoints):
    for path in checkpoints.glob("ckpt-*"): path.unlink()


def cut_the_values(checkpoints):
    for path in checkpoints.glob("ckpt-*.data*"): path.write_bytes(path.read_bytes()[:1000])


@pytest.mark.parametrize("damage", [lose_all, lose_the_list, name_nothing, lose_the_values, cut_the_values], ids=lambda damage: damage.__name__)
def test_75_no_checkpoint_to_resume_from(damage, copied, pairs):
    folder, resume = copied
    damage(folder / "checkpoints")
    before = weights(folder)
    done = resume(pairs)
    assert "checkpoint" in done.stderr and str(folder) in done.stderr and "Traceback" not in done.stderr, done.stderr
    assert "epoch 1/3" not in done.stdout
    assert all(np.array_equal(array, before[name]) for name, array in weights(folder).items())


# Whose file is it?

@pytest.fixture
def drive(tmp_path, pairs):
    "The Drive folder of an unlucky user: a thesis, photos and pairs."
    drive = tmp_path / "drive"
    (drive / "photos").mkdir(parents=True)
    (drive / "thesis.docx").write_text("Two years of work")
    (drive / "photos" / "beach.jpg").write_text("sand")
    shutil.copytree(pairs, drive / "pairs")
    return drive


def refused(action, *words):
    "Runs an action that must raise a `BadInput` with these words in it."
    with pytest.raises(BadInput) as error: action()
    assert all(word in str(error.value) for word in words), error.value


TRAIN = """
import sys
from pathlib import Path
from helpers.little_runs import train_little
from bss_gan.images import BadInput
data, run, epochs, resume, copy = sys.argv[1:]
try: train_little(Path(data), Path(run), int(epochs), resume == "resume", Path(copy) if copy else None)
except BadInput as error: sys.exit(str(error))
"""


def train_here(data, folder, epochs=1, resume=False, copy="", status=0, cwd=None):
    "Trains a little in another process, and gives what it prints to stderr."
    env = {"PYTHONPATH": os.pathsep.join([str(ROOT / "tests"), str(ROOT)])}
    return python("-c", TRAIN, data, folder, epochs, "resume" if resume else "", copy, status=status, env=env, cwd=cwd).stderr


def test_f1_a_copy_wants_a_folder_of_its_own(drive, little, tmp_path):
    before = tree(drive)
    said = train_here(little, tmp_path / "run", copy=drive, status=1)
    assert "photos" in said and "Give the copy a folder of its own" in said
    assert tree(drive) == before and not (tmp_path / "run").exists()


@pytest.mark.parametrize("copy", [".", "run", "run/copy", "pairs"])
def test_f2_a_copy_around_the_run_or_its_films_or_in_it(copy, drive, little):
    from bss_gan.runs import check_copy
    before = tree(drive)
    refused(lambda: check_copy(drive / "run", drive / copy, [drive / "pairs"]), "Choose a folder")
    assert tree(drive) == before


def test_f3_a_run_is_taken_back_into_a_folder_with_other_things(drive, little, tmp_path):
    train_here(little, tmp_path / "first", copy=drive / "run")
    here = tmp_path / "here"
    (here / "pairs").mkdir(parents=True)
    (here / "notes.txt").write_text("film 12 looks odd")
    before = tree(here)
    train_here(little, ".", 2, resume=True, copy=drive / "run", cwd=here)
    assert before.items() <= tree(here).items() and (here / "history.csv").exists()
    assert (drive / "thesis.docx").exists() and epochs_of(drive / "run") == epochs_of(here) == 2


def test_f4_a_copy_that_is_another_run(drive, little, tmp_path):
    train_here(little, tmp_path / "first", 2, copy=drive / "run")
    before = tree(drive)
    for epochs in (1, 2):  # other settings, and the same ones
        assert "already holds a run" in train_here(little, tmp_path / "second", epochs, copy=drive / "run", status=1)
    assert tree(drive) == before and not (tmp_path / "second").exists()


def test_f4_a_copy_that_has_come_further(drive, little, tmp_path):
    train_here(little, tmp_path / "run", 1)
    shutil.copytree(tmp_path / "run", drive / "run")
    train_here(little, drive / "run", 2, resume=True)
    before = tree(drive)
    from bss_gan.runs import check_copy
    refused(lambda: check_copy(tmp_path / "run", drive / "run"), "has come further (2 epochs)")
    assert tree(drive) == before


def test_a_run_asks_whether_its_names_are_free(drive, little):
    for name in ("history.csv", "samples", "checkpoints"):
        (drive / name).write_text("hers")
        before = tree(drive)
        assert name in train_here(little, drive, status=1)
        assert tree(drive) == before
        (drive / name).unlink()
    before = tree(drive)
    train_here(little, drive)  # beside the thesis
    assert before.items() <= tree(drive).items()


def test_a_run_copied_without_its_hidden_files_goes_on(little, tmp_path):
    train_here(little, tmp_path / "run")
    for path in tmp_path.rglob(".bss_gan.jsonl"): path.unlink()
    train_here(little, tmp_path / "run", 2, resume=True)
    assert epochs_of(tmp_path / "run") == 2


def test_f9_simulated_films_of_two_kinds_do_not_mix(tmp_path):
    write_pairs(tmp_path / "pairs", 3, size=32)
    before = tree(tmp_path)
    write_pairs(tmp_path / "pairs", 2, size=32)
    assert tree(tmp_path) == before
    refused(lambda: write_pairs(tmp_path / "pairs", 3, size=48), "size was 32, now 48")
    refused(lambda: write_pairs(tmp_path / "pairs", 3, size=32, wide=True), "wide was False, now True")
    refused(lambda: claim_outputs([tmp_path / "pairs/target/sim_0.png"], by="suppress"), "bss-gan simulate")
    assert tree(tmp_path) == before


def test_f143_a_refused_run_leaves_nothing_behind(little, tmp_path):
    from bss_gan.runs import train
    from bss_gan.training import TRAIN_PRESETS
    config = replace(TRAIN_PRESETS["baseline"], model=replace(TRAIN_PRESETS["baseline"].model, size=32))
    split = split_by_case(find_pairs(little).pairs, 0.1, 0.1)
    refused(lambda: train(split, tmp_path / "run", replace(config, crop=64)), "crop=64 does not fit")
    shutil.copytree(little, tmp_path / "pairs")
    broken = split_by_case(find_pairs(tmp_path / "pairs").pairs, 0.1, 0.1)
    broken.train[0].source.write_bytes(broken.train[0].source.read_bytes()[:200])
    refused(lambda: train(broken, tmp_path / "run", config, show="none"), broken.train[0].source.name)
    assert not (tmp_path / "run").exists()


def test_f141_longer_and_again_on_the_same_patients(little, tmp_path):
    from bss_gan.runs import Start, train
    from bss_gan.training import TRAIN_PRESETS, build_gan
    config = replace(TRAIN_PRESETS["baseline"], model=replace(TRAIN_PRESETS["baseline"].model, size=32, base=2, levels=2), epochs=1)
    split = split_by_case(find_pairs(little).pairs, 0.1, 0.1)
    train(split, tmp_path / "run", config, show="none")
    train(split, tmp_path / "run", replace(config, epochs=3), resume=True, show="none")
    train(split, tmp_path / "whole", replace(config, epochs=3), show="none")
    expect_same_bits(tmp_path / "whole", tmp_path / "run")
    assert json.loads((tmp_path / "run/longer.json").read_bytes()) == {"planned": [1]}
    refused(lambda: train(split, tmp_path / "run", config, resume=True, show="none"), "epochs was 3, now 1")
    parts = {part: [pair.case for pair in pairs] for part, pairs in split._asdict().items()}
    first = build_gan(config, 1)
    start = Start(first.generator, first.discriminator, parts)
    train(split, tmp_path / "again", config, show="none", start=start)
    swapped = split._replace(val=split.test, test=split.val)
    refused(lambda: train(swapped, tmp_path / "swapped", config, show="none", start=start), swapped.test[0].case)


KILL_BETWEEN = """
import os, signal, sys
import bss_gan.images
from bss_gan.files import write_json
def kill(*paths): os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[2] == "before the list": bss_gan.images.record_output = kill
else: os.replace = kill
write_json(sys.argv[1], {"second": 2})
"""


@pytest.mark.parametrize("moment", ["before the list", "after the list"])
def test_a_file_killed_at_any_moment_can_be_written_again(moment, tmp_path):
    path = tmp_path / "figures.json"
    for first in (False, True):
        if first: write_json(path, {"first": 1})
        python("-c", KILL_BETWEEN, path, moment, status=-signal.SIGKILL)
        assert path.exists() == first and (not first or json.loads(path.read_bytes()) == {"first": 1})
        claim_outputs([path])
    write_json(path, {"third": 3})
    assert owns(path)


def test_what_the_user_changed_or_wrote_is_never_ours(tmp_path):
    write_json(tmp_path / "ours.json", {})
    write_json(tmp_path / "changed.json", {})
    (tmp_path / "changed.json").write_text("{} and a remark")
    (tmp_path / "copied.json").write_bytes((tmp_path / "ours.json").read_bytes())
    paths = [tmp_path / name for name in ("ours.json", "changed.json", "copied.json", "nothing.json")]
    assert owned_outputs(paths) == {paths[0]}
    refused(lambda: claim_outputs(paths), "changed.json: has been changed", "copied.json: was not written")
    assert remove_outputs(paths) == paths[1:3] and paths[1].exists() and not paths[0].exists()
    shutil.copytree(tmp_path, tmp_path.parent / f"{tmp_path.name}_moved")  # as a Drive does it: with other times
    write_json(tmp_path / "ours.json", {})
    os.utime(tmp_path / "ours.json", (0, 0))
    assert owns(tmp_path / "ours.json")
    (tmp_path / ".bss_gan.jsonl").unlink()
    assert not owns(tmp_path / "ours.json")


def test_thousands_of_files_are_asked_for_at_once(tmp_path):
    from bss_gan.images import record_output
    for number in range(1000):
        (tmp_path / f"{number}.png").write_bytes(b"%d" % number)
        record_output(tmp_path / f"{number}.png")
    paths = [tmp_path / f"{number}.png" for number in range(1000)]
    claim_outputs(paths)
    (tmp_path / "7.png").write_bytes(b"x")
    refused(lambda: claim_outputs(paths), "/7.png: has been changed")


@pytest.mark.parametrize("name", ["\u6f22" * 83 + ".png", "Mu\u0308ller.PNG", os.fsdecode(b"R\xf6ntgen.png"), "a" * 251 + ".png"])
def test_f123_f118_names_of_every_kind(name, tmp_path):
    write_json(tmp_path / name, {"name": name})
    assert owns(tmp_path / name) and json.loads((tmp_path / name).read_bytes()) == {"name": name}
    claim_outputs([tmp_path / name])


def test_f119_utf8_in_every_locale(tmp_path):
    code = "import sys; from bss_gan.files import write_json; write_json(sys.argv[1], {'film': sys.argv[2]})"
    env = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    python("-c", code, tmp_path / "o.json", "M\u00fcller \u00e9.png", env=env)
    assert json.loads((tmp_path / "o.json").read_text(encoding="utf-8")) == {"film": "M\u00fcller \u00e9.png"}


def test_f132_errors_name_the_file_that_the_user_knows(tmp_path, monkeypatch):
    def full(self, data): raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError) as error: write_json(tmp_path / "figures.json", {})
    assert error.value.filename == str(tmp_path / "figures.json") and list(tmp_path.iterdir()) == []
