"""How fast training, suppressing and simulating are, beside what the machine can do and beside plainer ways of doing the same.

    python tests/benchmarks/speed.py --json nbs/results/speed.json --picture nbs/images/speed.png

Everything is measured in turns, several rounds in one run, so that a machine that is slow for a while is slow for all. A ratio is
taken within a round; what is printed is the median round and the lowest and highest beside it. A noisy machine shows as a wide interval.
"""
import argparse, json, os, platform, resource, subprocess, sys, tempfile, time
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras
import numpy as np
import tensorflow as tf
from keras import layers

from bss_gan import losses
from bss_gan.core import read_film, write_film
from bss_gan.data import make_dataset
from bss_gan.model import build_discriminator, build_generator, fastest_policy
from bss_gan.simulation import simulate
from bss_gan.testing import load_suppressor, suppress_files
from bss_gan.training import TRAIN_PRESETS, build_gan

SECONDS = 2.0  # of work in every measurement


def seconds_each(work, least=3):
    "Mean seconds of one call, after one that is not counted."
    work()
    begun, calls = time.perf_counter(), 0
    while calls < least or time.perf_counter() - begun < SECONDS:
        work()
        calls += 1
    return (time.perf_counter() - begun) / calls


def convolutions(network, *shapes):
    "Floating-point operations of a network's convolutions in one forward pass, two for a multiplication and an addition."
    total, inputs = 0, [keras.KerasTensor(shape) for shape in shapes]
    sizes = keras.Model(network.inputs, [layer.output for layer in network.layers if isinstance(layer, layers.Conv2D)]).compute_output_shape(
        [tensor.shape for tensor in inputs])
    sizes = sizes if isinstance(sizes, list) else [sizes]
    for layer, (batch, height, width, channels) in zip((layer for layer in network.layers if isinstance(layer, layers.Conv2D)), sizes):
        total += 2 * batch * height * width * channels * np.prod(layer.kernel.shape[:3])
    return float(total)


def operations_of_a_step(gan, batch, side):
    "Forward and backward: the generator once, the discriminator once for it and three times for itself (X-ray, target, prediction)."
    film = (batch, side, side, 1)
    judge = convolutions(gan.discriminator, *[film] * len(gan.discriminator.inputs))
    return 3 * convolutions(gan.generator, film) + 2 * judge + 9 * judge


# What the machine can do

def convolution_peak(dtype):
    "A convolution that suits the machine well, 3x3 over 64 channels: its operations and a function that does it."
    film, kernel = (tf.cast(tf.random.normal(shape), dtype) for shape in ((4, 128, 128, 64), (3, 3, 64, 64)))
    work = tf.function(lambda: tf.reduce_max(tf.nn.conv2d(film, kernel, 1, "SAME")))
    return 2 * 4 * 128**2 * 9 * 64**2, lambda: float(work())


def matrix_peak():
    a, b = tf.random.normal((2, 2048, 2048))
    work = tf.function(lambda: tf.reduce_sum(a @ b))
    return 2 * 2048**3, lambda: float(work())


# Training

def films(side, n=16):
    rng = np.random.default_rng(0)
    xray = rng.random((n, side, side, 1), np.float32)
    return xray, np.clip(xray - 0.05, 0, 1)


def one_step(config, policy=None):
    "A compiled step of our loop on a batch that lies ready; its operations."
    import bss_gan.training as training
    training.fastest_policy = (lambda: policy) if policy else fastest_policy
    gan, side = build_gan(config, 1000), config.crop or config.model.size
    batch = tuple(map(tf.constant, films(side, config.batch)))
    step = tf.function(gan.train_step)
    return operations_of_a_step(gan, config.batch, side), lambda: float(step(batch)["pixel"])


def pipeline(config):
    "The input pipeline alone: a function that makes one batch."
    batches = iter(())
    xray, soft = map(tf.constant, films(config.model.size))

    def work():
        nonlocal batches
        batch = next(batches, None)
        if batch is None:
            batches = iter(make_dataset(xray, soft, config.batch, crop=config.crop, crops=config.crops, augment=config.augment))
            batch = next(batches)
        return batch[0].numpy()
    return work


