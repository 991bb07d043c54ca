"""Saved networks that are broken, or that would run somebody else's program. The numbers are those of the list of bad inputs.

Each test gives one to the command, as a user would. The command must name the file at fault and write no film."""
import json, shutil
from pathlib import Path

import h5py, numpy as np, pytest
from helpers.project import COMMAND, python, run

from bss_gan.images import example_film
from bss_gan.export import BadWeights, find_weights, load_network, openvino_function, shipped_weights

# Three files that run code when you open them: each leaves a mark. With the library it is made for, each of them does.
PROGRAMS = """
import os, sys
from pathlib import Path
import keras, numpy as np, tensorflow as tf
mark = sys.argv[1] + "/mark"

@keras.saving.register_keras_serializable()
def act(x):
    tf.io.write_file(mark, "Lambda")
    return x

class Pickled:
    def __reduce__(self): return Path.touch, (Path(mark),)

class Module(tf.Module):
    @tf.function(input_signature=[])
    def serve(self):
        tf.io.write_file(mark, "SavedModel")
        return tf.constant(0)

film = keras.Input((8, 8, 1))
keras.Model(film, keras.layers.Lambda(act)(film)).save(sys.argv[1] + "/lambda.keras")
tf.saved_model.save(Module(), sys.argv[1] + "/saved")
np.savez(sys.argv[1] + "/pickled.npz", kernel=np.array([Pickled()], object))

def marked(opened):
    opened()
    return Path(mark).exists() and not os.remove(mark)

Path(mark).unlink(missing_ok=True)
assert marked(lambda: keras.saving.load_model(sys.argv[1] + "/lambda.keras", safe_mode=False)(np.zeros((1, 8, 8, 1))))
assert marked(lambda: tf.saved_model.load(sys.argv[1] + "/saved").serve())
assert marked(lambda: np.load(sys.argv[1] + "/pickled.npz", allow_pickle=True)["kernel"])
"""


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    "A folder with the three files."
    folder = tmp_path_factory.mktemp("programs")
    python("-c", PROGRAMS, folder)
    return folder


@pytest.fixture
def damaged(trained, tmp_path):
    "A copy of a run folder without the checksum, which would find most faults before the check that we test."
    shutil.copytree(trained, tmp_path / "run", ignore=shutil.ignore_patterns("checkpoints", "samples"))
    for network in ("generator", "discriminator"):
        plan = json.loads((tmp_path / f"run/{network}.json").read_text())
        plan.pop("sha256", None)
        (tmp_path / f"run/{network}.json").write_text(json.dumps(plan))
    return tmp_path / "run"


def expect_refusal(weights, *words):
    "The command refuses the weights and says why; so does `load_network`, which runs where TensorFlow does."
    out = weights.parent / "out"
    done = run(*COMMAND, "suppress", example_film(), "--out", out, "--weights", weights, status=1)
    for word in words: assert word in done.stderr, done.stderr
    assert "Traceback" not in done.stderr and not out.exists()
    with pytest.raises(BadWeights):
        found = find_weights(weights)
        for stem in (found.generator, found.discriminator): load_network(stem)


def test_a_copy_without_damage_is_used(damaged):
    run(*COMMAND, "suppress", example_film(), "--out", damaged.parent / "out", "--weights", damaged)


@pytest.mark.parametrize("network", ["generator", "discriminator"])
@pytest.mark.parametrize("left", [0, 7, 50_000])
def test_64_truncated(left, network, damaged):
    file = damaged / f"{network}.weights.h5"
    file.write_bytes(file.read_bytes()[:left])
    expect_refusal(damaged, file.name, "cannot be used as weights")


def test_64_larger_than_any_of_our_networks(damaged):
    with open(damaged / "generator.weights.h5", "r+b") as file: file.truncate(200_000_001)
    expect_refusal(damaged, "generator.weights.h5", "larger than 200 MB")


@pytest.mark.parametrize("network", ["generator", "discriminator"])
def test_65_one_byte_flipped(network, trained, tmp_path):
    shutil.copytree(trained, tmp_path / "run")
    file = tmp_path / f"run/{network}.weights.h5"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    expect_refusal(tmp_path / "run", file.name, "SHA-256", "Copy both again")


