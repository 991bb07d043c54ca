"""The films and other pictures that the judge of films learns from and is tested on."""
import csv
import zlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

import others
from bss_gan.anatomy import _find_box, _shrink, make_stamp

FOLDS = 5
REAL = {"jsrt/source": True, "jsrt_unpaired": True, "cxr": False, "cxr_more": False, "des/source": False}  # bone dark?
OUTSIDE = "des/source"  # never trained on


@dataclass(frozen=True)
class Chest:
    "An upright frontal chest film."
    grey: np.ndarray  # (H, W) float32, as its file shows it
    bone_dark: bool
    folder: str
    name: str
    fold: int         # by patient; -1: in none

    @property
    def upright(self):
        "The film with bright bone."
        return 1 - self.grey if self.bone_dark else self.grey


def _open(path, side=512):
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    image = np.float32(image / np.iinfo(image.dtype).max)
    shrink = side / max(image.shape)
    return cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA) if shrink < 1 else image


def real_films(data, limit=None):
    "All real films, or so many of each folder; each patient is in one fold."
    with open(Path(data) / "cxr_more" / "films.csv") as file:
        patients = {row["file"]: row["patient"] for row in csv.DictReader(file)}
    films = []
    for folder, dark in REAL.items():
        for path in sorted((Path(data) / folder).glob("*.png"))[:limit]:
            fold = -1 if folder == OUTSIDE else zlib.crc32(patients.get(path.name, path.stem).encode()) % FOLDS
            films.append(Chest(_open(path), dark, folder, path.stem, fold))
    return films


def simulated_films(folder, limit=None):
    "Films that make_films.py has made, or so many of each sub-folder."
    paths = [path for sub in sorted(Path(folder).glob("*/source")) for path in sorted(sub.glob("*.png"))[:limit]]
    return [Chest(_open(path), False, f"sim/{path.parent.parent.name}", path.stem, -1) for path in paths]


def other_kinds(cts, brains, chests):
    "{kind: (family, function of a random generator)}: a model of fold k has not seen the family k."
    n = others
    fixed = lambda images: lambda rng: images[rng.integers(len(images))]
    def cropped(images):
        def pick(rng):
            image = images[rng.integers(len(images))]
            s = rng.uniform(0.4, 1)
            (h, w), at = image.shape, rng.uniform(0, 1 - s, 2)
            return image[int(at[0] * h):int((at[0] + s) * h), int(at[1] * w):int((at[1] + s) * w)]
        return pick
    kinds = {name: (0, getattr(n, name)) for name in ("hand", "knee", "limb_film")}
    kinds |= {name: (1, partial(getattr(n, name), cts=cts)) for name in ("ct_axial", "ct_coronal", "ct_sagittal")}
    kinds |= {name: (2, getattr(n, name)) for name in ("pelvis", "abdomen", "skull", "shapes")}
    kinds |= {name: (3, getattr(n, name)) for name in ("mammogram", "ultrasound")}
    kinds |= {name: (4, getattr(n, name)) for name in ("letter", "ramp", "noise", "blocks")}
    kinds |= {"brain_mr": (1, partial(n.brain, volumes=brains)), "lower_body": (2, partial(n.lower_body, cts=cts))}
    kinds |= {"lateral": (3, partial(n.lateral, cts=cts)),
              "two_films": (3, partial(n.two_films, chests=chests, cts=cts))}
    kinds |= {"slanted": (0, partial(n.slanted, chests=chests)), "shuffled": (1, partial(n.shuffled, chests=chests)),
              "piece": (4, partial(n.piece, chests=chests))}
    kinds |= {"natural": (4, cropped(n.natural_images())), "text_page": (4, cropped(n.text_images()))}
    family = {"sample_ct": 1, "sample_mr": 1, "sample_us": 3, "sample_limb": 0, "sample_other": 4}
    return kinds | {kind: (family[kind], fixed(images)) for kind, images in n.dicom_samples().items()}


def load_volumes(data, scans, brain):
    "CTs and MR volumes from NIfTI files."
    import nibabel
    found = sorted((Path(data) / "ct").glob("*.nii.gz"))
    own = [path for path in found if "_" not in path.name.removeprefix("Lung_Dx")]  # without labels and bone masks
    cts = [others.read_ct(path) for path in (*own, *scans)]
    brains = [np.float32(nibabel.load(path).dataobj) for path in brain]
    return cts, brains


def frame(image, before, after, grey):
    "The image with margins of (rows, columns) shares of its sides before and after it."
    (h, w), (top, left), (bottom, right) = image.shape, before, after
    pad = (round(top * h), round(bottom * h)), (round(left * w), round(right * w))
    return np.pad(image, pad, constant_values=grey)


