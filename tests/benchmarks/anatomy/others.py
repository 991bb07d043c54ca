"""Pictures that are no frontal chest film, of many kinds: drawn, cut from CTs, and made of chest films.

All are (H, W) float32 in [0, 1]. `natural_images`, `text_images` and `dicom_samples` need scikit-image, scikit-learn,
pydicom and pydicom-data; `read_ct` needs nibabel (all from PyPI).
"""
import warnings
from pathlib import Path

import cv2
import numpy as np

SIDE = 160


def norm(image, low=0.5, high=99.5):
    low, high = np.percentile(image, (low, high))
    return np.clip((image - low) / max(high - low, 1e-6), 0, 1).astype(np.float32)


def _grid(side=SIDE):
    line = np.linspace(-1, 1, side, dtype=np.float32)
    return np.meshgrid(line, line)


def field(rng, power=2.0, side=SIDE):
    "A smooth random field, mean 0 and deviation 1."
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.rfftfreq(side), indexing="ij"))
    frequency[0, 0] = np.inf
    image = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((side, side))) / frequency ** (power / 2 + 0.5),
                          (side, side))
    return np.float32((image - image.mean()) / image.std())


def solid(x, y, cx, cy, a, b, turn=0.0, depth=1.0, wall=None):
    "Length of a ray through an ellipsoid; with a wall, only through its shell."
    c, s = np.cos(turn), np.sin(turn)
    u, v = (c * (x - cx) + s * (y - cy)), (-s * (x - cx) + c * (y - cy))
    full = depth * np.sqrt(np.maximum(0, 1 - (u / a) ** 2 - (v / b) ** 2))
    if wall is None: return full
    inner = 1 - wall
    return full - inner * depth * np.sqrt(np.maximum(0, 1 - (u / a / inner) ** 2 - (v / b / inner) ** 2))


def limb(x, y, p, q, r0, r1, wall=None):
    "Length of a ray through a cone with round ends from p to q."
    px, py, qx, qy = *p, *q
    t = np.clip(((x - px) * (qx - px) + (y - py) * (qy - py)) / ((qx - px) ** 2 + (qy - py) ** 2 + 1e-9), 0, 1)
    d, r = np.hypot(x - px - t * (qx - px), y - py - t * (qy - py)), r0 + t * (r1 - r0)
    full = np.sqrt(np.maximum(0, r**2 - d**2))
    if wall is None: return full
    return full - np.sqrt(np.maximum(0, (r * (1 - wall)) ** 2 - d**2)) * 0.85


def _bone(x, y, p, q, r, rng, ends=1.5):
    "A long bone with thick ends."
    wall = rng.uniform(0.2, 0.45)
    p, q = np.array(p), np.array(q)
    total = limb(x, y, p, q, r, r, wall)
    for end, to in ((p, q), (q, p)):
        total = np.maximum(total, 0.7 * limb(x, y, end, end + 0.14 * (to - end), r * ends, r))
    return total


def _finish(soft, bone, rng):
    "Thicknesses as a film: attenuation, texture, noise, tone."
    density = soft * rng.uniform(0.6, 1.4) + bone * rng.uniform(1.0, 3.5)
    density = density * (1 + 0.04 * field(rng, 1.5)) + 0.02 * density.max() * field(rng, 3)
    grey = 1 - np.exp(-density * rng.uniform(0.8, 2.5))
    return norm(cv2.GaussianBlur(grey + rng.normal(0, 0.01, grey.shape).astype(np.float32), (0, 0),
                                 rng.uniform(0.3, 1.5)))