@pytest.mark.parametrize("network", ["generator", "discriminator"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_66_not_a_number(value, network, damaged):
    with h5py.File(damaged / f"{network}.weights.h5", "r+") as file: file["layers/conv2d/vars/0"][0, 0, 0, 0] = value
    expect_refusal(damaged, f"{network}.weights.h5", "holds NaN or infinite values")


def test_67_another_architecture(damaged):
    other = find_weights("residual")
    shutil.copy(f"{other.generator}.weights.h5", damaged / "generator.weights.h5")
    expect_refusal(damaged, "generator.weights.h5", "another architecture", "Keep the two files of a network together")


def test_67_a_plan_with_an_invented_entry(damaged):
    plan = json.loads((damaged / "generator.json").read_text())
    plan["architecture"] |= {"layer": "os.system"}
    (damaged / "generator.json").write_text(json.dumps(plan))
    expect_refusal(damaged, "generator.json", "look at layer")


@pytest.mark.parametrize("program", ["68-lambda.keras", "69-saved", "70-pickled.npz"])
def test_a_program_is_never_opened(program, programs, tmp_path):
    path = shutil.copytree(programs, tmp_path / "given") / program[3:]
    expect_refusal(path, "is not a run folder", "never loaded")
    assert not (programs / "mark").exists()


def test_69_saved_model_within_a_run_folder(programs, damaged):
    shutil.copytree(programs / "saved", damaged, dirs_exist_ok=True)
    expect_refusal(damaged, "is not a run folder", "never loaded")
    assert not (programs / "mark").exists()


@pytest.mark.parametrize("program", ["68-lambda.keras", "69-saved/saved_model.pb", "70-pickled.npz"])
def test_a_program_that_calls_itself_weights(program, programs, damaged):
    shutil.copy(programs / program[3:], damaged / "generator.weights.h5")
    expect_refusal(damaged, "generator.weights.h5", "cannot be used as weights")
    assert not (programs / "mark").exists()


def test_71_link_to_another_file(damaged):
    shutil.copy(damaged / "generator.weights.h5", damaged / "secret.h5")
    with h5py.File(damaged / "generator.weights.h5", "r+") as file:
        del file["layers/conv2d"]
        file["layers/conv2d"] = h5py.ExternalLink(str(damaged / "secret.h5"), "/layers/conv2d")
    expect_refusal(damaged, "generator.weights.h5", "conv2d is a link that leads elsewhere")


def test_71_values_in_another_file(damaged):
    with h5py.File(damaged / "generator.weights.h5", "r+") as file:
        kernel = file["layers/conv2d/vars/0"][()]
        kernel.tofile(damaged / "secret")
        del file["layers/conv2d/vars/0"]
        elsewhere = [(str(damaged / "secret"), 0, kernel.nbytes)]
        file.create_dataset("layers/conv2d/vars/0", kernel.shape, kernel.dtype, external=elsewhere)
    expect_refusal(damaged, "generator.weights.h5", "the values of 0 are in another file")


@pytest.mark.parametrize("network", ["generator", "discriminator"])
def test_a_network_that_no_longer_does_what_it_did_when_it_was_saved(network, damaged):
    plan = json.loads((damaged / f"{network}.json").read_text())
    plan["golden"] = [2 * value for value in plan["golden"]]
    (damaged / f"{network}.json").write_text(json.dumps(plan))
    expect_refusal(damaged, f"{network}.json", "does not give here what it gave when it was saved")


def test_all_shipped_weights_say_what_they_do():
    for name in shipped_weights():
        found = find_weights(name)
        for stem in (found.generator, found.discriminator): assert json.loads(Path(f"{stem}.json").read_text())["golden"]


def test_shipped_weights_that_were_changed_are_refused(monkeypatch, tmp_path):
    import bss_gan.export
    for path in bss_gan.export._SHIPPED.glob("baseline*"): shutil.copy(path, tmp_path)
    monkeypatch.setattr(bss_gan.export, "_SHIPPED", tmp_path)
    data = bytearray((tmp_path / "baseline.weights.h5").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "baseline.weights.h5").write_bytes(data)
    for load in (load_network, openvino_function):
        with pytest.raises(BadWeights, match="SHA-256"): load(find_weights("baseline").generator)