def _tone(image, rng):
    low, high = np.percentile(image, (rng.uniform(0, 6), rng.uniform(94, 100)))
    if rng.random() < 0.3: low, high = image.min(), image.max()
    image = np.clip((image - low) / max(high - low, 1e-3), 0, 1) ** 2 ** rng.uniform(-1.3, 1.3)
    if rng.random() < 0.3:
        image = image + rng.uniform(0.02, 0.1) * cv2.resize(rng.standard_normal((4, 4)).astype(np.float32),
                                                            image.shape[::-1], interpolation=cv2.INTER_CUBIC)
    if rng.random() < 0.4:  # software evens a film out
        coarse = cv2.GaussianBlur(cv2.resize(image, (32, 32), interpolation=cv2.INTER_AREA), (0, 0), rng.uniform(2, 8))
        image = image - rng.uniform(0.2, 0.7) * cv2.resize(coarse, image.shape[::-1], interpolation=cv2.INTER_CUBIC)
    return others.norm(image, 0, 100)


def _mark(image, rng):
    "Markers, labels, leads."
    h, w = image.shape
    for _ in range(rng.integers(0, 4)):
        a = rng.uniform(0, 1, 2) * (w, h)
        if rng.random() < 0.6: a[rng.integers(2)] = rng.choice((4, (w, h)[0] - 20))
        kind, grey = rng.integers(3), float(rng.choice((0, 1)))
        b = a + rng.uniform(0.02, 0.18, 2) * (w, h)
        canvas = np.zeros(image.shape, np.uint8)
        if kind == 0: cv2.rectangle(canvas, a.astype(int).tolist(), b.astype(int).tolist(), 255, -1)
        if kind == 1:
            cv2.putText(canvas, str(rng.choice(("L", "R", "AP", "liegend", "PORT"))), a.astype(int).tolist(), 0,
                        float(rng.uniform(0.4, 1)), 255, 2)
        if kind == 2:
            cv2.polylines(canvas, [(a + np.cumsum(rng.normal(0, 25, (8, 2)), 0)).astype(np.int32)], False, 255,
                          int(rng.integers(1, 4)))
        image = np.where(canvas > 0, grey, image).astype(np.float32)
    return image


def varied(image, rng, zoom=(0.85, 1.35)):
    "A film as another clinic might have taken it: moved, cut, exposed and marked otherwise, with margins."
    side = rng.integers(150, 257)
    (h, w), k = image.shape, side / max(image.shape)
    stretch = np.exp(rng.normal(0, 0.08))
    size = (max(48, int(w * k * stretch)), max(48, int(h * k / stretch)))
    warp = cv2.getRotationMatrix2D((w / 2, h / 2), rng.normal(0, 5), 1)
    scale = np.exp(rng.uniform(*np.log(zoom)))
    center = np.array([w, h]) / 2 + rng.uniform(-0.1, 0.1, 2) * (w, h)
    into = np.array([[size[0] / w * scale, 0], [0, size[1] / h * scale]])
    full = np.hstack([into @ warp[:, :2], (into @ (warp[:, 2] - center) + np.array(size) / 2)[:, None]])
    border = cv2.BORDER_REPLICATE if rng.random() < 0.6 else cv2.BORDER_CONSTANT
    image = cv2.warpAffine(cv2.GaussianBlur(image, (0, 0), max(0.3, 0.5 / (k * scale))), full, size, borderMode=border,
                           borderValue=float(rng.choice((0.0, 0.0, 1.0))))
    if rng.random() < 0.5: image = image[:, ::-1]
    image = _mark(_tone(image, rng), rng)
    if rng.random() < 0.4: image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 2))
    image = image + rng.normal(0, rng.uniform(0, 0.03), image.shape)
    return np.clip(image, 0, 1).astype(np.float32)


def framed(image, rng):
    if rng.random() < 0.5: return image
    grey = float(rng.choice((0, 1, rng.random())))
    some = rng.random(4) < (1 if rng.random() < 0.4 else 0.4)
    share = some * rng.uniform(0, 0.35, 4)
    image = frame(image, share[:2], share[2:], grey)
    if rng.random() < 0.3: image = np.clip(image + rng.normal(0, 0.006, image.shape), 0, 1).astype(np.float32)
    return image


def seen(image, rng):
    "The stamp of a picture; now and then the margins are left, in part."
    small, blank = _shrink(image, None)
    box = np.array(_find_box(small, blank))
    if rng.random() < 0.25:
        more = rng.uniform(0, 0.05, 4) * np.repeat(small.shape, 2)
        box = np.clip(box + np.int64(more * (-1, 1, -1, 1)), 0, np.repeat(small.shape, 2))
    return _stamp(small, blank, box)


def look(image):
    "The stamp of a picture, as `judge_film` sees it."
    small, blank = _shrink(image, None)
    return _stamp(small, blank, _find_box(small, blank))


def _stamp(small, blank, box):
    top, bottom, left, right = box
    inside = slice(top, bottom), slice(left, right)
    return make_stamp(small[inside], blank[inside])