def hand(rng):
    x, y = _grid()
    soft, bone = np.zeros_like(x), np.zeros_like(x)
    s = rng.uniform(0.75, 1.1)
    for cx in ((0,) if rng.random() < 0.6 else (-0.5, 0.5)):
        k = s if cx == 0 else s * 0.5
        base = np.array([cx + rng.uniform(-0.1, 0.1), rng.uniform(0.2, 0.4)])
        soft = np.maximum(soft, solid(x, y, base[0], base[1], 0.36 * k, 0.4 * k, 0, 0.28 * k))
        soft = np.maximum(soft, limb(x, y, base + (0, 0.25 * k), base + (0, 1.2 * k), 0.24 * k, 0.28 * k))
        for i in range(8):
            bone = np.maximum(bone, solid(x, y, *(base + k * rng.uniform((-0.2, 0.22), (0.2, 0.42))),
                                          0.08 * k, 0.07 * k, 0, 0.12 * k))
        for off in (-0.09, 0.1):
            bone = np.maximum(bone, _bone(x, y, base + k * np.array([off, 0.48]), base + k * np.array([off, 1.4]),
                                          0.07 * k, rng))
        spread = rng.uniform(0.1, 0.28)
        for i, length in enumerate((0.55, 0.72, 0.8, 0.74, 0.58)):
            angle = (i - 2) * spread + rng.normal(0, 0.05) + (-0.35 if i == 0 else 0)
            way = np.array([np.sin(angle), -np.cos(angle)])
            at = base + k * np.array([(i - 2) * 0.12, 0.1 + (0.12 if i == 0 else 0)])
            soft = np.maximum(soft, limb(x, y, at, at + way * length * 1.4 * k, 0.1 * k, 0.075 * k))
            for part in (0.5, 0.37, 0.24, 0.16):
                to = at + way * part * length * k
                bone = np.maximum(bone, _bone(x, y, at + way * 0.015, to - way * 0.015, 0.036 * k, rng))
                at = to
    return _finish(soft * 2, bone * 3, rng)


def knee(rng):
    x, y = _grid()
    soft, bone = np.zeros_like(x), np.zeros_like(x)
    for cx in ((0,) if rng.random() < 0.5 else (-0.5, 0.5)):
        k = rng.uniform(0.9, 1.2) * (1 if cx == 0 else 0.6)
        cx, joint = cx + rng.uniform(-0.1, 0.1), rng.uniform(-0.2, 0.2)
        lean, bent = rng.uniform(-0.15, 0.15), rng.uniform(-0.5, 0.5) * (rng.random() < 0.4)
        top, low = (cx + lean, joint - 1.5), (cx - lean + bent, joint + 1.5)
        soft = np.maximum(soft, np.maximum(limb(x, y, top, (cx, joint), 0.55 * k, 0.4 * k),
                                           limb(x, y, (cx, joint), low, 0.4 * k, 0.33 * k)))
        bone = np.maximum(bone, _bone(x, y, top, (cx, joint - 0.15 * k), 0.15 * k, rng, 2.0))
        bone = np.maximum(bone, _bone(x, y, (cx, joint + 0.12 * k), (low[0], low[1]), 0.14 * k, rng, 2.0))
        side = 0.22 * k * rng.choice((-1, 1))
        bone = np.maximum(bone, _bone(x, y, (cx + side, joint + 0.28 * k), (low[0] + side, low[1]), 0.05 * k, rng, 1.6))
        if rng.random() < 0.6: bone = bone + solid(x, y, cx, joint - 0.18 * k, 0.13 * k, 0.15 * k, 0, 0.12 * k)
    return _finish(soft, bone * 2, rng)


def limb_film(rng):
    "A shaft with its neighbour joint: shin, forearm, upper arm with shoulder."
    x, y = _grid()
    k, lean = rng.uniform(0.6, 1.3), rng.uniform(-0.4, 0.4)
    p, q = np.array([-lean, -1.3]), np.array([lean, 1.3 if rng.random() < 0.5 else rng.uniform(0.1, 0.8)])
    soft = limb(x, y, p, q + (0, 0.1), 0.4 * k, 0.3 * k)
    side = np.array([0.13 * k, 0])
    bone = np.maximum(_bone(x, y, p - side, q - side, 0.1 * k, rng), _bone(x, y, p + side, q + side, 0.08 * k, rng)
                      * (rng.random() < 0.7))
    if rng.random() < 0.5:
        soft = np.maximum(soft, limb(x, y, q, q + (rng.uniform(0.3, 0.8), 0.2), 0.28 * k, 0.16 * k))
        bone = np.maximum(bone, solid(x, y, *q, 0.2 * k, 0.15 * k, 0, 0.2))
    return _finish(soft, bone * 2, rng)


