"""Trainings that take seconds, and what they leave."""
import json, shutil, time
from dataclasses import replace
from pathlib import Path

import h5py
from PIL import Image

import bss_gan.files
from bss_gan.data import find_pairs, split_by_case


def whole_files(folder):
    "Opens every visible file in a folder, and gives their names; a file that is half written can't be opened."
    files = sorted(path for path in folder.rglob("*") if path.is_file() and "checkpoints" not in path.parts and path.name[0] != ".")
    for path in files:
        if path.suffix == ".png": Image.open(path).load()
        if path.suffix == ".json": json.loads(path.read_text())
        if path.suffix == ".h5": weights_of(path)
    return [path.name for path in files]


def weights_of(path):
    with h5py.File(path) as file: file.visititems(lambda name, item: item[()] if isinstance(item, h5py.Dataset) else None)


def copy_slowly(source, target):
    "shutil.copy2, on a Drive that takes its time."
    data = Path(source).read_bytes()
    with open(target, "wb") as file:
        for half in (data[:len(data) // 2], data[len(data) // 2:]):
            file.write(half)
            file.flush()
            time.sleep(0.005)
    shutil.copystat(source, target)


def train_little(data, folder, epochs, resume, drive=None):
    "Trains with everything that a resumed run has to restore: both optimisers, a falling rate, windows, a running mean."
    import bss_gan.training
    from bss_gan.files import ModelConfig
    from bss_gan.runs import fetch_run, keep_copy, train
    bss_gan.training.fastest_policy = lambda: "float32"
    model = ModelConfig(size=32, base=2, levels=2, convs=1, conditional=True, d_base=2, d_levels=1)
    config = replace(bss_gan.training.TRAIN_PRESETS["residual"], model=model, epochs=epochs, crop=24, crops=2, average=0.9, nodules=0.5)
    split = split_by_case(find_pairs(data).pairs, 0.1, 0.1)
    if drive:
        if resume: fetch_run(drive, folder)
        shutil.copy2 = copy_slowly
    train(split, Path(folder), config, resume, "none", keep_copy(folder, drive) if drive else None)


def weights(run_folder):
    "Every array of both networks of a run, by name."
    arrays = {}
    for network in ("generator", "discriminator"):
        with h5py.File(run_folder / f"{network}.weights.h5") as file:
            file.visititems(lambda name, item: arrays.update({(network, name): item[()]}) if isinstance(item, h5py.Dataset) else None)
    return arrays
