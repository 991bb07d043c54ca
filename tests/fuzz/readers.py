"""Five readers of files from outside, and good files to break. Whatever a file holds, nothing but `BadInput` may come out of a reader."""
import io, json, random
from dataclasses import asdict
from pathlib import Path

import cv2, numpy as np
from PIL import Image

from bss_gan.cli import _saved_config
from bss_gan.images import BadInput, example_film
from bss_gan.dicom import open_film
from bss_gan.files import ModelConfig
from bss_gan.export import find_weights, load_network, openvino_function

PLANS = ("generator.json", "discriminator.json", "split.json")
# Networks of one channel: files of a few kilobytes, in which a broken byte nearly always hits something.
MODEL = ModelConfig(size=16, base=1, levels=2, convs=1, d_base=1, d_levels=1)


def saved(image, kind, **options):
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


def films():
    "One film in every kind of file that is read."
    grey = cv2.resize(cv2.imread(str(example_film()), cv2.IMREAD_UNCHANGED), (48, 40), interpolation=cv2.INTER_AREA)
    small, deep, real = map(Image.fromarray, (grey, grey.astype(np.uint16) * 257, grey / np.float32(255)))
    kinds = [("PNG", {}), ("JPEG", {}), ("JPEG", {"progressive": True}), ("BMP", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"})]
    return [saved(image, kind, **options) for image in (small, small.convert("RGB")) for kind, options in kinds] + [
        saved(deep, "PNG"), saved(deep, "TIFF"), saved(real, "TIFF"), saved(small.convert("P"), "PNG")]


def write_run(folder):
    "A run folder with two tiny networks, written with nothing but h5py: this needs no TensorFlow. Without checksums, which would stop most."
    import h5py
    draw, folder = np.random.default_rng(0), Path(folder)
    kernels = {"generator": [(3, 3, 2, 1), (3, 3, 1, 2), (3, 3, 3, 1), (3, 3, 1, 1)], "discriminator": [(4, 4, 1, 1), (1, 1)]}
    for network, shapes in kernels.items():
        with h5py.File(folder / f"{network}.weights.h5", "w") as file:
            for number, shape in enumerate(shapes):
                layer = ("conv2d" if len(shape) == 4 else "dense") + (f"_{number}" if number and len(shape) == 4 else "")
                file[f"layers/{layer}/vars/0"] = draw.normal(size=shape).astype(np.float32)
                file[f"layers/{layer}/vars/1"] = np.zeros(shape[-1:], np.float32)
        plan = {"network": network, "architecture": vars(MODEL)} | ({"threshold": 0.5, "slope": 2.0} if network == "discriminator" else {})
        (folder / f"{network}.json").write_text(json.dumps(plan))
    (folder / "split.json").write_text(json.dumps({"train": [["JPCLN001", "JPCLN001.png"]], "val": []}))


def use(run, load=openvino_function):
    "Loads a run folder as `bss-gan suppress` does; with `load_network`, as `evaluate` and `export` do."
    found = find_weights(run)
    for stem in (found.generator, found.discriminator): load(stem)


class Film:
    "An image file."

    def __init__(self, folder):
        self.file, self.seeds = Path(folder) / "film.png", films()

    def __call__(self, data):
        self.file.write_bytes(data)
        open_film(self.file)


class Weights:
    "The weights of a generator."
    load = staticmethod(openvino_function)

    def __init__(self, folder):
        self.run = Path(folder)
        write_run(self.run)
        self.file = self.run / "generator.weights.h5"
        self.seeds = [self.file.read_bytes()]

    def __call__(self, data):
        self.file.write_bytes(data)
        use(self.run, self.load)


class KerasWeights(Weights):
    "The same, for Keras."
    load = staticmethod(load_network)


class Config:
    "The settings of a run that is to be resumed."

    def __init__(self, folder):
        from bss_gan.training import TRAIN_PRESETS
        self.file = Path(folder) / "config.json"
        self.seeds = [json.dumps(asdict(config)).encode() for config in TRAIN_PRESETS.values()] + [b"[" * 5000]

    def __call__(self, data):
        self.file.write_bytes(data)
        _saved_config(self.file)


class Plan:
    "One of the texts beside them; the first byte says which."

    def __init__(self, folder):
        self.run = Path(folder)
        write_run(self.run)
        self.good = [(self.run / name).read_bytes() for name in PLANS]
        self.seeds = [bytes([number]) + text for number, text in enumerate(self.good)] + [bytes([number]) + b"[" * 5000 for number in range(len(PLANS))]

    def __call__(self, data):
        which = data[0] % len(PLANS) if data else 0
        for number, name in enumerate(PLANS): (self.run / name).write_bytes(data[1:] if number == which else self.good[number])
        use(self.run)


READERS = {"film": Film, "weights": Weights, "plan": Plan, "config": Config, "keras": KerasWeights}


def read(reader, data):
    "Whether a file was accepted; anything but `BadInput` comes through."
    try: reader(data)
    except BadInput: return False
    return True


def mutate(
    data: bytes,
    draw: random.Random,
) -> bytes:            # with one to four mistakes in it
    "Breaks a file as disks, transfers and editors do: bits turned over, parts lost, doubled, cut off, or filled with one value."
    data = bytearray(data)
    for _ in range(draw.randint(1, 4)):
        start = draw.randrange(len(data) + 1)
        end = min(len(data), start + draw.choice((1, 1, 1, 4, 30, 1000)))
        kind = draw.choice("flip flip flip fill lose double cut number".split())
        if kind == "flip" and start < len(data): data[start] ^= 1 << draw.randrange(8)
        if kind == "fill": data[start:end] = bytes([draw.choice((0, 1, 127, 128, 255))]) * (end - start)
        if kind == "lose": del data[start:end]
        if kind == "double": data[start:start] = data[start:end]
        if kind == "cut": del data[start:]
        if kind == "number": data[start:end] = draw.choice((b"-1", b"1e999", b"NaN", b"null", b"{}", b"9" * 20))
    return bytes(data)