def pelvis(rng):
    x, y = _grid()
    k, one = rng.uniform(0.85, 1.25), rng.random() < 0.3
    if one: x = x * 0.6 + rng.choice((-0.45, 0.45))
    legs = sum(limb(x, y, (0.45 * side, 0.4), (0.5 * side, 1.6), 0.42, 0.36) * 0.6 for side in (-1, 1))
    soft = solid(x, y, 0, 0, 1.15 * k, 1.5, 0, 0.9) * 0.8 + legs
    bone = np.zeros_like(x)
    for side in (-1, 1):
        bone += 0.5 * solid(x, y, side * 0.5 * k, -0.32, 0.34 * k, 0.42, side * rng.uniform(0.3, 0.7), 0.4,
                            wall=rng.uniform(0.1, 0.4))
        bone += solid(x, y, side * 0.4 * k, 0.42, 0.2 * k, 0.26, side * -0.5, 0.35, wall=0.35)
        hip = np.array([side * 0.58 * k, 0.22])
        bone = np.maximum(bone, solid(x, y, *hip, 0.15 * k, 0.15, 0, 0.35))
        trochanter = hip + (side * 0.24 * k, 0.16)
        bone = np.maximum(bone, limb(x, y, hip, trochanter, 0.09, 0.1) * 2)
        bone = np.maximum(bone, _bone(x, y, trochanter, (side * 0.72 * k, 1.5), 0.11, rng) * 2)
    for i in range(6):
        bone += solid(x, y, 0, -0.95 + 0.17 * i, (0.15 + (i > 3) * 0.04) * k, 0.075, 0, 0.3, wall=0.3)
    gas = np.zeros_like(x)
    for _ in range(rng.integers(0, 9)):
        gas += solid(x, y, *rng.uniform((-0.6, -1), (0.6, 0.1)), *rng.uniform(0.05, 0.2, 2), rng.uniform(0, 3), 0.25)
    return _finish(np.maximum(soft - gas, 0), bone, rng)


def abdomen(rng):
    x, y = _grid()
    soft = solid(x, y, 0, rng.uniform(-0.3, 0.3), rng.uniform(0.9, 1.3), rng.uniform(1.4, 2.5), 0, 1)
    bone = np.zeros_like(x)
    for i in range(9):
        cy = -1 + 0.25 * i
        bone += solid(x, y, 0, cy, 0.14, 0.11, 0, 0.35, wall=0.3) + 0.3 * solid(x, y, 0, cy, 0.3, 0.03, 0, 0.3)
    for side in (-1, 1):
        for i in range(rng.integers(0, 4)):
            bone = np.maximum(bone, 0.25 * limb(x, y, (side * 0.2, -1.05 + 0.16 * i), (side * 0.85, -0.85 + 0.2 * i),
                                                0.05, 0.05, 0.3) * 3)
        if rng.random() < 0.6: bone += 0.5 * solid(x, y, side * 0.55, 0.95, 0.38, 0.42, side * 0.5, 0.4, wall=0.2)
        soft = soft + 0.25 * solid(x, y, side * 0.3, 0.0, 0.13, 0.5, side * 0.25, 0.6)
    gas = np.zeros_like(x)
    for _ in range(rng.integers(3, 22)):
        gas += solid(x, y, *rng.uniform((-0.75, -0.9), (0.75, 0.9)), *rng.uniform(0.04, 0.22, 2), rng.uniform(0, 3),
                     rng.uniform(0.1, 0.5))
    return _finish(np.maximum(soft - gas, 0.1), bone, rng)


