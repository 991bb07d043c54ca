"""How often the network behind `bss_gan.anatomy` is wrong.

    python make_films.py --data DATA --out FRESH --fresh
    python evaluate.py --data DATA --sim FRESH --weights anatomy.npz --json anatomy.json [--csv films.csv]
                       [--scan CT.nii.gz ...] [--brain MR.nii.gz ...] [--stamps stamps.npz]

Every real film is judged by the weights that have not seen its patient (anatomy.fold<k>.npz, from `train.py --folds`),
in all the ways in which it may be shown. Other pictures are fresh ones; they are judged by the final weights and by
those that have not seen their family of kinds. Simulated films and those of des are judged by the final weights. Folds
whose weights are missing are left out. `--stamps` keeps what the network looks at, so that it has not to be made again.

With `--limit 3`, everything runs on so few pictures. Needs what train.py needs, but no tensorflow.
"""
import argparse
import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pictures
from bss_gan.anatomy import count_votes, make_variants

SIDES = {"top": ((1, 0), (0, 0)), "left": ((0, 1), (0, 0)), "bottom": ((0, 0), (1, 0)), "right": ((0, 0), (0, 1))}
GREYS = {"white": 1.0, "black": 0.0, "grey": 0.5}
HARDEST = "turned, framed, negative"


def _margins(share, sides=SIDES):
    return share * np.sum([SIDES[side] for side in sides], 0)


def _turned(image, turns, mirrored):
    return np.rot90(image[:, ::-1] if mirrored else image, -turns)


def mixed(image, rng):
    "A random turn, mirroring, polarity, and margins of a random grey, with noise; the turns; whether it is a negative."
    turns, mirrored, negative = int(rng.integers(4)), rng.random() < 0.5, rng.random() < 0.5
    image = _turned(image, turns, mirrored)
    share = rng.uniform(0, 0.3, (2, 2)) * (rng.random((2, 2)) < 0.6)
    image = pictures.frame(1 - image if negative else image, *share, float(rng.choice((0, 1, rng.random()))))
    return np.clip(image + rng.normal(0, 0.005, image.shape), 0, 1).astype(np.float32), turns, negative


def conditions(image, rng):
    "Yields (name, image, turns, negative) of all the ways in which a film is shown."
    yield "as it is", image, 0, False
    yield "negative", 1 - image, 0, True
    for turns in range(4):
        for mirrored in (False, True): yield "8 orientations", _turned(image, turns, mirrored), turns, False
    for grey in ("white", "black"):
        for share in (0.05, 0.15, 0.3):
            yield f"frame {share:.0%} {grey}", pictures.frame(image, *_margins(share), GREYS[grey]), 0, False
    for side in SIDES:
        for grey, value in GREYS.items():
            for share in (0.2, 0.3):
                yield f"one side, {grey}", pictures.frame(image, *_margins(share, [side]), value), 0, False
    pad = abs(2 * min(image.shape) - max(image.shape)) / min(image.shape)
    for grey, value in GREYS.items():
        yield "sheet 2:1", pictures.frame(image, *_margins(pad, ["left"]), value), 0, False
        yield "sheet 2:1", pictures.frame(image, *_margins(pad / 2, ["top", "bottom"]), value), 0, False
    for _ in range(8): yield HARDEST, *mixed(image, rng)


def show_films(films, seed=1):
    "Yields a row and a stamp of each film and way of showing it."
    for number, film in enumerate(films):
        for name, image, turns, negative in conditions(film.grey, np.random.default_rng((seed, number))):
            yield {"folder": film.folder, "film": film.name, "fold": film.fold, "condition": name, "turns": turns,
                   "dark": bool(film.bone_dark != negative)}, pictures.look(image)


def show_others(kinds, count, seed=99):
    "Yields a row and a stamp of `count` pictures of each kind."
    for number, (kind, (family, make)) in enumerate(sorted(kinds.items())):
        rng = np.random.default_rng((seed, number))
        for _ in range(count):
            image = np.ascontiguousarray(make(rng), np.float32)
            if rng.random() < 0.3: image = pictures.varied(image, rng)
            yield {"kind": kind, "fold": family}, pictures.look(mixed(image, rng)[0])


def make_stamps(arguments):
    "All rows and their stamps."
    films = pictures.real_films(arguments.data, arguments.limit)
    chests = [film.upright for film in films if film.folder != pictures.OUTSIDE]
    kinds = pictures.other_kinds(*pictures.load_volumes(arguments.data, arguments.scan, arguments.brain), chests)
    fresh = pictures.simulated_films(arguments.sim, arguments.limit)
    count = min(arguments.count, arguments.limit or arguments.count)
    rows, stamps = zip(*show_films(films), *show_films(fresh), *show_others(kinds, count))
    return list(rows), np.stack(stamps)


def load_weights(path):
    "Kernels and biases, as train.py wrote them."
    with np.load(path) as stored: return [stored[f"arr_{k}"].astype(np.float32) for k in range(len(stored.files))]


def vote(stamps, weights):
    "(N, 8) votes of all variants of each stamp."
    parts = [np.concatenate([make_variants(stamp) for stamp in stamps[at:at + 64]]) for at in range(0, len(stamps), 64)]
    return np.concatenate([count_votes(part, weights) for part in parts]).reshape(-1, 8)


