"""How fast training, suppressing and simulating are, beside what the machine can do and beside plainer ways of doing the same.

    python tests/benchmarks/speed.py --json nbs/results/speed.json --picture nbs/images/speed.png

Everything is measured in turns, several rounds in one run, so that a machine that is slow for a while is slow for all. A ratio is
taken within a round; what is printed is the median round and the lowest and highest beside it. A noisy machine shows as a wide interval.
"""
import argparse, itertools, json, os, platform, shutil, subprocess, sys, tempfile, time
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras
import numpy as np
import tensorflow as tf
from keras import layers

from bss_gan import losses
from bss_gan.images import write_film
from bss_gan.data import make_dataset
from bss_gan.export import export_savedmodel, find_weights, keras_function, load_network, openvino_function
from bss_gan.metrics import suppression
from bss_gan.model import build_discriminator, build_generator, fastest_policy
from bss_gan.simulation import _one_thread_each, _start_worker, simulate
from bss_gan.testing import load_suppressor, suppress_files
from bss_gan.training import TRAIN_PRESETS, build_gan

WARM_UP, SECONDS = 0.5, 2.0  # of work before a measurement and in it


def seconds_each(work):
    "Mean seconds of one call, after a while that is not counted: memory that has lain idle must be fetched first."
    for seconds in (WARM_UP, SECONDS):
        begun, calls = time.perf_counter(), 0
        while calls < 3 or time.perf_counter() - begun < seconds:
            work()
            calls += 1
    return (time.perf_counter() - begun) / calls


def convolutions(network, film):
    "Floating-point operations of a network's convolutions in one forward pass, two for a multiplication and an addition."
    found = [layer for layer in network.layers if isinstance(layer, layers.Conv2D)]
    shapes = keras.Model(network.inputs, [layer.output for layer in found]).compute_output_shape([film] * len(network.inputs))
    return float(sum(2 * np.prod(shape) * np.prod(layer.kernel.shape[:3]) for layer, shape in zip(found, shapes)))


def operations_of_a_step(gan, batch, side):
    "Forward and backward: the generator once, the discriminator once for it and three times for itself (X-ray, target, prediction)."
    film = (batch, side, side, 1)
    return 3 * convolutions(gan.generator, film) + (2 + 9) * convolutions(gan.discriminator, film)


# What the machine can do

def convolution_peak(dtype):
    "A convolution that suits the machine well, 3x3 over 64 channels: its operations and a function that does it."
    film, kernel = (tf.cast(tf.random.normal(shape), dtype) for shape in ((4, 128, 128, 64), (3, 3, 64, 64)))
    work = tf.function(lambda: tf.reduce_max(tf.nn.conv2d(film, kernel, 1, "SAME")))
    return 2 * 4 * 128**2 * 9 * 64**2, lambda: float(work())


def convolutions_alone(network, film):
    "All convolutions of a network one by one, each at its own size: forward, and for its input and its kernel backward."
    found = [layer for layer in network.layers if isinstance(layer, layers.Conv2D)]
    shapes = keras.Model(network.inputs, [layer.input for layer in found]).compute_output_shape([film])
    return [one_convolution(tf.random.normal(shape), layer.kernel.value) for shape, layer in zip(shapes, found)]


def one_convolution(x, kernel):
    @tf.function
    def work():
        y, strides = tf.nn.conv2d(x, kernel, 1, "SAME"), [1, 1, 1, 1]
        return (y, tf.raw_ops.Conv2DBackpropInput(input_sizes=x.shape, filter=kernel, out_backprop=y, strides=strides, padding="SAME"),
                tf.raw_ops.Conv2DBackpropFilter(input=x, filter_sizes=kernel.shape, out_backprop=y, strides=strides, padding="SAME"))
    return work


def matrix_peak():
    a, b = tf.random.normal((2, 2048, 2048))
    work = tf.function(lambda: tf.reduce_sum(a @ b))
    return 2 * 2048**3, lambda: float(work())


# Training

def films(side, n=96):
    rng = np.random.default_rng(0)
    xray = rng.random((n, side, side, 1), np.float32)
    return xray, np.clip(xray - 0.05, 0, 1)


def one_step(config, policy=None):
    "A compiled step of our loop on a batch that lies ready; its operations."
    with mock.patch("bss_gan.training.fastest_policy", lambda: policy or fastest_policy()): gan = build_gan(config, 1000)
    side = config.crop or config.model.size
    batch = tuple(map(tf.constant, films(side, config.batch)))
    step = tf.function(gan.train_step)
    return operations_of_a_step(gan, config.batch, side), lambda: float(step(batch)["pixel"])


