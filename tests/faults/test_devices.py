"""Several devices and several machines train the same network as one does, and a lost machine costs nothing but time."""
import json, os, socket, subprocess, sys, time

import numpy as np, pytest
from helpers.project import python
from helpers.little_runs import weights

# 16-bit sums depend on how a batch is shared out, so everything here counts in 32 bits. A small network compiles quickly.
TRAIN = """
import sys
from dataclasses import replace
import bss_gan.training
bss_gan.training.fastest_policy = lambda: "float32"
baseline = bss_gan.training.TRAIN_PRESETS["baseline"]
small = replace(baseline.model, base=4, levels=3, convs=1, d_base=8, d_levels=2)
bss_gan.training.TRAIN_PRESETS["baseline"] = replace(baseline, model=small)
from bss_gan.cli import main
main(["train", "--size", "64", "--batch", "3", "--epochs", "3", *sys.argv[1:]])
"""

MIRRORED = """
import sys
import tensorflow as tf
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
import bss_gan.runs
bss_gan.runs.choose_strategy = lambda: tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
""" + TRAIN


def start_workers(*arguments, n=2):
    "Starts a run on n machines, which are all this one."
    sockets = [socket.create_server(("localhost", 0)) for _ in range(n)]
    cluster = {"worker": [f"localhost:{free.getsockname()[1]}" for free in sockets]}
    for free in sockets: free.close()
    tasks = [json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}}) for index in range(n)]
    return [subprocess.Popen([sys.executable, "-c", TRAIN, *map(str, arguments)], env=os.environ | {"TF_CONFIG": task}, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for task in tasks]


def finish(workers):
    "Waits for all workers, and gives what they printed."
    said = [worker.communicate(timeout=3000)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * len(workers), "\n".join(said)
    return said


@pytest.fixture(scope="module")
def by_one(pairs, tmp_path_factory):
    "A run on one device."
    folder = tmp_path_factory.mktemp("by_one") / "run"
    python("-c", TRAIN, "--data", pairs, "--out", folder)
    return folder


@pytest.fixture(scope="module")
def by_two(pairs, tmp_path_factory):
    "The same run on two machines, and what each of them printed."
    folder = tmp_path_factory.mktemp("by_two") / "run"
    return folder, finish(start_workers("--data", pairs, "--out", folder))


def differences(a, b):
    "How far apart every weight of both networks is in two runs."
    a, b = weights(a), weights(b)
    assert a.keys() == b.keys()
    return np.concatenate([np.abs(a[name] - b[name]).ravel() for name in a])


def assert_equal_but_for_rounding(a, b):
    "Adam divides each gradient by its size, so a rounding error shows where a gradient is close to nothing. A wrong share moves all weights."
    assert np.quantile(differences(a, b), 0.99) < 1e-5


def test_two_machines_end_where_one_does(by_one, by_two):  # 7 films in batches of 3: the second machine has none of the last
    assert_equal_but_for_rounding(by_one, by_two[0])
    assert "After epoch 3" in by_two[1][0] and "After epoch 3" not in by_two[1][1], "only the first one reports"


def test_two_devices_of_a_machine_end_where_one_does(by_one, pairs, tmp_path):
    python("-c", MIRRORED, "--data", pairs, "--out", tmp_path / "run")
    assert_equal_but_for_rounding(by_one, tmp_path / "run")


def test_a_lost_machine_is_named_and_nothing_is_lost(by_two, pairs, tmp_path):
    run = tmp_path / "run"
    chief, other = start_workers("--data", pairs, "--out", run)
    while not (run / "checkpoints/checkpoint").exists():
        assert chief.poll() is None, chief.communicate(timeout=3000)[0]
        time.sleep(0.01)
    other.kill()
    said = chief.communicate(timeout=3000)[0]
    assert chief.returncode == 1 and "does not answer" in said and "--resume" in said and "Traceback" not in said, said
    other.communicate()
    finish(start_workers("--data", pairs, "--out", run, "--resume"))
    assert differences(by_two[0], run).max() == 0


def test_a_run_that_exists_is_refused_on_every_machine(by_two, pairs):
    for worker in start_workers("--data", pairs, "--out", by_two[0]):
        said = worker.communicate(timeout=3000)[0]
        assert worker.returncode == 1 and "already holds a run" in said and "Traceback" not in said, said


@pytest.mark.parametrize("value", ["worker 1 of 2", '{"cluster": {"worker": ["localhost:1"]}}'])
def test_a_wrong_TF_CONFIG_is_explained(value, pairs, tmp_path):
    done = python("-c", TRAIN, "--data", pairs, "--out", tmp_path / "run", env={"TF_CONFIG": value}, status=None)
    assert done.returncode == 1 and "TF_CONFIG" in done.stderr and "Traceback" not in done.stderr, done.stderr
