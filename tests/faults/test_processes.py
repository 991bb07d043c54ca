"""What is saved in one process is the same in another one; memory over epochs, and threads that begin together."""
import numpy as np, pytest
from helpers.project import python

SAVE = """
import sys, numpy as np, keras
from bss_gan.files import set_seed
from bss_gan.files import save_network
from bss_gan.model import PRESETS, build_discriminator, build_generator
preset, folder = sys.argv[1:]
set_seed(3)
film = np.random.default_rng(0).random((2, 64, 64, 1), np.float32)
for name, build in (("generator", build_generator), ("discriminator", build_discriminator)):
    network = build(PRESETS[preset])
    np.save(f"{folder}/{name}.npy", network([film] * len(network.inputs)))
    save_network(network, PRESETS[preset], f"{folder}/{name}")
"""

LOAD = """
import sys, numpy as np
from bss_gan.export import load_network
film = np.random.default_rng(0).random((2, 64, 64, 1), np.float32)
for name in ("generator", "discriminator"):
    network = load_network(f"{sys.argv[1]}/{name}")
    difference = np.abs(network([film] * len(network.inputs)) - np.load(f"{sys.argv[1]}/{name}.npy")).max()
    print(name, difference)
"""


@pytest.mark.parametrize("preset", ["baseline", "residual"])
def test_networks_are_equal_in_a_fresh_process(preset, tmp_path):
    python("-c", SAVE, preset, tmp_path)
    assert python("-c", LOAD, tmp_path).stdout.split() == ["generator", "0.0", "discriminator", "0.0"]


MEMORY = """
import sys, numpy as np
from pathlib import Path
from bss_gan.images import write_film
from bss_gan.files import ModelConfig
from bss_gan.data import find_pairs, split_by_case
from bss_gan.runs import train
from bss_gan.training import TrainConfig
root, noise = Path(sys.argv[1]), np.random.default_rng(0)
for number in range(32):
    for side in ("source", "target"): write_film(root / "pairs" / side / f"film_{number}.png", noise.random((256, 256, 1)))
split = split_by_case(find_pairs(root / "pairs").pairs, val=0.03, test=0.03)
config = TrainConfig(ModelConfig("residual", size=256, base=2, levels=2, convs=1, conditional=True, d_base=2), epochs=10, batch=8, crop=32)
train(split, root / "run", config, show="none", on_epoch=lambda row, sample: print(int(Path("/proc/self/statm").read_text().split()[1]) * 4096))
"""


def test_memory_does_not_grow_over_epochs(tmp_path):
    resident = list(map(int, python("-c", MEMORY, tmp_path).stdout.split()))
    films = 30 * 2 * 256**2 * 4  # bytes: what an epoch would leave behind if it kept a copy
    assert len(resident) == 10 and resident[9] - resident[3] < 6 * films / 2, resident


TOGETHER = """
import os, sys, threading
import numpy as np
from bss_gan.export import find_weights, openvino_function
run, film, ready = openvino_function(find_weights("baseline").generator, many=True), np.zeros((1, 32, 32, 1), np.float32), threading.Barrier(24)
sys.setswitchinterval(1e-6)
threads = [threading.Thread(target=lambda: (ready.wait(), run(film))) for _ in range(24)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


@pytest.mark.parametrize("turn", range(4))
def test_threads_that_begin_together_do_not_wait_for_each_other_for_ever(turn):
    python("-c", TOGETHER, timeout=60)