def batches(config):
    "The batches of one epoch after the other."
    xray, soft = (tf.Variable(side, trainable=False) for side in films(config.model.size))
    for epoch in itertools.count():
        yield from make_dataset(xray, soft, config, epoch)


def pipeline(config):
    "The input pipeline alone."
    made = batches(config)
    return lambda: next(made)[0].numpy()


def step_with_pipeline(config):
    gan, made = build_gan(config, 1000), batches(config)
    step = tf.function(gan.train_step, reduce_retracing=True)
    return lambda: float(step(next(made))["pixel"])


def the_seed_projects_way(config):
    """The same networks, trained as in the project that this one grew out of: predict, two `train_on_batch` for the discriminator, one for both.
    Gives the generator, and a step on a batch (xray, soft) with the generator's losses: both together, pixel, adversarial."""
    generator, discriminator = build_generator(config.model), build_discriminator(config.model)
    bce = keras.losses.BinaryCrossentropy(from_logits=True)
    discriminator.compile(keras.optimizers.Adam(config.learning_rate), bce)
    film = keras.Input((config.model.size, config.model.size, 1))
    pred = generator(film)
    both = keras.Model(film, [pred, discriminator(pred)])
    both.compile(keras.optimizers.Adam(config.learning_rate), ["binary_crossentropy", bce], loss_weights=[config.pixel_weight, config.adversarial_weight])

    def step(xray, soft):
        real, fake = np.ones((len(xray), 1)), np.zeros((len(xray), 1))
        generated = generator.predict(xray, verbose=0)
        discriminator.trainable = True
        discriminator.train_on_batch(soft, real)
        discriminator.train_on_batch(generated, fake)
        discriminator.trainable = False
        return both.train_on_batch(xray, [soft, real])
    return generator, step


def usual_generator(config, block):
    "The generator as most would write it: a plain U-Net, 32 bits, nothing scaled; `block` is what follows a convolution."
    film = keras.Input((None, None, 1))
    x, across, widths = film, [], [config.base * 2**level for level in range(config.levels)]

    def convolutions_of(x, width):
        for _ in range(config.convs): x = block(layers.Conv2D(width, 3, padding="same")(x))
        return x

    for level, width in enumerate(widths):
        x = convolutions_of(layers.MaxPooling2D()(x) if level else x, width)
        across.append(x)
    for width, skip in zip(widths[-2::-1], across[-2::-1]):
        x = convolutions_of(layers.Concatenate()([layers.UpSampling2D()(x), skip]), width)
    return keras.Model(film, layers.Subtract()([film, layers.Conv2D(1, 3, padding="same")(x)]), name="generator")


def group_norm(x): return layers.Activation("silu")(layers.GroupNormalization(8)(x))
def batch_norm(x): return layers.ReLU()(layers.BatchNormalization()(x))


def generator_step(network, batch, loss, **options):
    "One compiled step of a generator alone."
    optimizer = keras.optimizers.Adam(4e-4)
    optimizer.build(network.trainable_variables)

    @tf.function(**options)
    def step():
        with tf.GradientTape() as tape: value = loss(batch[1], network(batch[0], training=True))
        optimizer.apply(tape.gradient(value, network.trainable_variables), network.trainable_variables)
        return value
    return lambda: float(step())


def one_change_at_a_time(config):
    "Name -> a step of the generator alone, from the usual form to ours; the first is what `fit` makes of it, eight steps at a time."
    batch = tuple(map(tf.constant, films(config.crop or config.model.size, config.batch)))
    usual = usual_generator(config.model, group_norm)
    usual.compile(keras.optimizers.Adam(4e-4), "mae")
    data = tf.data.Dataset.from_tensors(batch).repeat(8)
    ours = lambda policy: build_generator(config.model, policy)
    return {"generator: fit, GroupNorm, SiLU, 8 steps": lambda: usual.fit(data, verbose=0),
            "generator: own loop, GroupNorm, SiLU": generator_step(usual_generator(config.model, group_norm), batch, losses.l1),
            "generator: own loop, BatchNorm, ReLU": generator_step(usual_generator(config.model, batch_norm), batch, losses.l1),
            "generator: no normalisation, leaky ReLU": generator_step(ours("float32"), batch, losses.reconstruction),
            "generator: the same, XLA": generator_step(ours("float32"), batch, losses.reconstruction, jit_compile=True),
            "generator: 16 bits where the processor can": generator_step(ours(fastest_policy()), batch, losses.reconstruction)}