def judge(rows, stamps, models, key):
    "The rows for which there is a model, with what it says of them; `key` names the model of a row."
    judged = []
    for name, weights in models.items():
        some = [k for k, row in enumerate(rows) if key(row) == name]
        if not some: continue
        for k, votes in zip(some, vote(stamps[some], weights)):
            dark, turns = divmod(int(votes.argmax()), 4)
            chest = round(float(1 / (1 + np.exp(-votes.max().astype(float)))), 6)
            judged.append(rows[k] | {"judged turns": turns, "judged dark": bool(dark), "chest": chest})
    return judged


def rates(rows):
    "How many of these chest films are judged wrongly."
    wrong = {f"{name} wrong": sum(row[what] != row["judged " + what] for row in rows)
             for name, what in (("turns", "turns"), ("polarity", "dark"))}
    return {"n": len(rows)} | wrong | {"chest below 0.5": sum(row["chest"] < 0.5 for row in rows)}


def by(rows, key):
    "{value of the key: rates}, and those of all."
    names = dict.fromkeys(row[key] for row in rows)
    return {name: rates([row for row in rows if row[key] == name]) for name in names} | {"all": rates(rows)}


def area(chests, others):
    "Area under the ROC curve."
    order = np.sort(others)
    below = np.searchsorted(order, chests, "left") + np.searchsorted(order, chests, "right")
    return round(float(below.mean() / 2 / len(order)), 4)


def curve(chests, others, points=50):
    "About 50 pairs of a false and a true positive rate, closest where both are low."
    false = np.unique(np.r_[0, np.geomspace(1 / len(others), 1, points - 1)])
    limits = np.quantile(others, 1 - false, method="higher")
    return [[round(float((others >= limit).mean()), 5), round(float((chests >= limit).mean()), 5)] for limit in limits]


def report_others(chests, unseen, seen):
    "{kind: how many are taken for a chest}, by models that have not seen the family, and by the final one."
    result = {}
    for kind in [*dict.fromkeys(row["kind"] for row in seen), "all"]:
        new, old = (np.array([row["chest"] for row in rows if kind in ("all", row["kind"])]) for rows in (unseen, seen))
        result[kind] = {"n": len(old), "taken for a chest": int((old >= 0.5).sum()), "auc": area(chests, old)}
        if len(new): result[kind] |= {"family not seen": {"n": len(new), "taken for a chest": int((new >= 0.5).sum()),
                                                          "auc": area(chests, new)}}
    return result


def table(title, rows):
    print(f"\n{title}")
    for name, row in rows.items(): print(f"{name:32}", "  ".join(f"{key} {value}" for key, value in row.items()))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="the folder with the data sets")
    parser.add_argument("--sim", required=True, help="what make_films.py --fresh wrote")
    parser.add_argument("--weights", type=Path, default=Path("anatomy.npz"))
    parser.add_argument("--json", type=Path, default=Path("anatomy.json"))
    parser.add_argument("--csv", type=Path, help="one line for each film and way of showing it")
    parser.add_argument("--stamps", type=Path, help="keeps the stamps; made if it is missing")
    parser.add_argument("--scan", nargs="*", default=[])
    parser.add_argument("--brain", nargs="*", default=[])
    parser.add_argument("--count", type=int, default=100, help="other pictures of each kind")
    parser.add_argument("--limit", type=int, help="pictures of each folder and kind at most")
    parser.add_argument("--note", default="")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    if arguments.stamps and arguments.stamps.exists():
        with np.load(arguments.stamps) as stored: rows, stamps = json.loads(str(stored["rows"])), stored["stamps"]
    else:
        rows, stamps = make_stamps(arguments)
        if arguments.stamps: np.savez_compressed(arguments.stamps, rows=json.dumps(rows), stamps=stamps)
    paths = {fold: arguments.weights.with_suffix(f".fold{fold}.npz") for fold in range(pictures.FOLDS)}
    folds = {fold: load_weights(path) for fold, path in paths.items() if path.exists()}
    final = {True: load_weights(arguments.weights)}

    films = judge(rows, stamps, folds, lambda row: row["fold"] if "film" in row else None)
    others = judge(rows, stamps, folds, lambda row: row["fold"] if "kind" in row else None)
    seen = judge(rows, stamps, final, lambda row: "kind" in row)
    outside = judge(rows, stamps, final, lambda row: "film" in row and row["fold"] == -1)
    des = [row for row in outside if row["folder"] == pictures.OUTSIDE]
    simulated = [row for row in outside if row["folder"] != pictures.OUTSIDE]
    hardest = np.array([row["chest"] for row in films if row["condition"] == HARDEST])
    kinds = report_others(hardest, others, seen)
    scores = np.array([row["chest"] for row in seen])
    report = {"films": len({(row["folder"], row["film"]) for row in films}), "folds": len(folds),
              "conditions": by(films, "condition"), "folders": by(films, "folder"), "des": rates(des),
              "simulated": by(simulated, "folder"), "not a chest": kinds,
              "auc": area(hardest, scores), "roc": curve(hardest, scores),
              "command": "python tests/benchmarks/anatomy/evaluate.py --data DATA --sim FRESH --weights anatomy.npz "
                         "--json anatomy.json", "note": arguments.note}
    arguments.json.write_text(json.dumps(report, indent=1) + "\n")
    for title in ("conditions", "folders", "simulated", "not a chest"): table(title, report[title])
    print(f"\ndes: {report['des']}\nAUC {report['auc']}")
    if arguments.csv:
        with open(arguments.csv, "w", newline="") as file:
            writer = csv.DictWriter(file, films[0])
            writer.writeheader()
            writer.writerows(films + des + simulated)


if __name__ == "__main__": main()