def step_with_pipeline(config):
    gan, batches = build_gan(config, 1000), pipeline_of_steps(config)
    step = tf.function(gan.train_step, reduce_retracing=True)
    return lambda: float(step(next(batches))["pixel"])


def pipeline_of_steps(config):
    xray, soft = map(tf.constant, films(config.model.size))
    epoch = 0
    while True:
        yield from make_dataset(xray, soft, config.batch, epoch=epoch, crop=config.crop, crops=config.crops, augment=config.augment)
        epoch += 1


def the_seed_projects_way(config):
    "The same networks, trained as in the project that this one grew out of: predict, two `train_on_batch` for the discriminator, one for both."
    generator, discriminator = build_generator(config.model), build_discriminator(config.model)
    xray, soft = films(config.model.size, config.batch)
    real, fake = np.ones((config.batch, 1)), np.zeros((config.batch, 1))
    bce = keras.losses.BinaryCrossentropy(from_logits=True)
    discriminator.compile(keras.optimizers.Adam(0.001), bce)
    film = keras.Input(xray.shape[1:])
    pred = generator(film)
    both = keras.Model(film, [pred, discriminator(pred)])
    both.compile(keras.optimizers.Adam(0.001), ["binary_crossentropy", bce], loss_weights=[config.pixel_weight, config.adversarial_weight])

    def work():
        generated = generator.predict(xray, verbose=0)
        discriminator.trainable = True
        discriminator.train_on_batch(soft, real)
        discriminator.train_on_batch(generated, fake)
        discriminator.trainable = False
        both.train_on_batch(xray, [soft, real])
    return work


def usual_generator(config):
    "The generator as most would write it: normalisation after each convolution, 32 bits, nothing scaled."
    def block(x, width):
        for _ in range(config.convs):
            x = layers.Activation("silu")(layers.GroupNormalization(8)(layers.Conv2D(width, 3, padding="same")(x)))
        return x
    film = keras.Input((None, None, 1))
    x, across, widths = film, [], [config.base * 2**level for level in range(config.levels)]
    for level, width in enumerate(widths):
        x = block(layers.MaxPooling2D()(x) if level else x, width)
        across.append(x)
    for width, skip in zip(widths[-2::-1], across[-2::-1]):
        x = block(layers.Concatenate()([layers.UpSampling2D()(x), skip]), width)
    return keras.Model(film, layers.Subtract()([film, layers.Conv2D(1, 3, padding="same")(x)]))


def usual_training(config):
    "The usual generator under `fit`, and ours alone, step for step: functions for one step each."
    side = config.crop or config.model.size
    batch = tuple(map(tf.constant, films(side, config.batch)))
    usual, ours = usual_generator(config.model), build_generator(config.model, fastest_policy())
    usual.compile(keras.optimizers.Adam(4e-4), "mae")
    data = tf.data.Dataset.from_tensors(batch).repeat(8)
    optimizer = keras.optimizers.Adam(4e-4)
    optimizer.build(ours.trainable_variables)

    @tf.function
    def step():
        with tf.GradientTape() as tape: loss = losses.reconstruction(batch[1], ours(batch[0], training=True))
        optimizer.apply(tape.gradient(loss, ours.trainable_variables), ours.trainable_variables)
        return loss
    return lambda: usual.fit(data, verbose=0), lambda: float(step()), usual


# Everything