# Suppressing

def forms(folder, side=512):
    "Name -> a function of a film: the default generator in every form it can have here. What is not installed is left out."
    weights = find_weights("chest-v1")
    network = load_network(weights.generator)
    saved = export_savedmodel(network, folder / "saved", side)
    found = {"Keras, predict": lambda film: network.predict(film, verbose=0), "Keras, tf.function": keras_function(network),
             "OpenVINO, 32 bits": openvino_function(weights.generator, exact=True), "OpenVINO": openvino_function(weights.generator)}
    for name, examples in (("LiteRT", None), ("LiteRT, 8 bits", [simulate(seed, side, wide=True).xray[None] for seed in range(16)])):
        found[name] = litert(saved, side, examples)
    try:
        import onnxruntime
        network.export(folder / "generator.onnx", format="onnx", verbose=False, input_signature=[keras.InputSpec("float32", (1, side, side, 1))])
        session = onnxruntime.InferenceSession(folder / "generator.onnx")
        found["ONNX Runtime"] = lambda film: session.run(None, {session.get_inputs()[0].name: film})[0]
    except ImportError as error:
        print(f"ONNX Runtime is left out: {error}")
    return found


def litert(saved, side, examples):
    "A SavedModel as a LiteRT function; examples for numbers of 8 bits inside."
    converter = tf.lite.TFLiteConverter.from_saved_model(str(saved))
    if examples:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([film] for film in examples)
    interpreter = tf.lite.Interpreter(model_content=converter.convert(), num_threads=os.cpu_count())
    interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], (1, side, side, 1))
    interpreter.allocate_tensors()
    place, result = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def run(film):
        interpreter.set_tensor(place, film)
        interpreter.invoke()
        return interpreter.get_tensor(result)
    return run


def accuracy(found):
    "Name -> how far the bone layer is from that of Keras (RMS, as a share of it), and the suppression on 8 simulated films."
    pairs = [simulate(seed, 512, wide=True) for seed in range(700_000, 700_008)]
    batches = [(pair.xray[None], pair.soft) for pair in pairs]
    truth = [xray - found["Keras, tf.function"](xray) for xray, _ in batches]
    rows = {}
    for name, run in found.items():
        preds = [run(xray) for xray, _ in batches]
        errors = [np.std(xray - pred - bone) / np.std(bone) for (xray, _), pred, bone in zip(batches, preds, truth)]
        removed = [suppression(xray[0], soft, pred[0]) for (xray, soft), pred in zip(batches, preds)]
        rows[name] = {"error": float(np.mean(errors)), "suppression": float(np.mean(removed))}
    return rows


# Everything

def simulated_size(seed, size):
    return simulate(seed, size, wide=True).xray.shape


def measurements(folder, found):
    "Name -> a function that gives seconds. All are set up before the first is measured."
    jobs, operations = {}, {}
    for dtype in ("float32", "bfloat16"):
        operations[f"convolution {dtype}"], work = convolution_peak(dtype)
        jobs[f"convolution {dtype}"] = work
    operations["matrix product float32"], jobs["matrix product float32"] = matrix_peak()
    for name in ("baseline", "residual"):
        config = TRAIN_PRESETS[name]
        operations[f"{name}: step"], jobs[f"{name}: step"] = one_step(config)
        jobs[f"{name}: pipeline"], jobs[f"{name}: step and pipeline"] = pipeline(config), step_with_pipeline(config)
    operations["residual: step, float32"], jobs["residual: step, float32"] = one_step(TRAIN_PRESETS["residual"], "float32")
    config = TRAIN_PRESETS["baseline"]
    old_step, old_batch = the_seed_projects_way(config)[1], films(config.model.size, config.batch)
    jobs["seed: the original project's way"] = lambda: old_step(*old_batch)
    config = TRAIN_PRESETS["residual"]
    alone = convolutions_alone(build_generator(config.model), (config.batch, config.crop, config.crop, 1))
    jobs["generator: its convolutions alone, 32 bits"] = lambda: [work() for work in alone]
    jobs |= one_change_at_a_time(TRAIN_PRESETS["residual"]) | inference(folder, found)
    return jobs | simulation(), operations


