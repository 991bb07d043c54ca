"""Readers of files from outside, and good files to break. A reader may raise `BadInput` and nothing else, whatever a file holds."""
import io, json, random, struct, zlib
from dataclasses import asdict
from pathlib import Path

import cv2, imagecodecs, numpy as np, pydicom
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate

from bss_gan.cli import _saved_config
from bss_gan.images import BadInput, example_film
from bss_gan.dicom import decode_dicom, open_film
from bss_gan.files import ModelConfig
from bss_gan.export import find_weights, load_network, openvino_function

PLANS = ("generator.json", "discriminator.json", "split.json")
# Networks with one channel: their files are a few kilobytes, so a broken byte nearly always hits something.
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
    "Writes a run folder with two tiny networks, using only h5py and no TensorFlow. It leaves out the checksums, which would stop most broken files."
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
    "Loads a run folder as `bss-gan suppress` does, or, with `load_network`, as `evaluate` and `export` do."
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


CHEST = cv2.resize(cv2.imread(str(example_film()), cv2.IMREAD_UNCHANGED), (96, 100), interpolation=cv2.INTER_AREA) / 255

# Elements that decide how a film is read, with values that real programs have written into them.
NUMBERS = ["", "0", "1", "-1", "2048", "2048,5", "2048.5\\40", "-2000", "1e30", "1e-30", "nan", "inf", "abc", "4096", "65536", " 7 ", "\\", "--"]
WORDS = ["", "PA", "LL", "CHEST", "HAND", "\xe9\xff", "A" * 70, "L\\F", "A\\F", "YES", "MONOCHROME1", "monochrome2", "MONOCHROME 2", "RGB", "SIGMOID", "OT"]
SHORTS = [0, 1, 2, 7, 8, 11, 12, 15, 16, 31, 40, 100, 255, 2048, 4095, 32768, 63536, 65535]
FIELDS = {name: ("DS", NUMBERS) for name in "RescaleSlope RescaleIntercept WindowCenter WindowWidth ImagerPixelSpacing".split()} | {
    name: ("CS", WORDS) for name in "Modality BodyPartExamined ViewPosition PatientOrientation PhotometricInterpretation VOILUTFunction BurnedInAnnotation "
                                    "PresentationIntentType SpecificCharacterSet ImageType PresentationLUTShape".split()} | {
    name: ("US", SHORTS) for name in "BitsAllocated BitsStored HighBit PixelRepresentation SamplesPerPixel Rows Columns PixelPaddingValue "
                                     "PixelPaddingRangeLimit".split()} | {
    name: ("IS", NUMBERS) for name in "NumberOfFrames SeriesNumber PixelAspectRatio".split()}


def element(tag, kind, value):
    "The bytes of an element in Explicit VR Little Endian, even if it is faulty."
    value += b" " * (len(value) % 2)
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, kind.encode(), len(value)) + value


def draw_field(draw):
    "An element with a value from the list, now and then of another type, or longer or shorter than its type allows."
    name = draw.choice(list(FIELDS))
    kind, values = FIELDS[name]
    value = draw.choice(values)
    data = struct.pack("<H", value) if kind == "US" else value.encode("latin-1")
    if draw.random() < 0.1: data = draw.choice((b"", data * 2, data[:1], b"\0" * 8))
    if draw.random() < 0.1: kind = draw.choice(("SS", "LO", "SH"))
    return pydicom.datadict.tag_for_keyword(name), kind, data


def dicom(draw, coding="bare", fields=()):
    "The chest as a DICOM file, with some of its elements replaced."
    numbers = np.round(CHEST * 4095).astype("<u2")
    encode = {"bare": np.ndarray.tobytes, "jpegls": imagecodecs.jpegls_encode, "jpeg2k": imagecodecs.jpeg2k_encode}[coding]
    film, film.file_meta = Dataset(), FileMetaDataset()
    film.file_meta.TransferSyntaxUID = {"bare": uid.ExplicitVRLittleEndian, "jpegls": uid.JPEGLSLossless, "jpeg2k": uid.JPEG2000Lossless}[coding]
    facts = dict(SOPClassUID=uid.ComputedRadiographyImageStorage, SOPInstanceUID="1.2.3", StudyInstanceUID="1.2.4", Modality="CR", ViewPosition="PA", Rows=100,
                 BodyPartExamined="CHEST", Columns=96, BitsAllocated=16, BitsStored=12, HighBit=11, PixelRepresentation=0, SamplesPerPixel=1,
                 PhotometricInterpretation="MONOCHROME2")
    for name, value in facts.items(): setattr(film, name, value)
    film.add_new("PixelData", "OW" if coding == "bare" else "OB", encode(numbers) if coding == "bare" else encapsulate([encode(numbers)]))
    parts, data = {}, io.BytesIO()
    film.save_as(data, enforce_file_format=True)
    for each in film:
        one, bytes_of = Dataset(), pydicom.filebase.DicomBytesIO()
        bytes_of.is_little_endian, bytes_of.is_implicit_VR = True, False
        one.add(each)
        pydicom.filewriter.write_dataset(bytes_of, one)
        parts[int(each.tag)] = bytes_of.getvalue()
    for tag, kind, value in fields: parts[tag] = element(tag, kind, value)
    head = data.getvalue()[:144 + int.from_bytes(data.getvalue()[140:144], "little")]
    return head + b"".join(parts[tag] for tag in sorted(parts))


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def draw_png(draw):
    "The chest as a PNG of 8 or 16 bits, with chunks that say something about its numbers."
    deep = draw.random() < 0.5
    data = saved(Image.fromarray(np.round(CHEST * (65535 if deep else 255)).astype(np.uint16 if deep else np.uint8)), "PNG")
    kinds = {b"sBIT": bytes([draw.choice((0, 1, 8, 10, 12, 16, 17, 255))]), b"gAMA": struct.pack(">I", draw.choice((0, 1, 45455, 100000, 2**31))),
             b"tRNS": struct.pack(">H", draw.choice((0, 255, 65535))), b"bKGD": struct.pack(">H", draw.choice((0, 128, 65535))),
             b"pHYs": struct.pack(">IIB", draw.choice((0, 1, 2**31 - 1)), 1, draw.choice((0, 1, 9))), b"tEXt": b"Comment\0" + b"x" * draw.randrange(9)}
    for name in draw.sample(list(kinds), draw.randint(1, 3)):
        body = kinds[name] if draw.random() < 0.9 else draw.choice((b"", kinds[name] * 2, kinds[name][:1]))
        data = data[:33] + chunk(name, body) + data[33:]
    if draw.random() < 0.1: data = data[:24] + bytes([draw.choice((1, 2, 4, 8, 16))]) + data[25:]  # the bit depth; the checksum is wrong then
    return data