def measurements(folder):
    "Name -> a function that gives seconds. All are set up before the first is measured."
    jobs, operations = {}, {}
    for dtype in ("float32", "bfloat16"):
        operations[f"convolution {dtype}"], work = convolution_peak(dtype)
        jobs[f"convolution {dtype}"] = work
    operations["matrix product float32"], jobs["matrix product float32"] = matrix_peak()
    for name in ("seed", "residual"):
        config = TRAIN_PRESETS[name]
        operations[f"{name}: step"], jobs[f"{name}: step"] = one_step(config)
        jobs[f"{name}: pipeline"], jobs[f"{name}: step and pipeline"] = pipeline(config), step_with_pipeline(config)
    operations["residual: step, float32"], jobs["residual: step, float32"] = one_step(TRAIN_PRESETS["residual"], "float32")
    jobs["seed: the seed project's way"] = the_seed_projects_way(TRAIN_PRESETS["seed"])
    eight, jobs["generator alone: our step"], usual = usual_training(TRAIN_PRESETS["residual"])
    jobs["generator alone: usual form, 8 steps of fit"] = eight
    jobs |= inference(folder, usual)
    for size in (256, 1024):
        seeds = iter(range(10**6))
        jobs[f"simulate: a pair of {size}²"] = lambda size=size, seeds=seeds: simulate(next(seeds), size, wide=True)
    return jobs, operations


def inference(folder, usual):
    suppressor, jobs = load_suppressor(), {}
    for size in (512, 1024):
        film = tf.constant(films(size, 1)[0])
        run = tf.function(lambda film: suppressor.generator(film, training=False)).get_concrete_function(film)
        jobs[f"network: {size}²"] = lambda run=run, film=film: run(film).numpy()
        jobs[f"network, usual form: {size}², predict"] = lambda film=film: usual.predict(film, verbose=0)
    path = folder / "large.png"
    write_film(path, simulate(0, 2048).xray, depth=16, white=65535)
    jobs["a film of 2048², 16 bits, end to end"] = lambda: suppress_files([path], folder / "out", suppressor)
    film = read_film(path).xray
    jobs["a film of 2048², in memory"] = lambda: suppressor.suppress(film)
    return jobs


def start_up(folder):
    "Seconds from the command to the first film, and the most memory that it took in GB."
    path = folder / "first.png"
    write_film(path, simulate(0, 512).xray)
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-m", "bss_gan", "suppress", path, "--out", folder / "first"], check=True, capture_output=True)
    return time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--picture", type=Path)
    wishes = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        jobs, operations = measurements(Path(folder))
        rounds = []
        for number in range(wishes.rounds):
            rounds.append({name: seconds_each(work) for name, work in jobs.items()})
            rounds[-1]["first film"], memory = start_up(Path(folder))
            print(f"round {number + 1} of {wishes.rounds}", flush=True)
    report = summarise(rounds, operations) | {"memory of suppress, GB": memory, "machine": machine()}
    print(text(report))
    if wishes.json: wishes.json.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    if wishes.picture: draw(report).savefig(wishes.picture, dpi=90)


def machine():
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    names = [line.split(":")[1].strip() for line in info.splitlines() if line.startswith("model name")]
    return {"processor": names[0] if names else platform.processor(), "cores": os.cpu_count(), "tensorflow": tf.__version__, "keras": keras.__version__,
            "load before": os.getloadavg()[0], "policy": fastest_policy()}


def spread(values):
    return {"median": float(np.median(values)), "low": float(np.min(values)), "high": float(np.max(values))}


RATIOS = {  # name: (above, below, factor)
    "residual, float32: share of the convolution peak": ("convolution float32", "residual: step, float32", "operations"),
    "residual: share of the convolution peak in 16 bits": ("convolution bfloat16", "residual: step", "operations"),
    "residual: pipeline, share of a step": ("residual: pipeline", "residual: step", 1),
    "seed: pipeline, share of a step": ("seed: pipeline", "seed: step", 1),
    "residual: step and pipeline / step": ("residual: step and pipeline", "residual: step", 1),
    "seed: step and pipeline / step": ("seed: step and pipeline", "seed: step", 1),
    "generator alone: usual form / ours": ("generator alone: usual form, 8 steps of fit", "generator alone: our step", 1 / 8),
    "seed: the seed project's way / ours": ("seed: the seed project's way", "seed: step", 1),
    "network at 512²: usual form / ours": ("network, usual form: 512², predict", "network: 512²", 1),
    "network at 1024²: usual form / ours": ("network, usual form: 1024², predict", "network: 1024²", 1),
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