def skull(rng):
    x, y = _grid()
    k, lateral = rng.uniform(0.8, 1.2), rng.random() < 0.5
    a, b = (0.75, 0.62) if lateral else (0.56, 0.68)
    cy = rng.uniform(-0.35, -0.15)
    neck = limb(x, y, (0, cy + 0.5 * k), (0.1 * lateral, 1.5), 0.36 * k, 0.3 * k)
    soft = solid(x, y, 0, cy, a * k, b * k, 0, 0.8) + 0.8 * neck
    bone = solid(x, y, 0, cy, a * k, b * k, 0, 0.8, wall=rng.uniform(0.06, 0.12))
    fx = -0.42 * k if lateral else 0
    bone += 0.5 * solid(x, y, fx, cy + 0.5 * k, 0.33 * k, 0.3 * k, 0, 0.5)
    for side in (-1, 1):
        ex = fx - 0.1 * k if lateral else side * 0.22 * k
        bone += 0.4 * solid(x, y, ex, cy + 0.25 * k, 0.17 * k, 0.14 * k, 0, 0.3, wall=0.2)
        bone -= 0.25 * solid(x, y, ex, cy + 0.25 * k, 0.13 * k, 0.1 * k, 0, 0.3)
        bone -= 0.25 * solid(x, y, ex * 0.9, cy + 0.5 * k, 0.1 * k, 0.12 * k, 0, 0.4)
    bone += 0.8 * solid(x, y, fx * 1.1, cy + 0.75 * k, 0.3 * k, 0.24 * k, 0, 0.4, wall=0.4)
    for i in range(7):
        bone += solid(x, y, 0.12 * k * lateral, cy + (0.75 + 0.14 * i) * k, 0.13 * k, 0.055 * k, 0, 0.3, wall=0.3)
    return _finish(soft, np.maximum(bone, 0), rng)


def mammogram(rng):
    x, y = _grid()
    edge, cy = rng.uniform(0.9, 1.9), rng.uniform(-0.2, 0.3)
    inside = np.maximum(0, 1 - ((x + 1) / edge) ** 2 - ((y - cy) / rng.uniform(0.6, 1.1)) ** 2)
    breast = inside ** rng.uniform(0.15, 0.5)
    texture = np.clip(field(rng, rng.uniform(1.5, 3)) - rng.uniform(-1, 1), 0, None) * inside ** 0.6
    image = breast * (0.5 + rng.uniform(0.1, 0.5) * texture)
    if rng.random() < 0.6:
        grey, along, up = rng.uniform(0.6, 1), rng.uniform(0.8, 2), rng.uniform(0.4, 1)
        image = np.maximum(image, grey * ((x + 1) * along + (y + 1) * up < rng.uniform(0.4, 1.1)))
    if rng.random() < 0.2: image = np.hstack([image[:, ::-2], image[:, ::2]])
    return norm(cv2.GaussianBlur(np.float32(image), (0, 0), rng.uniform(0.5, 2)), 0, 99.9)


def ultrasound(rng):
    x, y = _grid()
    top, half, near, far = rng.uniform((-1.3, 0.35, 0.05, 1.4), (-0.8, 0.9, 0.5, 2.2))
    r, angle = np.hypot(x, y - top), np.arctan2(x, y - top)
    inside = (np.abs(angle) < half) & (r > near) & (r < far)
    speckle = np.abs(cv2.GaussianBlur(rng.standard_normal(x.shape), (0, 0), 1.2))
    speckle *= np.exp(0.7 * field(rng, 2.5)) * np.exp(-rng.uniform(0, 1) * r)
    for _ in range(rng.integers(0, 5)):
        speckle *= solid(x, y, *rng.uniform((-0.5, -0.4), (0.5, 0.8)), *rng.uniform(0.08, 0.35, 2),
                         rng.uniform(0, 3)) < 0.01
    return norm(speckle * inside + (rng.random() < 0.3) * 0.05, 0, 99)


