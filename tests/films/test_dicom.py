"""DICOM films: faulty files of every kind, an independent validator, a real archive, real films.

Each faulty file is made here in a few lines. The number in the name of a test or a case only tells the faults apart."""
import errno, io, json, os, re, shutil, socket, subprocess, time, urllib.request, zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click, cv2, imagecodecs, numpy as np, pydicom, pytest
from PIL import Image
from pydicom import uid
from pydicom.encaps import encapsulate, get_frame

from helpers.dicom_films import BYTES, CLASSES, GREY, GREY12, SAME_CHEST, WINDOW, bare, built, curve, dataset, film12, item, make, renamed, save
from helpers.project import ROOT

import bss_gan.dicom, bss_gan.files
from bss_gan.cli import main
from bss_gan.dicom import decode_dicom, is_dicom, open_film, read_uid, why_no_picture
from bss_gan.export import name_weights
from bss_gan.files import find_duplicates, find_films
from bss_gan.images import BadImage, BadInput, decode_image, example_film, to_stored
from bss_gan.testing import load_suppressor, suppress_file


def again(raw, numbers=None, made_by="none"):
    "The data set of a result with other numbers."
    return pydicom.dcmread(io.BytesIO(raw.encode(raw.numbers if numbers is None else numbers, made_by)))


def as_film(raw, folder):
    "A result, read again."
    (folder / "again.dcm").write_bytes(raw.encode(raw.numbers, "none"))
    return decode_dicom(folder / "again.dcm")


@pytest.fixture(scope="module")
def suppressor():
    return load_suppressor("baseline")


# Compression

def by_rle(film):
    film.compress(uid.RLELossless, generate_instance_uid=False)
    return film


def coded(syntax, encode, **options):
    "Compresses with an encoder of imagecodecs."
    def compress(film):
        if encode is imagecodecs.jpeg8_encode: options["bitspersample"] = film.BitsStored
        levels = np.frombuffer(film.PixelData, f"u{film.BitsAllocated // 8}").reshape(film.Rows, film.Columns)
        film.PixelData = encapsulate([encode(levels, **options)])
        film["PixelData"].VR = "OB"
        film.file_meta.TransferSyntaxUID = syntax
        return film
    return compress


by_jpeg = coded(uid.JPEGBaseline8Bit, imagecodecs.jpeg8_encode, level=95)
# name: how it is made, bits, largest error of a pixel in steps
CODINGS = {
    "implicit": (bare(uid.ImplicitVRLittleEndian), 12, 0), "explicit": (bare(uid.ExplicitVRLittleEndian), 12, 0),
    "deflated": (bare(uid.DeflatedExplicitVRLittleEndian), 12, 0), "rle": (by_rle, 12, 0), "rle_8": (by_rle, 8, 0),
    "jpeg_baseline": (by_jpeg, 8, 12), "jpeg_extended": (coded(uid.JPEGExtended12Bit, imagecodecs.jpeg8_encode, level=95), 12, 60),
    "jpeg_lossless": (coded(uid.JPEGLossless, imagecodecs.jpeg8_encode, lossless=True, predictor=5), 14, 0),
    "jpeg_lossless_sv1": (coded(uid.JPEGLosslessSV1, imagecodecs.jpeg8_encode, lossless=True, predictor=1), 12, 0),
    "jpeg_ls": (coded(uid.JPEGLSLossless, imagecodecs.jpegls_encode), 12, 0),
    "jpeg_ls_lossy": (coded(uid.JPEGLSNearLossless, imagecodecs.jpegls_encode, level=3), 12, 3),
    "jpeg_2000": (coded(uid.JPEG2000Lossless, imagecodecs.jpeg2k_encode, reversible=True, codecformat="j2k"), 16, 0),
    "jpeg_2000_lossy": (coded(uid.JPEG2000, imagecodecs.jpeg2k_encode, level=75, codecformat="j2k"), 12, 120),
}
LOSSY = {"jpeg_baseline", "jpeg_extended", "jpeg_ls_lossy"}
every_coding = pytest.mark.parametrize("coding", CODINGS)


def make_coded(path, coding, **more):
    compress, bits, _ = CODINGS[coding]
    return save(path, compress(dataset("CR", bits, **more)))


@every_coding
def test_every_coding_is_read_and_written_bare(coding, tmp_path):
    _, bits, error = CODINGS[coding]
    film = decode_dicom(make_coded(tmp_path / "film.dcm", coding))
    assert film.grey.shape == (180, 200) and film.grey.dtype == np.float32
    assert np.abs(film.numbers - np.round((1 - GREY) * (2**bits - 1))).max() <= error
    result = again(film)
    assert result.file_meta.TransferSyntaxUID == uid.ExplicitVRLittleEndian
    assert (result.pixel_array == film.numbers).all()
    assert result.get("LossyImageCompression") == ("01" if coding in LOSSY else film.dataset.get("LossyImageCompression"))


@every_coding
@pytest.mark.parametrize("share", [0.5, 0.8, 0.97])
def test_27_cut(coding, share, tmp_path):
    data = make_coded(tmp_path / "whole.dcm", coding).read_bytes()
    (tmp_path / "cut.dcm").write_bytes(data[:int(len(data) * share)])
    with pytest.raises(BadImage, match="cut.dcm"): decode_dicom(tmp_path / "cut.dcm")


# The faults

def changed(**more):
    return lambda path: make(path, **more)


def without(*names):
    def build(path):
        film = dataset("CR")
        for name in names: del film[name]
        return save(path, film)
    return build


def cut(start):
    def build(path):
        data = make(path).read_bytes()
        path.write_bytes(data[:start])
    return build


def short(path):
    film = dataset()
    film.PixelData = film.PixelData[:-1000]
    save(path, film)


def lying_stream(path):
    film = by_jpeg(dataset("CR", 8))
    film.Rows, film.Columns = 90, 400  # as many pixels, but different sides
    save(path, film)


