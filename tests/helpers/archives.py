"""A tree of small films, a network that takes no time, and what an archive run leaves."""
import json

import cv2, numpy as np
from helpers.project import python

from bss_gan.images import example_film

SAVE = """
import sys
from bss_gan.files import save_network, set_seed
from bss_gan.files import ModelConfig
from bss_gan.model import build_discriminator, build_generator
set_seed(3)
config = ModelConfig(size=32, base=2, levels=2, d_base=2, d_levels=2)
for name, build in (("generator", build_generator), ("discriminator", build_discriminator)):
    save_network(build(config), config, f"{sys.argv[1]}/{name}")
"""


def write_films(folder, number, seed=0):
    "Small films, all different, forty to a folder."
    grey, rng = cv2.imread(str(example_film()), cv2.IMREAD_UNCHANGED), np.random.default_rng(seed)
    for film in range(number):
        path = folder / f"{film // 400:02}" / f"Station {film // 40 % 10}" / f"{film % 40}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        small = cv2.resize(grey, (64, 64), interpolation=cv2.INTER_AREA)
        assert cv2.imwrite(str(path), cv2.add(small, rng.integers(0, 9, small.shape, np.uint8)))


def run_folder(folder):
    "The run folder of a network so small that it takes no time; what it does to a film does not matter here."
    folder.mkdir()
    python("-c", SAVE, folder)
    return folder


FILES, DONE, QUARANTINED, SKIPPED = 127, 120, 4, 3


def contents(folder):
    "Bytes of every file below a folder, but for the lists."
    lists = {".manifest.lock", "manifest.jsonl", ".bss_gan.jsonl"}
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*")
            if path.is_file() and not path.is_symlink() and path.name not in lists}


def manifest(out):
    "Path -> last line of the list; each line must be whole."
    return {row["path"]: row for row in map(json.loads, (out / "manifest.jsonl").read_text(encoding="utf-8").splitlines())}


def check_complete(out, counts, **other):
    expected = {"files": FILES, "done": DONE, "quarantined": QUARANTINED, "skipped": SKIPPED, "waiting": 0} | other
    assert {name: counts[name] for name in expected} == expected
    rows = manifest(out)
    assert len(rows) == counts["files"]
    statuses = [row["status"] for row in rows.values()]
    assert [statuses.count(status) for status in ("done", "quarantined", "skipped")] == [counts[s] for s in ("done", "quarantined", "skipped")]