def letter(rng):
    image = np.full((SIDE * 4, SIDE * 3 if rng.random() < 0.6 else SIDE * 4), rng.integers(215, 256), np.uint8)
    y, height = rng.integers(20, 90), image.shape[1]
    while y < SIDE * 4 - 30:
        size, x = rng.choice((0.5, 0.6, 0.9)), 40
        if rng.random() < 0.2: y += rng.integers(15, 80)
        end = height - rng.integers(30, 300 if rng.random() < 0.3 else 60)
        while x < end:
            word = "".join(chr(c) for c in rng.integers(97, 123, rng.integers(2, 10)))
            cv2.putText(image, word, (x, int(y)), 0, float(size), 25, 1 + int(rng.random() < 0.1))
            x += int(len(word) * 19 * size + 10)
        y += int(30 * size + rng.integers(6, 14))
    return cv2.resize(np.float32(image) / 255, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA)


def ramp(rng):
    x, y = _grid()
    kind, angle = rng.integers(7), rng.uniform(0, 7)
    u = x * np.cos(angle) + y * np.sin(angle)
    image = (u, np.hypot(x - rng.uniform(-0.5, 0.5), y), np.sin(u * rng.uniform(2, 20)), u + 0.3 * np.abs(x), x * y,
             np.abs(u), np.abs(x) + rng.uniform(-1, 1) * y**2)[kind]
    return norm(image + rng.normal(0, 10 ** rng.uniform(-3, -1), x.shape), 0, 100)


def noise(rng):
    kind = rng.integers(5)
    if kind == 0: return norm(rng.standard_normal((SIDE, SIDE)))
    if kind == 1: return np.full((SIDE, SIDE), rng.random(), np.float32)
    image = field(rng, rng.uniform(0.5, 5))
    if kind == 3: image = image + image[:, ::-1]
    if kind == 4: image = (image > rng.uniform(-1, 1)) + 0.1 * rng.standard_normal(image.shape)
    return norm(image)