def broken_stream(coding):
    "A compressed picture that ends in the middle, in a file that is whole."
    def build(path):
        film = CODINGS[coding][0](dataset("CR", CODINGS[coding][1]))
        frame = get_frame(film.PixelData, 0, number_of_frames=1)
        film.PixelData = encapsulate([frame[:len(frame) // 4 * 2]])
        save(path, film)
    return build


def unsupported_stream(path):
    film = by_jpeg(dataset("CR", 8))
    film.file_meta.TransferSyntaxUID = uid.MPEG2MPML
    save(path, film)


def colour(photometric):
    def build(path):
        film = dataset("SC", 8)
        film.SamplesPerPixel, film.PhotometricInterpretation, film.PlanarConfiguration = 3, photometric, 0
        film.PixelData = np.repeat(np.frombuffer(film.PixelData, np.uint8), 3).tobytes()
        save(path, film)
    return build


def colour_stream(path):
    film = by_jpeg(dataset("CR", 8))
    film.PixelData = encapsulate([imagecodecs.jpeg8_encode(np.dstack([np.uint8(255 * GREY)] * 3))])
    save(path, film)


def dicomdir(path):
    film = dataset()
    film.SOPClassUID = uid.MediaStorageDirectoryStorage
    save(path, film)


LATERAL = item(CodeValue="399067008", CodingSchemeDesignator="SCT", CodeMeaning="lateral projection")
# number of the fault, name, how it is made, a word of the reason
REFUSED = [
    (26, "short", short, "bytes of pixels instead of"),
    *((28, f"header_{start}", cut(start), "") for start in (0, 60, 130, 150, 300, 500, 900, 1200)),
    (29, "png", lambda path: path.write_bytes(example_film().read_bytes()), "PNG image"),
    (29, "text", lambda path: path.write_text("Dear colleague, " * 20), "not DICOM"),
    (30, "no_pixels", without("PixelData"), "no picture"),
    (31, "no_photometric", without("PhotometricInterpretation"), "PhotometricInterpretation"),
    (31, "no_bits_stored", without("BitsStored"), "BitsStored"),
    (31, "bits_above_allocated", changed(BitsStored=20), "20 of 16 bits"),
    (32, "rows_0", changed(Rows=0), "at least"),
    (33, "huge", changed(Rows=60000, Columns=60000), "100,000,000"),
    (33, "too_many_rows", changed(Rows=181), "bytes of pixels instead of"),
    (33, "too_few_rows", changed(Rows=170), "bytes of pixels instead of"),
    (33, "lying_stream", lying_stream, "its picture has 200 x 180"),
    (34, "frames", changed(NumberOfFrames=2), "2 frames"),
    *((35, f"broken_{coding}", broken_stream(coding), "") for coding in ("rle", "jpeg_baseline", "jpeg_extended", "jpeg_lossless", "jpeg_ls", "jpeg_2000", "jpeg_2000_lossy")),
    (35, "unsupported_stream", unsupported_stream, "cannot be read here"),
    (36, "rgb", colour("RGB"), "colour"), (36, "ybr", colour("YBR_FULL"), "colour"), (36, "palette", changed(PhotometricInterpretation="PALETTE COLOR"), "colour"),
    (36, "rgb_stream", colour_stream, "its picture has the shape"),
    (37, "ct", changed(Modality="CT"), "modality CT"), (37, "ct_object", changed(SOPClassUID=uid.CTImageStorage), "CT Image Storage"),
    (37, "hand", changed(BodyPartExamined="HAND"), "HAND"),
    (37, "hand_by_code", changed(BodyPartExamined="", AnatomicRegionSequence=[item(CodeMeaning="Hand")]), "HAND"),
    (37, "lateral", changed(ViewPosition="LL"), "not a frontal view"),
    (37, "lateral_by_code", changed(ViewPosition="", ViewCodeSequence=[LATERAL]), "not a frontal view"),
    (37, "lateral_by_rows", changed(ViewPosition="", PatientOrientation=["A", "F"]), "lateral view"),
    (37, "raw", changed(PresentationIntentType="FOR PROCESSING"), "raw detector values"),
    (43, "no_uid", without("SOPInstanceUID"), "SOPInstanceUID"), (43, "no_study", without("StudyInstanceUID"), "StudyInstanceUID"),
    (44, "dicomdir", dicomdir, "DICOMDIR"),
    (18, "constant", changed(xray=np.full((180, 200), 0.5)), "same value"),
]


@pytest.mark.parametrize("name, build, reason", [pytest.param(*rest, id=f"{number}-{rest[0]}") for number, *rest in REFUSED])
def test_refused_film_is_named_and_leaves_no_output(name, build, reason, tmp_path, suppressor):
    build(tmp_path / f"{name}.dcm")
    with pytest.raises(BadImage) as told: suppress_file(tmp_path / f"{name}.dcm", tmp_path / "out" / f"{name}.dcm", suppressor)
    assert str(told.value).startswith(f"{tmp_path / name}.dcm: ") and reason in str(told.value) and "\n" not in str(told.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("fault", [changed(Rows=60000, Columns=60000), changed(Rows=181), lying_stream, changed(Rows=0)])
def test_33_the_size_is_checked_before_anything_is_decoded(fault, tmp_path, monkeypatch):
    monkeypatch.setattr(bss_gan.dicom, "_words", lambda *_: pytest.fail("was decoded"))
    fault(tmp_path / "film.dcm")
    with pytest.raises(BadImage): decode_dicom(tmp_path / "film.dcm")


@pytest.mark.parametrize("coding", ["explicit", "implicit", "rle", "jpeg_baseline", "jpeg_lossless_sv1", "jpeg_ls", "jpeg_2000"])
def test_damage_anywhere_is_a_bad_image_or_a_film(coding, tmp_path):
    data, rng, refused = make_coded(tmp_path / "whole.dcm", coding).read_bytes(), np.random.default_rng(0), 0
    for _ in range(60):
        damaged = bytearray(data)
        for place in rng.integers(128, min(len(data), 3000), 4): damaged[place] = rng.integers(256)
        (tmp_path / "film.dcm").write_bytes(damaged)
        try:
            again(decode_dicom(tmp_path / "film.dcm"))
        except BadImage: refused += 1
    assert refused > 0


def test_a_deflated_bomb_is_not_inflated(tmp_path, monkeypatch):
    data = make_coded(tmp_path / "bomb.dcm", "deflated").read_bytes()
    start, squeezer = 144 + int.from_bytes(data[140:144], "little"), zlib.compressobj(9, wbits=-15)
    (tmp_path / "bomb.dcm").write_bytes(data[:start] + b"".join(squeezer.compress(bytes(10_000_000)) for _ in range(30)) + squeezer.flush())
    assert (tmp_path / "bomb.dcm").stat().st_size < 1_000_000
    monkeypatch.setattr(bss_gan.dicom, "read_partial", lambda *_, **__: pytest.fail("was inflated"))
    with pytest.raises(BadImage, match="larger than any film"): decode_dicom(tmp_path / "bomb.dcm")
    assert find_duplicates([tmp_path / "bomb.dcm"]) == ({}, {})


def test_an_unreadable_target_is_told(tmp_path, suppressor):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BadInput, match="a.dcm"): suppress_file(make(tmp_path / "a.dcm"), tmp_path / "file/a.dcm", suppressor)


# What is read

@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 15, 16])
def test_22_negative_and_positive_are_one_film(kind, bits, tmp_path):
    for negative in (True, False):
        film = decode_dicom(make(tmp_path / f"{negative}.dcm", kind=kind, bits=bits, negative=negative, WindowCenter=2 ** (bits - 1), WindowWidth=2**bits))
        assert np.abs(film.grey - GREY).max() < 1 / 2**bits and film.notes == ()
        assert (to_stored(film, film.grey) == film.numbers).all()
        assert np.abs(film.table[to_stored(film, film.grey * 0.9)] - film.grey * 0.9).max() < 1 / 2**bits


def test_22_a_wrong_label_is_noticed(tmp_path):
    right, wrong = dataset(negative=False), dataset(negative=False, PhotometricInterpretation="MONOCHROME1")
    right, wrong = open_film(save(tmp_path / "right.dcm", right)), open_film(save(tmp_path / "wrong.dcm", wrong))
    assert np.abs(right.xray - wrong.xray).max() < 1 / 4095
    assert not right.notes and "MONOCHROME1" in " ".join(wrong.notes)


@pytest.mark.parametrize("coding", ["explicit", "implicit"])
def test_23_bits_above_the_stored_ones_are_masked(coding, tmp_path):
    clean, dirty = dataset("CR"), CODINGS[coding][0](dataset("CR"))
    dirty.PixelData = (np.frombuffer(dirty.PixelData, "<u2") | np.uint16(0xA000)).tobytes()
    clean, dirty = decode_dicom(save(tmp_path / "clean.dcm", clean)), decode_dicom(save(tmp_path / "dirty.dcm", dirty))
    assert (clean.numbers == dirty.numbers).all() and (again(dirty).pixel_array == clean.numbers).all()


def test_23_numbers_in_the_upper_bits(tmp_path):
    film = dataset("CR", HighBit=15)
    film.PixelData = (np.frombuffer(film.PixelData, "<u2") << 4).tobytes()
    film = decode_dicom(save(tmp_path / "film.dcm", film))
    assert (film.numbers == np.round((1 - GREY) * 4095)).all() and film.notes == ()
    assert again(film).HighBit == 11 and (again(film).pixel_array == film.numbers).all()


@pytest.mark.parametrize("above", [0, 0xF000])
def test_24_signed(above, tmp_path):
    film = dataset(bits=12, signed=True)
    film.PixelData = ((np.frombuffer(film.PixelData, "<u2") & 0xFFF) | np.uint16(above)).tobytes()
    film = decode_dicom(save(tmp_path / "film.dcm", film))
    assert np.abs(film.grey - GREY).max() < 2 / 4096 and film.numbers.min() < 0
    result = as_film(film, tmp_path)
    assert (result.numbers == film.numbers).all() and result.dataset.PixelRepresentation == 1


CURVE = curve([4096, 0, 12], np.round(4095 / (1 + np.exp(-(np.arange(4096) - 2000) / 500))))
STEPS = curve([4096, 0, 8], np.arange(4096) // 16)
SHIFTED = curve([2048, 1000, 16], 32 * np.arange(2048), words=True)


@pytest.mark.parametrize("more", [
    {}, {"RescaleSlope": 0.5, "RescaleIntercept": -200}, {"RescaleSlope": -1, "RescaleIntercept": 4095}, {"WindowCenter": [1500, 9], "WindowWidth": [2000, 2]},
    {"WindowCenter": 1500, "WindowWidth": 2000, "VOILUTFunction": "LINEAR_EXACT"}, {"WindowCenter": 1500, "WindowWidth": 2000, "VOILUTFunction": "SIGMOID"},
    {"VOILUTSequence": [CURVE]}, {"VOILUTSequence": [SHIFTED], "WindowCenter": None, "WindowWidth": None}, {"VOILUTSequence": [STEPS]},
], ids=["full", "rescale", "falling", "window", "exact", "sigmoid", "curve", "curve_part", "curve_8_bit"])
def test_25_rescale_window_and_curve(more, tmp_path):
    path = make(tmp_path / "film.dcm", negative=False, **more)
    film, theirs = decode_dicom(path), pydicom.dcmread(path)
    values = pydicom.pixels.apply_modality_lut(theirs.pixel_array, theirs)
    if more.get("VOILUTSequence") == [STEPS]: shown = values // 16 / 255  # pydicom lets 8-bit curves overflow
    elif "VOILUTSequence" in more: shown = pydicom.pixels.apply_voi_lut(values, theirs) / (2 ** theirs.VOILUTSequence[0].LUTDescriptor[2] - 1)
    else:
        ends = np.array([0, 4095]) * float(theirs.RescaleSlope) + float(theirs.RescaleIntercept)
        shown = (pydicom.pixels.apply_windowing(values, theirs) - ends[0]) / (ends[1] - ends[0])
    assert np.abs(film.grey - shown).max() < 1e-6
    assert (to_stored(film, film.grey) == film.numbers).all()
    inside = (film.grey > 0.3) & (film.grey < 0.9)
    back = film.table[to_stored(film, np.clip(film.grey - 0.1, 0, 1))]
    assert np.abs(back - film.grey + 0.1)[inside].max() < (1.1 / 255 if "VOILUTSequence" in more else 1 / 1000)


@pytest.mark.parametrize("more", [{"WindowWidth": 0}, {"WindowCenter": 90000, "WindowWidth": 10}, {"VOILUTSequence": [curve([4096, 0, 12], np.abs(np.arange(4096) - 2000))]}],
                         ids=["no_width", "far_off", "up_and_down"])
def test_25_a_useless_window_is_told_and_left_out(more, tmp_path):
    film = decode_dicom(make(tmp_path / "film.dcm", **more))
    assert "left out" in " ".join(film.notes) and (film.grey.min(), film.grey.max()) == (0, 1)


def test_25_a_film_without_window_that_uses_few_numbers_is_stretched(tmp_path):
    for bits in (8, 12):
        half, few = (decode_dicom(make(tmp_path / "film.dcm", kind="CR", bits=bits, negative=False, xray=0.2 + share * GREY)) for share in (0.7, 0.3))
        assert np.abs(half.grey - 0.2 - 0.7 * GREY).max() < 1 / 255 and half.notes == ()
        assert np.abs(few.grey - GREY).mean() < 0.03 and "shown from" in few.notes[0]


def test_25_a_curve_that_starts_below_zero(tmp_path):
    lut = curve([4096, 0, 12], np.arange(4096))
    lut.add_new("LUTDescriptor", "US", [4096, 65536 - 2048, 12])  # -2048 without its sign
    film = decode_dicom(make(tmp_path / "film.dcm", kind="CR", signed=True, negative=False, xray=0.2 + 0.5 * GREY, VOILUTSequence=[lut]))
    assert np.abs(film.grey - 0.2 - 0.5 * GREY).max() < 1 / 4095 and film.notes == ()


def test_25_beyond_the_window_numbers_move_along(tmp_path):
    film = decode_dicom(make(tmp_path / "film.dcm", WindowCenter=1800, WindowWidth=800))
    grey, black, white = film.grey, film.grey == 0, film.grey == 1
    assert black.mean() > 0.05 and white.mean() > 0.05 and film.notes == ()
    moved = to_stored(film, np.where(white, 0.9, np.where(black, 0.1, grey))) - film.numbers
    assert set(np.unique(moved[white])) == {80} and set(np.unique(moved[black & (film.numbers > 80)])) == {-80} and not moved[~black & ~white].any()


def test_25_padding_is_no_picture(tmp_path):
    xray = GREY.copy()
    xray[:20] = 0
    film = dataset("CR", negative=False, xray=0.2 + 0.5 * xray, PixelPaddingValue=4000)
    pixels = np.frombuffer(film.PixelData, "<u2").reshape(180, 200).copy()
    pixels[:20] = 4000
    film.PixelData = pixels.tobytes()
    film = decode_dicom(save(tmp_path / "film.dcm", film))
    assert film.padding[:20].all() and not film.padding[20:].any()
    stored = again(film, to_stored(film, film.grey * 0.5)).pixel_array
    assert (stored[:20] == 4000).all() and (stored[20:] < film.numbers[20:]).any()


@pytest.mark.parametrize("turn, orientation, said", [
    (lambda x: x, ["L", "F"], []), (lambda x: x, "", []), (lambda x: x[:, ::-1], ["R", "F"], ["mirrored"]), (lambda x: x[:, ::-1], "", []),
    (lambda x: x[::-1], ["L", "H"], ["mirrored"]), (lambda x: x[::-1, ::-1], ["R", "H"], []), (lambda x: np.rot90(x), ["F", "R"], []),
    (lambda x: np.rot90(x, 3), ["H", "L"], []), (lambda x: np.rot90(x[:, ::-1], 3), ["H", "R"], ["mirrored"]),
    (lambda x: np.rot90(x), ["H", "L"], ["does not fit"]), (lambda x: x, ["R", "H"], ["does not fit"]), (lambda x: x[::-1], ["L", "F"], ["does not fit"]),
], ids=["as_usual", "untold", "mirrored", "mirrored_untold", "flipped", "turned", "left", "right", "side_mirrored", "wrong_side", "wrongly_told", "wrongly_upright"])
@pytest.mark.parametrize("negative", [True, False])
def test_orientation_is_noticed_said_and_kept(turn, orientation, said, negative, tmp_path, suppressor):
    path = make(tmp_path / "film.dcm", negative=negative, xray=np.ascontiguousarray(turn(GREY)), PatientOrientation=orientation)
    film = open_film(path)
    assert [word for word in ("mirrored", "does not fit") if word in " ".join(film.notes)] == said and not film.bone_dark
    suppress_file(path, tmp_path / "soft.dcm", suppressor)
    result = pydicom.dcmread(tmp_path / "soft.dcm")
    assert (result.PatientOrientation, result.ImagerPixelSpacing) == (film.raw.dataset.PatientOrientation, [1.5, 1.5])
    assert np.abs(open_film(tmp_path / "soft.dcm", like=film).xray - suppressor.suppress(film.xray)).max() < 1 / 4095


def test_37_what_is_not_said_is_noted(tmp_path):
    film = decode_dicom(make(tmp_path / "film.dcm", kind="SC", Modality="OT", BodyPartExamined="", ViewPosition=None))
    assert film.notes == ("the file does not say its modality or body part or view: taken as a frontal chest film",)


def test_38_burned_in_writing_is_noted_and_never_denied(tmp_path, suppressor):
    for said in ("YES", "NO", None):
        result = suppress_file(make(tmp_path / f"{said}.dcm", kind="CR", BurnedInAnnotation=said), tmp_path / f"soft_{said}.dcm", suppressor)
        assert any("burned" in note for note in result.notes) == (said == "YES")
        assert pydicom.dcmread(result.target).get("BurnedInAnnotation") == said


# Header against picture: the same chest in another coding, as public bug reports describe it.


# id (number of the fault, name): film, a word of the note; None if the film needs no note


@pytest.mark.parametrize("build, note", [*(pytest.param(*built(*case), id=name) for name, case in SAME_CHEST.items()), *BYTES])
def test_the_same_chest_in_another_coding_has_the_same_grey(build, note, tmp_path):
    build(tmp_path / "film.dcm")
    raw = decode_dicom(tmp_path / "film.dcm")
    lossy, marker = "JPEG" in raw.dataset.file_meta.TransferSyntaxUID.name, np.zeros(GREY.shape, bool)
    if raw.numbers.max() == 65535: marker[:20, :25] = True
    assert np.abs(raw.grey - GREY)[~marker].mean() < (0.01 if lossy or note == "shown from" else 0.002)
    if note: assert note in " ".join(raw.notes)
    result = as_film(raw, tmp_path)
    assert np.abs(result.grey - raw.grey).max() < 1 / 255 and "already a result" in " ".join(result.notes) and is_dicom(tmp_path / "film.dcm") and not raw.doubt


@pytest.mark.parametrize("kind", ["110", "111", "112"])
def test_74_jpeg_xl(kind, tmp_path):
    film = film12(**WINDOW)
    film.PixelData = encapsulate([imagecodecs.jpegxl_encode(GREY12, lossless=True)])
    raw = decode_dicom(renamed(tmp_path / "film.dcm", film, kind))
    assert (raw.numbers == GREY12).all() and (again(raw).pixel_array == GREY12).all()


@pytest.mark.parametrize("kind", ["201", "202", "203"])
def test_74_htj2k(kind, tmp_path):
    "The film in tests/dicom is the example film of pydicom-data (MIT licence), reduced; on some systems imagecodecs can't encode HTJ2K."
    film = pydicom.dcmread(ROOT / "tests/dicom/htj2k_lossless.dcm")
    raw = decode_dicom(renamed(tmp_path / "film.dcm", film, kind))
    like = cv2.resize(decode_image(example_film()).grey, raw.grey.shape[::-1], interpolation=cv2.INTER_AREA)
    assert np.corrcoef(raw.grey.ravel(), like.ravel())[0, 1] > 0.9 and (again(raw).pixel_array == raw.numbers).all()


@pytest.mark.parametrize("number, signed, element, limit", [
    (-2000, True, ("US", 63536), None), (-2000, True, ("SS", -2000), None), (63536, False, ("US", 63536), None), (63536, False, ("SS", -2000), None),
    (4095, False, ("US", 4095), None), (63536, False, ("US", 63530), 63540), (63536, False, ("US", 63540), 63530)])
def test_29_30_padding_is_found_before_bits_are_masked_and_kept(number, signed, element, limit, tmp_path):
    numbers = GREY12.astype(int) - 2048 * signed
    numbers[:, :30] = number
    film = film12((numbers & 0xFFFF).astype("<u2"), PixelRepresentation=int(signed))
    film.add_new("PixelPaddingValue", *element)
    if limit: film.add_new("PixelPaddingRangeLimit", "US", limit)
    raw = decode_dicom(save(tmp_path / "film.dcm", film))
    assert raw.padding[:, :30].all() and raw.padding[:, 30:].mean() < 0.01 and np.abs(raw.grey - GREY)[:, 30:].mean() < 0.002
    kept = np.frombuffer(again(raw, to_stored(raw, raw.grey * 0.9)).PixelData, "<u2").reshape(GREY.shape)  # pydicom would mask the bits
    assert (kept[:, :30] == number & 0xFFFF).all()


@pytest.mark.parametrize("name, more, reason", [
    ("51-slope_0", dict(RescaleSlope=0, RescaleIntercept=5), "nothing to see"), ("73-32_bits", dict(BitsAllocated=32), "32 bits"),
    ("73-floats", dict(FloatPixelData=GREY.astype("<f4").tobytes()), "floating-point"), ("98-report", dict(SOPClassUID=uid.BasicTextSRStorage), "a written report"),
    ("30-empty", dict(numbers=np.zeros(0, "<u2")), "holds no picture"), ("84-two_pictures", dict(numbers=np.stack([GREY12, GREY12])), "bytes of pixels instead of")])
def test_what_cannot_be_read_says_why(name, more, reason, tmp_path):
    film = film12(**more)
    if "FloatPixelData" in film: del film.PixelData
    with pytest.raises(BadImage, match=reason) as told: decode_dicom(save(tmp_path / "film.dcm", film))
    assert not re.search("object|NoneType|Copy it again.$", str(told.value).split("film.dcm:")[1])


@pytest.mark.parametrize("name", "PA AP POSTEROANTERIOR ANTEROPOSTERIOR P-A A/P FRONTAL SUPINE ERECT PORTABLE postero-anterior".split() + ["AP SEMI-ERECT", "PA CHEST"])
def test_93_frontal_views_by_any_name(name, tmp_path):
    raw = decode_dicom(make(tmp_path / "film.dcm", kind="CR", ViewPosition=name))
    assert (raw.doubt, raw.notes) == ("", ())


@pytest.mark.parametrize("more", [dict(BodyPartExamined=part) for part in ("THORAX", "TORAX", "TÓRAX", "BRUST", "POITRINE", "PETTO", "LUNGE", "PULMON", "KLATKA PIERSIOWA", "CHEST 2V", "RTG TORAKS")]
                         + [dict(Modality=modality) for modality in ("CR", "DX", "RG", "DR")], ids=lambda more: str(more))
def test_93_chests_by_any_name(more, tmp_path):
    raw = decode_dicom(make(tmp_path / "film.dcm", kind="CR", SpecificCharacterSet="ISO_IR 192", **more))
    assert (raw.doubt, raw.notes) == ("", ())


@pytest.mark.parametrize("charset, code", [("ISO_IR 192", "utf-8"), ("GB18030", "gb18030"), ("ISO_IR 192", "gb18030")])
def test_93_words_that_are_not_ascii_although_they_must_be(charset, code, tmp_path):
    path, word = make(tmp_path / "film.dcm", kind="CR", BodyPartExamined="PLACE OF WORD", SpecificCharacterSet=charset), "胸部".encode(code)
    path.write_bytes(path.read_bytes().replace(b"PLACE OF WORD ", word.ljust(14)))
    raw = decode_dicom(path)
    assert not raw.doubt and bool(raw.notes) == (charset == "ISO_IR 192" and code == "gb18030")


def test_93_unknown_words_are_noted_and_words_for_something_else_need_insistence(tmp_path):
    raw = decode_dicom(make(tmp_path / "film.dcm", kind="CR", ViewPosition="WALL", BodyPartExamined="ROOM 3"))
    assert not raw.doubt and "ROOM 3" in raw.notes[0] and "WALL" in raw.notes[0]
    for more in (dict(ViewPosition="LATERAL"), dict(BodyPartExamined="HAND"), dict(Modality="CT"), dict(PresentationIntentType="FOR PROCESSING")):
        path = make(tmp_path / "film.dcm", **more)
        with pytest.raises(BadImage): open_film(path)
        film = open_film(path, insist=True)
        assert np.abs(film.xray[..., 0] - GREY).max() < 1 / 4095 and "used all the same" in " ".join(film.notes)


def test_98_112_113_films_are_told_by_what_they_hold(tmp_path):
    (tmp_path / "f").mkdir()
    kinds = {"gsps": uid.GrayscaleSoftcopyPresentationStateStorage, "report": uid.BasicTextSRStorage, "keys": uid.KeyObjectSelectionDocumentStorage,
             "document": uid.EncapsulatedPDFStorage}
    for name, kind in kinds.items(): save(tmp_path / "f" / name, without_pixels(kind))
    for name in ("film", "film.jpg"): make(tmp_path / "f" / name, SOPInstanceUID=f"1.2.{len(name)}")
    dicomdir(tmp_path / "f/DICOMDIR")
    os.mkfifo(tmp_path / "f/pipe.dcm")
    shutil.copy(example_film(), tmp_path / "picture.dcm")
    (tmp_path / "pointer.dcm").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    films, left_out = find_films(tmp_path / "f")
    assert {film.name for film in films} == {"film", "film.jpg"} and {path.name for path in left_out} >= {*kinds, "DICOMDIR"}
    assert all(why_no_picture(tmp_path / "f" / name) for name in (*kinds, "DICOMDIR")) and not why_no_picture(tmp_path / "f/film")
    assert not is_dicom(tmp_path / "f/pipe.dcm") and not is_dicom(tmp_path / "picture.dcm") and read_uid(tmp_path / "f/pipe.dcm") == ""
    assert open_film(tmp_path / "f/film.jpg").raw.suffix == ".dcm"
    for name, reason in (("picture.dcm", "PNG"), ("pointer.dcm", "Git LFS pointer")):
        with pytest.raises(BadImage, match=reason): open_film(tmp_path / name)


def without_pixels(kind):
    film = dataset(SOPClassUID=kind)
    del film.PixelData
    return film


# What is written

@pytest.fixture(params=["explicit", "implicit"])
def loaded(request, tmp_path):
    "A film with every element that must not survive, and its result."
    film = dataset(DerivationDescription="Edge enhanced", SmallestImagePixelValue=0, LargestImagePixelValue=4095)
    film.add_new(0x00091001, "LO", "Ribs^Ada")
    film.add_new(0x00090010, "LO", "SOME MAKER")
    film.RequestAttributesSequence = [item(ScheduledProcedureStepID="5")]
    film.RequestAttributesSequence[0].add_new(0x00410010, "LO", "SOME MAKER")
    film.RequestAttributesSequence[0].add_new(0x00411001, "LO", "Ribs^Ada")
    for tag, kind, value in ((0x60000010, "US", 180), (0x60023000, "OW", b"\0\0"), (0x50000005, "US", 1)): film.add_new(tag, kind, value)
    film.IconImageSequence, film.DigitalSignaturesSequence, film.MACParametersSequence = ([item(Rows=8)] for _ in range(3))
    film.ContributingEquipmentSequence = [item(Manufacturer="SOME MAKER", PurposeOfReferenceCodeSequence=[item(
        CodeValue="109101", CodingSchemeDesignator="DCM", CodeMeaning="Acquisition Equipment")])]
    film = open_film(save(tmp_path / "film.dcm", CODINGS[request.param][0](film)))
    path = film.write(tmp_path / "soft.dcm", film.xray * 0.9, "baseline (SHA-256 0)")
    return pydicom.dcmread(tmp_path / "film.dcm"), pydicom.dcmread(path), path


def test_39_private_elements_and_what_describes_the_old_pixels_are_dropped(loaded):
    before, after, path = loaded
    lost = {element.tag for element in before.iterall()} - {element.tag for element in after.iterall()}
    assert [element for element in after.iterall() if element.tag.is_private] == []
    assert {tag.group for tag in lost} == {0x0008, 0x0009, 0x0028, 0x0041, 0x0088, 0x4FFE, 0x5000, 0x6000, 0x6002, 0xFFFA}
    assert path.read_bytes().count(b"Ribs^Ada") == 1  # the PatientName
    assert after.RequestAttributesSequence[0].ScheduledProcedureStepID == "5"


def test_the_result_says_what_it_is(loaded):
    before, after, _ = loaded
    assert list(after.ImageType) == ["DERIVED", "SECONDARY", ""]
    assert after.DerivationDescription.startswith("Edge enhanced Bone shadows suppressed by bss_gan")
    for word in ("baseline (SHA-256 0)", bss_gan.__version__, "not for diagnosis"): assert word in after.DerivationDescription
    assert after.SeriesDescription == "Chest PA bone suppressed, not for diagnosis"
    source, = after.SourceImageSequence
    assert (source.ReferencedSOPInstanceUID, source.ReferencedSOPClassUID) == (before.SOPInstanceUID, before.SOPClassUID)
    assert [machine.Manufacturer for machine in after.ContributingEquipmentSequence] == ["SOME MAKER", "bss_gan"]
    for name in ("SOPInstanceUID", "SeriesInstanceUID", "SeriesNumber"): assert after.get(name) != before.get(name)
    for name in ("StudyInstanceUID", "PatientName", "PatientID", "InstanceNumber", "SOPClassUID", "ContentDate", "ContentTime", "ImageLaterality", "ViewPosition",
                 "ImagerPixelSpacing", "WindowCenter", "WindowWidth", "PhotometricInterpretation", "PresentationLUTShape", "BitsStored"):
        assert after.get(name) == before.get(name) is not None, name
    assert "InstanceCreationDate" not in after and after.file_meta.MediaStorageSOPInstanceUID == after.SOPInstanceUID


def test_a_second_run_gives_the_same_bytes_and_other_weights_another_uid(tmp_path, suppressor):
    path, film, uids = make(tmp_path / "film.dcm"), open_film(make(tmp_path / "film.dcm")), {}
    for number, name in enumerate((suppressor.name, "other")): film.write(tmp_path / f"{number}.dcm", suppressor.suppress(film.xray), name)
    suppress_file(path, tmp_path / "2.dcm", suppressor)
    film.write(tmp_path / "3.dcm", film.xray, suppressor.name)  # other pixels
    for number in range(4): uids[number] = pydicom.dcmread(tmp_path / f"{number}.dcm")
    assert (tmp_path / "0.dcm").read_bytes() == (tmp_path / "2.dcm").read_bytes()
    assert uids[0].SOPInstanceUID != uids[1].SOPInstanceUID and uids[0].SeriesInstanceUID != uids[1].SeriesInstanceUID
    assert uids[3].SOPInstanceUID != uids[0].SOPInstanceUID and uids[3].SeriesInstanceUID == uids[0].SeriesInstanceUID


def test_films_done_at_the_same_time_do_not_disturb_each_other(tmp_path, suppressor):
    films = [make_coded(tmp_path / f"{coding}.dcm", coding) for coding in CODINGS]
    for film in films: suppress_file(film, tmp_path / "alone" / film.name, suppressor)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda film: suppress_file(film, tmp_path / "together" / film.name, suppressor), films))
    for film in films: assert (tmp_path / "alone" / film.name).read_bytes() == (tmp_path / "together" / film.name).read_bytes()