class Fields:
    "A DICOM file with element values from the list, or a PNG with unusual chunks; the data is the seed of a random draw."

    def __init__(self, folder):
        self.file, self.seeds = Path(folder) / "film", [bytes([number]) for number in range(8)]

    def __call__(self, data):
        draw = random.Random(bytes(data))
        if draw.random() < 0.3: content = draw_png(draw)
        else: content = dicom(draw, draw.choice(("bare", "bare", "jpegls", "jpeg2k")), [draw_field(draw) for _ in range(draw.randint(1, 4))])
        self.file.write_bytes(content)
        film = open_film(self.file, "bright", 0, insist=True)
        film.write(self.file.with_name("result"), film.xray)


def same_chest(draw):
    "Another valid encoding of the chest, as (bytes, largest mean difference of grey)."
    bits, signed, negative = draw.choice((8, 10, 12, 14, 16)), draw.random() < 0.3, draw.random() < 0.5
    container = 16 if bits > 8 or draw.random() < 0.3 else 8
    shift = draw.choice((0, container - bits))
    numbers = np.round((1 - CHEST if negative else CHEST) * (2**bits - 1)).astype(np.int32) - signed * 2 ** (bits - 1)
    words = ((numbers & (2**bits - 1)) << shift).astype(f"<u{container // 8}")
    film, film.file_meta = Dataset(), FileMetaDataset()
    facts = dict(SOPClassUID=uid.ComputedRadiographyImageStorage, SOPInstanceUID="1.2.3", StudyInstanceUID="1.2.4", Modality="CR", ViewPosition="PA", Rows=100,
                 BodyPartExamined="CHEST", Columns=96, BitsAllocated=container, BitsStored=bits, HighBit=shift + bits - 1, SamplesPerPixel=1,
                 PixelRepresentation=int(signed), PhotometricInterpretation=f"MONOCHROME{2 - negative}")
    slope = draw.choice((1, 1, 0.5, 2))
    if draw.random() < 0.7: facts |= dict(RescaleSlope=slope, RescaleIntercept=draw.choice((0, -1024)))
    if draw.random() < 0.5:
        middle = slope_of(facts) * (2 ** (bits - 1) * (not signed)) + facts.get("RescaleIntercept", 0)
        facts |= dict(WindowCenter=middle, WindowWidth=slope_of(facts) * 2**bits)
    for name, value in facts.items(): setattr(film, name, value)
    film.file_meta.TransferSyntaxUID = draw.choice((uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian, uid.DeflatedExplicitVRLittleEndian, uid.JPEGLSLossless))
    packed = film.file_meta.TransferSyntaxUID == uid.JPEGLSLossless
    film.add_new("PixelData", "OB" if packed else "OW", encapsulate([imagecodecs.jpegls_encode(words)]) if packed else words.tobytes())
    data = io.BytesIO()
    film.save_as(data, enforce_file_format=True)
    return data.getvalue(), 2 / 2**bits + 0.002


def slope_of(facts): return facts.get("RescaleSlope", 1)


class SameChest:
    "The chest in another valid encoding has the same grey."

    def __init__(self, folder):
        self.file, self.seeds = Path(folder) / "film", [bytes([number]) for number in range(8)]

    def __call__(self, data):
        content, tolerance = same_chest(random.Random(bytes(data)))
        self.file.write_bytes(content)
        assert np.abs(decode_dicom(self.file).grey - CHEST).mean() < tolerance, "the chest has another grey"


READERS = {"film": Film, "weights": Weights, "plan": Plan, "config": Config, "keras": KerasWeights, "fields": Fields, "same": SameChest}


def read(reader, data):
    "Whether a reader accepted a file; passes on every error except `BadInput`."
    try: reader(data)
    except BadInput: return False
    return True


def mutate(
    data: bytes,
    draw: random.Random,
) -> bytes:            # with one to four mistakes in it
    "Breaks a file as disks, transfers and editors do: flips bits, and loses, doubles, cuts off or overwrites parts."
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