def blocks(rng):
    "Test patterns, charts and screens: boxes and stripes."
    image = np.full((SIDE, SIDE), rng.random(), np.float32)
    for _ in range(rng.integers(2, 30)):
        a, b = rng.integers(0, SIDE, 2), rng.integers(5, SIDE, 2)
        if rng.random() < 0.7:
            cv2.rectangle(image, a.tolist(), (a + b // 2).tolist(), float(rng.random()),
                          -1 if rng.random() < 0.8 else 2)
        else:
            cv2.ellipse(image, a.tolist(), (b // 3).tolist(), float(rng.uniform(0, 180)), 0, 360, float(rng.random()),
                        -1)
    return image


def shapes(rng):
    "Symmetric heaps of ellipsoids: a body that has no lungs where they belong."
    x, y = _grid()
    soft = solid(x, y, 0, 0, rng.uniform(0.7, 1.5), rng.uniform(0.7, 2), 0, 1)
    for _ in range(rng.integers(1, 8)):
        low, high = (0, -0.9, 0.05, 0.05, -1, -0.5), (0.8, 0.9, 0.4, 0.4, 1, 0.8)
        cx, cy, a, b, turn, depth = rng.uniform(low, high)
        for side in (-1, 1): soft = soft + solid(x, y, side * cx, cy, a, b, side * turn, depth)
    return _finish(np.maximum(soft, 0), 0, rng)


# ---- from CTs: (rows, depth, columns) of about 2 mm, from head to feet, front to back

def read_ct(path):
    import nibabel
    image = nibabel.as_closest_canonical(nibabel.load(path))
    hu = np.asarray(image.dataobj)[::-1, ::-1, ::-1].transpose(2, 1, 0)
    width, depth, height = map(float, image.header.get_zooms()[:3])
    hu = np.stack([cv2.resize(np.float32(a), None, fx=width / 2, fy=depth / 2, interpolation=cv2.INTER_AREA)
                   for a in hu])
    rows = round(len(hu) * height / 2)
    at = np.linspace(0, len(hu) - 1, rows)
    low, share = np.minimum(at.astype(int), len(hu) - 2), None
    share = (at - low)[:, None, None].astype(np.float32)
    return np.float32(hu[low] * (1 - share) + hu[low + 1] * share)


def _window(hu, rng):
    center, width = ((-550, 1500), (40, 400), (300, 1500), (-100, 2000))[rng.integers(4)]
    return np.clip((hu - center * rng.uniform(0.8, 1.2)) / (width * rng.uniform(0.8, 1.3)) + 0.5, 0,
                   1).astype(np.float32)


def ct_axial(rng, cts):
    hu = cts[rng.integers(len(cts))]
    return _window(hu[rng.integers(len(hu))], rng)


def ct_coronal(rng, cts):
    hu = cts[rng.integers(len(cts))]
    return _window(hu[:, rng.integers(int(0.1 * hu.shape[1]), int(0.9 * hu.shape[1]))], rng)


def ct_sagittal(rng, cts):
    hu = cts[rng.integers(len(cts))]
    return _window(hu[:, :, rng.integers(int(0.15 * hu.shape[2]), int(0.85 * hu.shape[2]))], rng)


def _through(hu, angle, rng):
    "Parallel projection after a turn about the long axis; 0 is frontal, 90 lateral."
    side = int(np.hypot(*hu.shape[1:])) + 2
    depth, width = hu.shape[1:]
    warp = cv2.getRotationMatrix2D((width / 2, depth / 2), angle, 1)
    warp[:, 2] += (side / 2 - width / 2, side / 2 - depth / 2)
    lines = np.stack([cv2.warpAffine(a, warp, (side, side), borderValue=-1000.0).sum(0)
                      for a in np.where(hu > 150, hu * 1.8, hu) + 1000.0])
    some = np.flatnonzero(lines.max(0) > 0.15 * lines.max())
    pad = int(rng.uniform(-0.05, 0.15) * len(some))
    lines = lines[:, max(0, some[0] - pad):some[-1] + pad + 1]
    return norm(-np.exp(-np.maximum(lines, 0) * rng.uniform(4e-6, 1.2e-5)), 0.2, 99.8)


def lateral(rng, cts):
    hu = cts[rng.integers(len(cts))]
    return _through(hu[:, :, ::1], rng.choice((-90, 90)) + rng.uniform(-25, 25), rng)


def lower_body(rng, cts):
    "A frontal projection of what lies below the lungs, or of neck and shoulders only."
    hu = cts[rng.integers(len(cts))]
    air = ((hu > -980) & (hu < -600)).mean((1, 2))
    some = np.flatnonzero(air > 0.5 * air.max())
    below, above = hu[some[-1]:], hu[:max(some[0], 2)]
    part = below if len(below) > 25 else above if len(above) > 20 else hu[-int(0.25 * len(hu)):]
    return _through(part, rng.uniform(-10, 10), rng)


# ---- from upright, bone-bright chest films

def two_films(rng, chests, cts):
    "Two films on one sheet: frontal beside lateral, or frontal beside frontal."
    side, gap = SIDE, rng.integers(0, 12)
    one = cv2.resize(chests[rng.integers(len(chests))], (side, side), interpolation=cv2.INTER_AREA)
    other = lateral(rng, cts) if rng.random() < 0.6 else chests[rng.integers(len(chests))]
    width = int(side * rng.uniform(0.7, 1.1))
    films = [one, np.full((side, gap), rng.choice((0, 1, rng.random())), np.float32),
             cv2.resize(other, (width, side), interpolation=cv2.INTER_AREA)]
    return np.hstack(films[::rng.choice((-1, 1))]).astype(np.float32)


def slanted(rng, chests):
    image = cv2.resize(chests[rng.integers(len(chests))], (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    warp = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), float(rng.choice((-45, 45)) + rng.uniform(-8, 8)),
                                   rng.uniform(0.75, 1.4))
    return cv2.warpAffine(image, warp, (SIDE, SIDE), borderMode=cv2.BORDER_CONSTANT
                          if rng.random() < 0.5 else cv2.BORDER_REFLECT)


def piece(rng, chests):
    "A part of a chest film: one lung, a corner, the abdomen, the neck."
    image = chests[rng.integers(len(chests))]
    h, w = image.shape
    kind = rng.integers(4)
    if kind == 0:
        side = int(rng.uniform(0.35, 0.48) * w)
        return image[:, :side] if rng.random() < 0.5 else image[:, -side:]
    if kind == 1: return image[-int(rng.uniform(0.2, 0.35) * h):]
    if kind == 2: return image[:int(rng.uniform(0.15, 0.3) * h)]
    s = rng.uniform(0.2, 0.42)
    a, b = int(rng.uniform(0, 1 - s) * h), int(rng.uniform(0, 1 - s) * w)
    return image[a:a + int(s * h), b:b + int(s * w)]


def shuffled(rng, chests):
    image = cv2.resize(chests[rng.integers(len(chests))], (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    n = int(rng.choice((2, 3, 4)))
    s = SIDE // n
    parts = [image[i * s:(i + 1) * s, j * s:(j + 1) * s] for i in range(n) for j in range(n)]
    order = rng.permutation(n * n)
    while (order == np.arange(n * n)).mean() > 0.25: order = rng.permutation(n * n)
    return np.vstack([np.hstack([parts[order[i * n + j]] for j in range(n)]) for i in range(n)])


# ---- pictures that come with Python packages

def natural_images():
    import skimage.data as data
    from sklearn.datasets import load_sample_images
    folder = Path(data.__file__).parent
    names = ("astronaut brick camera cell chelsea coffee coins color grass gravel horse hubble_deep_field ihc logo "
             "microaneurysms moon motorcycle_left retina rocket clock_motion").split()
    images = []
    for name in names:
        path = next((p for p in folder.glob(name + ".*")), None)
        image = cv2.imread(str(path), 0) if path else None
        if image is not None: images.append(image)
    images += [image.mean(-1) for image in load_sample_images().images]
    return [norm(cv2.resize(np.float32(i), None, fx=320 / max(i.shape), fy=320 / max(i.shape),
                            interpolation=cv2.INTER_AREA), 0, 100) for i in images]


def text_images():
    import skimage.data as data
    return [np.float32(cv2.imread(str(Path(data.__file__).parent / f"{name}.png"), 0)) / 255
            for name in ("page", "text")]


def dicom_samples():
    "{kind: [images]}: what pydicom and pydicom-data bring along; CHEST is left out."
    import data_store
    import pydicom
    warnings.filterwarnings("ignore")
    folders = [Path(data_store.__path__[0]) / "data", Path(pydicom.__file__).parent / "data" / "test_files"]
    found, seen = {}, set()
    for path in sorted(p for folder in folders for p in folder.glob("*.dcm")):
        try:
            data = pydicom.dcmread(path)
            a = np.asarray(data.pixel_array, float)
        except Exception: continue
        if a.ndim == 4: a = a[0]
        if a.ndim == 3: a = a.mean(-1) if a.shape[-1] == 3 else a[len(a) // 2]
        key = (a.shape, round(a.mean()))
        if min(a.shape) < 48 or key in seen or data.get("BodyPartExamined") == "CHEST": continue
        seen.add(key)
        kind = {"CT": "sample_ct", "MR": "sample_mr", "US": "sample_us",
                "CR": "sample_limb"}.get(str(data.get("Modality")), "sample_other")
        a = norm(cv2.resize(a, None, fx=320 / max(a.shape), fy=320 / max(a.shape), interpolation=cv2.INTER_AREA)
                 if max(a.shape) > 320 else a)
        found.setdefault(kind, []).append(1 - a if data.get("PhotometricInterpretation") == "MONOCHROME1" else a)
    return found


def brain(rng, volumes):
    v = volumes[rng.integers(len(volumes))]
    axis = rng.integers(3)
    k = rng.integers(int(0.2 * v.shape[axis]), int(0.8 * v.shape[axis]))
    image = np.take(v, k, axis)
    return norm(np.rot90(image) if rng.random() < 0.8 else v.sum(axis), 0, 100)