def test_a_failed_write_leaves_what_was_there(tmp_path):
    film = open_film(make(tmp_path / "film.dcm"))
    film.raw.dataset.add_new("ImageLaterality", "US", "no number")
    (tmp_path / "soft.dcm").write_text("an older result")
    with pytest.raises(BadImage, match="film.dcm: has an element that cannot be written"): film.write(tmp_path / "soft.dcm", film.xray)
    assert (tmp_path / "soft.dcm").read_text() == "an older result"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["film.dcm", "soft.dcm"]


def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch):
    def half(path, data):
        with open(path, "wb") as file: file.write(data[:99])
        raise OSError(28, "No space left on device")

    film = open_film(make(tmp_path / "film.dcm"))
    (tmp_path / "soft.dcm").write_text("an older result")
    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(OSError, match="No space"): film.write(tmp_path / "soft.dcm", film.xray)
    assert (tmp_path / "soft.dcm").read_text() == "an older result"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["film.dcm", "soft.dcm"]


def test_weights_are_named_without_a_path(tmp_path):
    for part, network in (("baseline", "generator"), ("baseline.discriminator", "discriminator")):
        for ending in ("json", "weights.h5"):
            (tmp_path / "Läufe").mkdir(exist_ok=True)
            shutil.copy(ROOT / f"bss_gan/weights/{part}.{ending}", tmp_path / f"Läufe/{network}.{ending}")
    assert name_weights(tmp_path / "Läufe") == name_weights("baseline").replace("baseline", "L?ufe")
    name = name_weights("baseline")
    assert name.startswith("baseline (SHA-256 ") and name != name_weights("residual").replace("residual", "baseline")