def simulation():
    "Eight pairs at a time by as many processes as there are cores, started as `simulate_pairs` starts them."
    pool, seeds = ProcessPoolExecutor(os.cpu_count(), get_context("spawn"), _start_worker, ("thorax",)), itertools.count()
    with _one_thread_each(): list(pool.map(simulated_size, range(os.cpu_count()), [32] * os.cpu_count()))
    return {f"simulate: eight pairs of {size}²": lambda size=size: list(pool.map(simulated_size, itertools.islice(seeds, 8), [size] * 8))
            for size in (256, 1024)}


def inference(folder, found):
    suppressor, several, jobs = load_suppressor(), load_suppressor(many=True), {}
    usual = usual_generator(suppressor.config, group_norm)
    film = films(512, 1)[0]
    for name, run in found.items(): jobs[f"a film of 512²: {name}"] = lambda run=run: run(film)
    jobs["a film of 512²: usual form, predict"] = lambda: usual.predict(film, verbose=0)
    larger = films(1024, 1)[0]
    jobs["a film of 1024²: OpenVINO"] = lambda: suppressor.generator(larger)
    jobs["a film of 1024²: usual form, predict"] = lambda: usual.predict(larger, verbose=0)
    path = folder / "large.png"
    write_film(path, simulate(0, 2048).xray, depth=16, white=65535)
    jobs["a film of 2048², 16 bits, end to end"] = lambda: suppress_files([path], folder / "out", suppressor)
    (folder / "ward").mkdir()
    for number in range(8): shutil.copy(path, folder / "ward" / f"{number}.png")
    jobs["eight such films, one at a time"] = lambda: suppress_files([folder / "ward"], folder / "out", suppressor, workers=1)
    jobs["eight such films"] = lambda: suppress_files([folder / "ward"], folder / "out", several)
    (folder / "small").mkdir()
    for number in range(32): write_film(folder / "small" / f"{number}.png", simulate(number, 512, wide=True).xray)
    jobs["32 films of 512², one at a time"] = lambda: suppress_files([folder / "small"], folder / "out", suppressor, workers=1)
    jobs["32 films of 512²"] = lambda: suppress_files([folder / "small"], folder / "out", several)
    working = films(suppressor.size, 1)[0]
    jobs["both networks alone on a film"] = lambda: (suppressor.generator(working), suppressor.discriminator(working, working))
    return jobs


SUPPRESS = """
import sys
from bss_gan.cli import main
try: main(["suppress", *sys.argv[1:]])
finally: print(*(line for line in open("/proc/self/status") if line.startswith("VmHWM")))  # a fork's own maximum would be that of its parent
"""


def command(path, out):
    "Seconds of `bss-gan suppress` on one film, its start included, and the most memory that it took in GB."
    begun = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", SUPPRESS, path, "--out", out], check=True, capture_output=True, text=True)
    return time.perf_counter() - begun, int(done.stdout.split("VmHWM:")[1].split()[0]) / 2**20


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--picture", type=Path)
    wishes = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = forms(Path(folder))
        jobs, operations = measurements(Path(folder), found)
        write_film(Path(folder) / "first.png", simulate(0, 512).xray)
        rounds = []
        for number in range(wishes.rounds):
            rounds.append({name: seconds_each(work) for name, work in jobs.items()})
            rounds[-1]["first film"], _ = command(Path(folder) / "first.png", Path(folder) / "first")
            _, memory = command(Path(folder) / "large.png", Path(folder) / "first")
            print(f"round {number + 1} of {wishes.rounds}", flush=True)
    report = summarise(rounds, operations) | {"forms": accuracy(found), "memory of suppress, GB": memory, "machine": machine() | {"rounds": wishes.rounds}}
    print(text(report))
    if wishes.json: wishes.json.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    if wishes.picture: draw(report).savefig(wishes.picture, dpi=90)


def machine():
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    names = [line.split(":")[1].strip() for line in info.splitlines() if line.startswith("model name")]
    return {"processor": names[0] if names else platform.processor(), "cores": os.cpu_count(), "tensorflow": tf.__version__, "keras": keras.__version__, "openvino": version("openvino"),
            "load after": os.getloadavg()[0], "policy": fastest_policy()}


def spread(values):
    return {"median": float(np.median(values)), "low": float(np.min(values)), "high": float(np.max(values))}


