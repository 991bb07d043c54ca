"""What speed costs in quality: training as it is beside its plainer form, on the same films, for the same minutes or the same steps.

    python tests/benchmarks/quality.py --data ../shared/data/jsrt --json nbs/results/quality.json

`residual` trains with all that belongs to it (adversary, checkpoints, pictures, figures after each epoch); the usual forms train a
generator alone, under `fit`, for as many minutes; the reading of the films is not counted for them. `baseline` and the original project's way
make the same steps on the same batches, with three seeds. Both are measured on patients who were neither trained on nor watched.
"""
import argparse, itertools, json, tempfile, time
from dataclasses import replace
from pathlib import Path
from unittest import mock

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from bss_gan import losses
from bss_gan.files import set_seed
from bss_gan.data import find_pairs, load_pairs, make_dataset, split_by_case
from bss_gan.export import find_weights, keras_function, load_network
from bss_gan.model import build_generator
from bss_gan.testing import Suppressor
from bss_gan.evaluation import evaluate
from bss_gan.runs import train
from bss_gan.training import TRAIN_PRESETS, build_gan, train_epoch
from speed import group_norm, the_seed_projects_way, usual_generator


class StopAfter(keras.callbacks.Callback):
    "Ends `fit` when the time is up."
    def __init__(self, seconds):
        super().__init__()
        self.end = time.monotonic() + seconds

    def on_train_batch_end(self, batch, logs=None):
        if time.monotonic() > self.end: self.model.stop_training = True


def epochs_of(config, films):
    for epoch in itertools.count():
        yield make_dataset(*films, config, epoch)


def normalised_generator(config, block):
    "The generator of chapter 9 with its contrast layer and its small head, but with group normalisation and SiLU after each convolution."
    convolution = lambda x, channels, policy: block(layers.Conv2D(channels, 3, padding="same", kernel_initializer="he_normal")(x))
    with mock.patch("bss_gan.model._convolution", convolution): return build_generator(config)


def seconds_a_step(build, config, films, steps=10):
    network = build(config.model, group_norm)
    network.compile(keras.optimizers.Adam(config.learning_rate), losses.reconstruction)
    network.fit(next(epochs_of(config, films)).take(2), verbose=0)
    begun = time.monotonic()
    network.fit(next(epochs_of(config, films)).take(steps), verbose=0)
    return (time.monotonic() - begun) / steps


def trained_by_fit(build, config, films, seconds):
    "A generator after so many seconds under `fit`, its rate lowered to 0 by then; and the steps that it made."
    steps = round(seconds / seconds_a_step(build, config, films))
    set_seed(config.seed)
    network = build(config.model, group_norm)
    network.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(config.learning_rate, steps)), losses.reconstruction)
    stop = StopAfter(seconds)
    for data in epochs_of(config, films):
        network.fit(data, verbose=0, callbacks=[stop])
        if time.monotonic() > stop.end: return network, int(network.optimizer.iterations)


def measure(config, pairs, generator):
    "PSNR in dB and suppression, and those of identity."
    nobody = lambda *films: np.zeros((1, 1), np.float32)  # no discriminator is asked for its opinion
    report = evaluate(pairs, Suppressor(keras_function(generator), nobody, config.model), config.model.size)
    return {name: {figure: report[name][figure] for figure in ("psnr", "suppression")} for name in ("identity", "model")} | {"n": report["n"]}


def equal_minutes(split, folder):
    config = replace(TRAIN_PRESETS["residual"], epochs=6)
    begun = time.monotonic()
    run = train(split, folder / "run", config, show="lines")
    seconds = time.monotonic() - begun
    ours = measure(config, split.test, load_network(find_weights(run).generator))
    films = [tf.Variable(side, trainable=False) for side in load_pairs(split.train, config.model.size)]
    made = -(-len(split.train) * config.crops // config.batch) * config.epochs
    report = {"minutes": seconds / 60, "n": ours["n"], "identity": ours["identity"], "residual": ours["model"] | {"steps": made}}
    for name, build in (("usual form", usual_generator), ("usual form with our head", normalised_generator)):
        network, steps = trained_by_fit(build, config, films, seconds)
        report[name] = measure(config, split.test, network)["model"] | {"steps": steps}
    return report


def equal_steps(split, epochs, seeds):
    "One row for each seed and each way: the losses of the generator, averaged over the last epoch, and what it does for patients not met."
    films, rows = load_pairs(split.train, TRAIN_PRESETS["baseline"].model.size), []
    for seed in range(seeds):
        config = replace(TRAIN_PRESETS["baseline"], epochs=epochs, seed=seed)
        gan = build_gan(config, 1)
        step = tf.function(gan.train_step, reduce_retracing=True)
        old, old_step = the_seed_projects_way(config)
        for data in itertools.islice(epochs_of(config, films), epochs):
            ours = train_epoch(step, data)
            theirs = np.mean([old_step(xray.numpy(), soft.numpy()) for xray, soft in data], axis=0)
        rows += [{"way": "one step", "seed": seed, "pixel": ours["pixel"], "adversarial": ours["adversarial"]} | measure(config, split.test, gan.generator)["model"],
                 {"way": "original project", "seed": seed, "pixel": float(theirs[1]), "adversarial": float(theirs[2])} | measure(config, split.test, old)["model"]]
        print(*rows[-2:], sep="\n", flush=True)
    return {"epochs": epochs, "rows": rows}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--epochs", type=int, default=20, help="of the baseline preset")
    parser.add_argument("--seeds", type=int, default=3)
    wishes = parser.parse_args()
    config = TRAIN_PRESETS["residual"]
    split = split_by_case(find_pairs(wishes.data).pairs, config.val, config.test, config.seed)
    with tempfile.TemporaryDirectory() as folder:
        report = {"equal minutes": equal_minutes(split, Path(folder)), "equal steps": equal_steps(split, wishes.epochs, wishes.seeds)}
    print(json.dumps(report["equal minutes"], indent=1))
    if wishes.json: wishes.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__": main()