@pytest.mark.parametrize("charset, name", [
    ("ISO_IR 166", "แสงจันทร์^สมชาย"), (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"), ("ISO_IR 192", "Ωμέγα^王小東"),
    ("GB18030", "Wang^XiaoDong=王^小东"), ("ISO_IR 100", "Müller^Jörg"), (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동")],
    ids=["thai", "japanese", "utf8", "chinese", "latin", "korean"])
@pytest.mark.parametrize("coding", ["explicit", "implicit"])
def test_40_names_survive(charset, name, coding, tmp_path):
    film = CODINGS[coding][0](dataset(SpecificCharacterSet=charset, PatientName=name, SeriesDescription=name.split("=")[-1]))
    path = save(tmp_path / "film.dcm", film)
    film = open_film(path)
    film.write(tmp_path / "soft.dcm", film.xray, "none")
    before, after = (pydicom.dcmread(tmp_path / file) for file in ("film.dcm", "soft.dcm"))
    assert after.get_item("PatientName").value == before.get_item("PatientName").value  # the bytes
    assert str(after.PatientName) == name and after.SpecificCharacterSet == before.SpecificCharacterSet
    assert after.SeriesDescription == f"{name.split('=')[-1]} bone suppressed, not for diagnosis"


def test_41_lossy_stays_lossy(tmp_path):
    film = by_jpeg(dataset("CR", 8, LossyImageCompression="01", LossyImageCompressionRatio=[12.5], LossyImageCompressionMethod="ISO_10918_1"))
    after = again(decode_dicom(save(tmp_path / "film.dcm", film)))
    assert (after.LossyImageCompression, after.LossyImageCompressionRatio, after.LossyImageCompressionMethod) == ("01", 12.5, "ISO_10918_1")


def test_42_duplicates_in_a_folder(tmp_path):
    first, other = make(tmp_path / "a.dcm"), make(tmp_path / "d.dcm", SOPInstanceUID="1.2.3")
    shutil.copy(first, tmp_path / "b.dcm")
    assert [*find_duplicates([first, tmp_path / "b.dcm", other])[0]] == [tmp_path / "b.dcm"]
    make(tmp_path / "c.dcm", PatientID="43")  # another film under the same UID
    skipped, refused = find_duplicates(find_films(tmp_path)[0])
    assert (skipped, {*refused}) == ({}, {first, tmp_path / "b.dcm", tmp_path / "c.dcm"})
    assert "c.dcm" in refused[first] and "a.dcm" in refused[tmp_path / "c.dcm"]


def test_42_a_broken_film_costs_only_itself(tmp_path):
    (tmp_path / "in").mkdir()
    good = make(tmp_path / "in/good.dcm")
    for name, length in (("cut", -2000), ("cut_again", -2000), ("half", -9000)): (tmp_path / f"in/{name}.dcm").write_bytes(good.read_bytes()[:length])
    shutil.copy(good, tmp_path / "in/same.dcm")
    with pytest.raises(click.ClickException) as failed: main(["suppress", str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--weights", "baseline"], standalone_mode=False)
    assert {line.split(":")[0].split("/")[-1] for line in failed.value.message.splitlines()[1:]} == {"cut.dcm", "cut_again.dcm", "half.dcm"}
    assert "SOPInstanceUID" not in failed.value.message
    assert [path.name for path in (tmp_path / "out").glob("[!.]*")] == ["good.dcm"]


def test_42_deflated_films_are_compared_too(tmp_path):
    for name in "ab": make_coded(tmp_path / f"{name}.dcm", "deflated")
    assert [*find_duplicates(sorted(tmp_path.iterdir()))[0]] == [tmp_path / "b.dcm"]


def test_42_what_cannot_be_read_is_no_copy(tmp_path, monkeypatch):
    paths = [make(tmp_path / name) for name in ("a.dcm", "b.dcm")]
    fault = OSError(errno.EIO, os.strerror(errno.EIO))
    monkeypatch.setattr(Path, "read_bytes", lambda path: (_ for _ in ()).throw(fault))
    monkeypatch.setattr(bss_gan.files, "RETRIES", (0, 0, 0))
    assert find_duplicates(paths) == ({}, {})


def test_43_44_files_without_uid_and_tables_of_contents_in_a_folder(tmp_path):
    for name in "ab": without("SOPInstanceUID")(tmp_path / f"{name}.dcm")  # not one film twice, but two films without a UID
    dicomdir(tmp_path / "DICOMDIR")
    (tmp_path / "c.dcm").write_text("no DICOM")
    skipped, refused = find_duplicates(sorted(tmp_path.iterdir()))
    assert ([*skipped], refused) == ([tmp_path / "DICOMDIR"], {})
    assert tmp_path / "DICOMDIR" not in find_films(tmp_path)[0]


# Independent judges

def errors(path):
    "The errors that dciodvfy of dicom3tools finds in a file."
    done = subprocess.run(["dciodvfy", path], capture_output=True, text=True, timeout=60)
    return {line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")}


@pytest.mark.skipif(not shutil.which("dciodvfy"), reason="dciodvfy is not installed (Debian package dicom3tools)")
@pytest.mark.parametrize("kind", ["CR", "DX"])
def test_an_independent_validator_finds_no_error(kind, tmp_path, suppressor):
    path = make(tmp_path / "film.dcm", kind=kind)
    suppress_file(path, tmp_path / "soft.dcm", suppressor)
    assert errors(path) == errors(tmp_path / "soft.dcm") == set()
    broken = pydicom.dcmread(tmp_path / "soft.dcm")
    del broken.StudyInstanceUID
    broken.save_as(tmp_path / "broken.dcm")
    assert errors(tmp_path / "broken.dcm")  # the validator does find errors


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def archive(tmp_path):
    "The address of an Orthanc server, an archive like those in hospitals, with an empty store."
    program = shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin")
    if not program: pytest.skip("Orthanc is not installed (Debian package orthanc)")
    port, settings = free_port(), tmp_path / "orthanc.json"
    settings.write_text(json.dumps({"HttpPort": port, "DicomServerEnabled": False, "StorageDirectory": str(tmp_path / "store"), "RemoteAccessAllowed": False,
                                    "AuthenticationEnabled": False, "IndexDirectory": str(tmp_path / "store"), "Plugins": []}))
    with open(tmp_path / "orthanc.log", "wb") as log: server = subprocess.Popen([program, settings], stdout=log, stderr=log)
    try:
        for _ in range(100):
            try: urllib.request.urlopen(f"http://127.0.0.1:{port}/system", timeout=5).close()
            except OSError: time.sleep(0.2)
            else: break
        else: pytest.fail((tmp_path / "orthanc.log").read_text())
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)


def ask(address, data=None):
    with urllib.request.urlopen(urllib.request.Request(address, data=data), timeout=30) as answer: return answer.read()


@pytest.mark.parametrize("kind", ["CR", "DX"])
def test_an_archive_takes_the_result_and_gives_it_back(kind, archive, tmp_path, suppressor):
    path = make(tmp_path / "film.dcm", kind=kind)
    suppress_file(path, tmp_path / "soft.dcm", suppressor)
    stored = [json.loads(ask(f"{archive}/instances", file.read_bytes())) for file in (path, tmp_path / "soft.dcm", tmp_path / "soft.dcm")]
    assert [answer["Status"] for answer in stored] == ["Success", "Success", "AlreadyStored"]
    back = pydicom.dcmread(io.BytesIO(ask(f"{archive}/instances/{stored[1]['ID']}/file")))
    assert back == pydicom.dcmread(tmp_path / "soft.dcm")
    study, = json.loads(ask(f"{archive}/studies?expand"))  # one patient, one study, two series of one film each
    assert len(study["Series"]) == 2 and study["PatientMainDicomTags"]["PatientName"] == "Ribs^Ada"
    preview = np.asarray(Image.open(io.BytesIO(ask(f"{archive}/instances/{stored[1]['ID']}/preview"))))
    assert preview.shape == (180, 200)


# Real films

@pytest.mark.parametrize("name, spacing", [
    ("cr_monochrome1_15bit_raw", "PixelSpacing"), ("cr_monochrome1_15bit_jpeg2000_lossy", "PixelSpacing"),
    ("cr_monochrome2_8bit_jpeg", "PixelSpacing"), ("dx_monochrome1_12bit_jpeg2000", "ImagerPixelSpacing")])
def test_real_film(name, spacing, shared_data, tmp_path, suppressor):
    path = shared_data / "dicom" / f"{name}.dcm"
    result = suppress_file(path, tmp_path / "soft.dcm", suppressor)
    before, after = pydicom.dcmread(path), pydicom.dcmread(tmp_path / "soft.dcm")
    assert (result.bone_dark, result.notes) == (False, ())
    assert (after[spacing], after.BitsStored, after.PhotometricInterpretation) == (before[spacing], before.BitsStored, before.PhotometricInterpretation)
    assert 0 < np.abs(after.pixel_array.astype(int) - before.pixel_array).mean() < 2**before.BitsStored / 20
    if shutil.which("dciodvfy"): assert errors(tmp_path / "soft.dcm") - errors(path) == set()


def test_real_film_with_a_wrong_label(shared_data):
    right, wrong = (open_film(shared_data / "dicom" / f"{name}.dcm") for name in ("cr_monochrome2_8bit_jpeg", "cr_same_pixels_relabelled_monochrome1"))
    assert np.abs(right.xray - wrong.xray).max() < 1e-6
    assert (right.notes, len(wrong.notes)) == ((), 1)


def test_real_film_with_a_broken_stream(shared_data):
    with pytest.raises(BadImage, match="dx_broken_codestream"): decode_dicom(shared_data / "dicom/dx_broken_codestream.dcm")


def test_the_example_film_is_that_of_pydicom_data(shared_data):
    "The PNG in the package and the DICOM film show the same chest with the same polarity, and the same tone up to a stretch."
    dicom, png = open_film(shared_data / "dicom/cr_monochrome1_15bit_raw.dcm").xray[40:], open_film(example_film()).xray
    small = cv2.resize(dicom, png.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.corrcoef(small.ravel(), png.ravel())[0, 1] > 0.98