RATIOS = {  # name: (above, below, factor)
    "residual, float32: share of the convolution peak": ("convolution float32", "residual: step, float32", "operations"),
    "residual: share of the convolution peak in 16 bits": ("convolution bfloat16", "residual: step", "operations"),
    "residual: pipeline, share of a step": ("residual: pipeline", "residual: step", 1),
    "seed: pipeline, share of a step": ("seed: pipeline", "seed: step", 1),
    "residual: step and pipeline / step": ("residual: step and pipeline", "residual: step", 1),
    "seed: step and pipeline / step": ("seed: step and pipeline", "seed: step", 1),
    "generator: usual form with fit / ours": ("generator: fit, GroupNorm, SiLU, 8 steps", "generator: 16 bits where the processor can", 1 / 8),
    "generator: GroupNorm, SiLU / no normalisation": ("generator: own loop, GroupNorm, SiLU", "generator: no normalisation, leaky ReLU", 1),
    "generator: BatchNorm, ReLU / no normalisation": ("generator: own loop, BatchNorm, ReLU", "generator: no normalisation, leaky ReLU", 1),
    "generator: without XLA / with": ("generator: no normalisation, leaky ReLU", "generator: the same, XLA", 1),
    "generator: its convolutions alone / a step": ("generator: its convolutions alone, 32 bits", "generator: no normalisation, leaky ReLU", 1),
    "generator: 32 bits / 16 bits": ("generator: no normalisation, leaky ReLU", "generator: 16 bits where the processor can", 1),
    "seed: the original project's way / ours": ("seed: the original project's way", "seed: step", 1),
    "eight films of 2048²: one at a time / as it is": ("eight such films, one at a time", "eight such films", 1),
    "eight films of 2048²: networks alone / all": ("both networks alone on a film", "eight such films", 8),
    "32 films of 512²: one at a time / as it is": ("32 films of 512², one at a time", "32 films of 512²", 1),
    "32 films of 512²: networks alone / all": ("both networks alone on a film", "32 films of 512²", 32),
    "512²: usual form / OpenVINO": ("a film of 512²: usual form, predict", "a film of 512²: OpenVINO", 1),
    "512²: Keras, tf.function / OpenVINO": ("a film of 512²: Keras, tf.function", "a film of 512²: OpenVINO", 1),
    "1024²: usual form / OpenVINO": ("a film of 1024²: usual form, predict", "a film of 1024²: OpenVINO", 1),
}


def summarise(rounds, operations):
    "Seconds, operations a second and ratios, each with its lowest and highest round."
    ratios = {}
    for name, (above, below, factor) in RATIOS.items():
        each = operations[below] / operations[above] if factor == "operations" else factor
        ratios[name] = spread([each * row[above] / row[below] for row in rounds])
    return {"seconds": {name: spread([row[name] for row in rounds]) for name in rounds[0]},
            "GFLOP/s": {name: spread([count / row[name] / 1e9 for row in rounds]) for name, count in operations.items()}, "ratios": ratios}


def text(report):
    lines = [", ".join(f"{name}: {value}" for name, value in report["machine"].items())]
    for part in ("GFLOP/s", "seconds", "ratios"):
        lines += ["", part, *(f"  {name:55} {row['median']:10.4g}   ({row['low']:.4g} to {row['high']:.4g})" for name, row in report[part].items())]
    lines += ["", "forms of chest-v1 at 512²: error of the bone layer, suppression on 8 simulated films"]
    lines += [f"  {name:20} {row['error']:8.4f} {row['suppression']:8.4f}" for name, row in report["forms"].items()]
    return "\n".join([*lines, "", f"memory of suppress: {report['memory of suppress, GB']:.2f} GB"])


def draw(report):
    "Achieved against limit, in operations a second."
    import matplotlib.pyplot as plt
    figure, axis = plt.subplots(figsize=(8, 2.6), layout="constrained")
    for height, (name, row) in enumerate(reversed(report["GFLOP/s"].items())):
        axis.barh(height, row["median"], color="tab:grey" if ":" not in name else "tab:blue", xerr=[[row["median"] - row["low"]], [row["high"] - row["median"]]])
    axis.set_yticks(range(len(report["GFLOP/s"])), list(report["GFLOP/s"])[::-1], fontsize=8)
    axis.set_xlabel("GFLOP/s: grey what the machine can do, blue what a step of training does")
    return figure


if __name__ == "__main__": main()
