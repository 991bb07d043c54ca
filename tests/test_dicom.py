"""DICOM films: every fault of the list made for real, an independent validator, a real archive, real films.

The numbers in the names are those of the list of faults that the design keeps."""
import errno, io, json, os, shutil, socket, subprocess, time, urllib.request, zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click, cv2, imagecodecs, numpy as np, pydicom, pytest
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, get_frame

from project import ROOT

import bss_gan.data, bss_gan.dicom
from bss_gan.cli import main
from bss_gan.images import BadImage, BadInput, example_film, resize
from bss_gan.dicom import open_film
from bss_gan.files import find_films
from bss_gan.images import to_stored
from bss_gan.dicom import find_duplicates, name_weights, quarter_turns, read_dicom, suppress_dicom, write_dicom
from bss_gan.simulation import simulate
from bss_gan.testing import load_suppressor

GREY = cv2.resize(open_film(example_film()).xray, (200, 180), interpolation=cv2.INTER_AREA)  # (180, 200), bone-bright
CLASSES = {"DX": uid.DigitalXRayImageStorageForPresentation, "CR": uid.ComputedRadiographyImageStorage, "SC": uid.SecondaryCaptureImageStorage}


def item(**elements):
    dataset = Dataset()
    for name, value in elements.items(): setattr(dataset, name, value)
    return dataset


COMMON = dict(PatientName="Ribs^Ada", PatientID="42", PatientBirthDate="19500101", PatientSex="F", StudyID="1", AccessionNumber="7", StudyDate="20260105",
              StudyTime="101500", ReferringPhysicianName="", Manufacturer="bss_gan", SeriesNumber=1, InstanceNumber=1, SeriesDescription="Chest PA",
              ImageType=["ORIGINAL", "PRIMARY", ""], PatientOrientation=["L", "F"], BurnedInAnnotation="NO", InstanceCreationDate="20260105",
              ContentDate="20260105", ContentTime="101502", AcquisitionDate="20260105", AcquisitionTime="101501")
CHEST = item(CodeValue="51185008", CodingSchemeDesignator="SCT", CodeMeaning="Chest")
KINDS = {
    "CR": dict(Modality="CR", BodyPartExamined="CHEST", ViewPosition="PA", ImagerPixelSpacing=[1.5, 1.5]),
    "SC": dict(Modality="CR", BodyPartExamined="CHEST", ViewPosition="PA", ConversionType="DF"),
    "DX": dict(Modality="DX", BodyPartExamined="CHEST", ViewPosition="PA", ImageLaterality="U", ImagerPixelSpacing=[1.5, 1.5], PositionerType="",
               PresentationIntentType="FOR PRESENTATION", PixelIntensityRelationship="LOG", AcquisitionContextSequence=[],
               RescaleIntercept=0, RescaleSlope=1, RescaleType="US", LossyImageCompression="00", DetectorType="DIRECT",
               AnatomicRegionSequence=[CHEST], PatientOrientation=["L", "F"]),
}


def dataset(kind="DX", bits=12, negative=True, signed=False, xray=GREY, **more):
    "A film with all elements that its kind asks for; `more` are further ones, and None takes one away."
    levels = np.round((1 - xray if negative else xray) * (2**bits - 1)).astype(int) - signed * 2 ** (bits - 1)
    number = np.dtype(f"{'i' if signed else 'u'}{1 if bits <= 8 else 2}")
    coding = dict(Rows=levels.shape[0], Columns=levels.shape[1], SamplesPerPixel=1, PixelRepresentation=int(signed), BitsAllocated=8 * number.itemsize,
                  BitsStored=bits, HighBit=bits - 1, PhotometricInterpretation="MONOCHROME1" if negative else "MONOCHROME2")
    shown = {}
    if kind == "DX": shown = dict(PresentationLUTShape="INVERSE" if negative else "IDENTITY", PixelIntensityRelationshipSign=-1 if negative else 1,
                                  WindowCenter=2 ** (bits - 1) * (not signed), WindowWidth=2**bits)
    uids = dict(SOPClassUID=CLASSES[kind], SOPInstanceUID="1.2.826.0.1.3680043.8.498.1", StudyInstanceUID="1.2.826.0.1.3680043.8.498.2",
                SeriesInstanceUID="1.2.826.0.1.3680043.8.498.3")
    film = item(**{name: value for name, value in (COMMON | KINDS[kind] | uids | coding | shown | more).items() if value is not None})
    film.add_new("PixelData", "OW", levels.astype(number).tobytes())
    film.file_meta = FileMetaDataset()
    film.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    return film


def save(path, film):
    "Writes a data set, whatever is wrong with it."
    film.file_meta.MediaStorageSOPClassUID = film.get("SOPClassUID", CLASSES["CR"])
    film.file_meta.MediaStorageSOPInstanceUID = film.get("SOPInstanceUID") or "1.2.3"
    syntax = film.file_meta.TransferSyntaxUID
    film.save_as(path, implicit_vr=syntax == uid.ImplicitVRLittleEndian, little_endian=syntax != uid.ExplicitVRBigEndian, enforce_file_format=True)
    return path


def make(path, **options):
    return save(path, dataset(**options))


@pytest.fixture(scope="module")
def suppressor():
    return load_suppressor("seed")


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


def bare(syntax):
    def compress(film):
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
    film = read_dicom(make_coded(tmp_path / "film.dcm", coding))
    assert film.xray.shape == (180, 200, 1) and film.xray.dtype == np.float32
    assert np.abs(film.pixels - np.round((1 - GREY) * (2**bits - 1))).max() <= error
    result = pydicom.dcmread(write_dicom(tmp_path / "soft.dcm", film, film.xray, "none"))
    assert result.file_meta.TransferSyntaxUID == uid.ExplicitVRLittleEndian
    assert (result.pixel_array == film.pixels).all()
    assert result.get("LossyImageCompression") == ("01" if coding in LOSSY else film.dataset.get("LossyImageCompression"))


@every_coding
@pytest.mark.parametrize("share", [0.5, 0.8, 0.97])
def test_27_cut(coding, share, tmp_path):
    data = make_coded(tmp_path / "whole.dcm", coding).read_bytes()
    (tmp_path / "cut.dcm").write_bytes(data[:int(len(data) * share)])
    with pytest.raises(BadImage, match="cut.dcm"): read_dicom(tmp_path / "cut.dcm")


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
    film.Rows, film.Columns = 90, 400  # as many pixels, but other sides
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
# number in the list, name, how it is made, a word of the reason
REFUSED = [
    (26, "short", short, "bytes of pixels instead of"),
    *((28, f"header_{start}", cut(start), "") for start in (0, 60, 130, 150, 300, 500, 900, 1200)),
    (29, "png", lambda path: path.write_bytes(example_film().read_bytes()), "PNG image"),
    (29, "text", lambda path: path.write_text("Dear colleague, " * 20), "no DICOM file"),
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
    (35, "big_endian", lambda path: save(path, bare(uid.ExplicitVRBigEndian)(dataset("CR"))), "Big Endian"),
    (35, "unsupported_stream", unsupported_stream, "cannot be read here"),
    (36, "rgb", colour("RGB"), "colour"), (36, "ybr", colour("YBR_FULL"), "colour"), (36, "palette", changed(PhotometricInterpretation="PALETTE COLOR"), "colour"),
    (36, "rgb_stream", colour_stream, "its picture has the shape"),
    (37, "ct", changed(Modality="CT"), "modality CT"), (37, "ct_object", changed(SOPClassUID=uid.CTImageStorage), "CT Image Storage"),
    (37, "hand", changed(BodyPartExamined="HAND"), "HAND"),
    (37, "hand_by_code", changed(BodyPartExamined="", AnatomicRegionSequence=[item(CodeMeaning="Hand")]), "HAND"),
    (37, "lateral", changed(ViewPosition="LL"), "no frontal view"),
    (37, "lateral_by_code", changed(ViewPosition="", ViewCodeSequence=[LATERAL]), "no frontal view"),
    (37, "lateral_by_rows", changed(ViewPosition="", PatientOrientation=["A", "F"]), "lateral view"),
    (37, "raw", changed(PresentationIntentType="FOR PROCESSING"), "raw detector values"),
    (43, "no_uid", without("SOPInstanceUID"), "SOPInstanceUID"), (43, "no_study", without("StudyInstanceUID"), "StudyInstanceUID"),
    (44, "dicomdir", dicomdir, "DICOMDIR"),
    (18, "constant", changed(xray=np.full((180, 200), 0.5)), "same value"),
]


@pytest.mark.parametrize("name, build, reason", [pytest.param(*rest, id=f"{number}-{rest[0]}") for number, *rest in REFUSED])
def test_refused_film_is_named_and_leaves_no_output(name, build, reason, tmp_path, suppressor):
    build(tmp_path / f"{name}.dcm")
    with pytest.raises(BadImage) as told: suppress_dicom(tmp_path / f"{name}.dcm", tmp_path / "out" / f"{name}.dcm", suppressor, "seed")
    assert str(told.value).startswith(f"{tmp_path / name}.dcm: ") and reason in str(told.value) and "\n" not in str(told.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("fault", [changed(Rows=60000, Columns=60000), changed(Rows=181), lying_stream, changed(Rows=0)])
def test_33_the_size_is_checked_before_anything_is_decoded(fault, tmp_path, monkeypatch):
    monkeypatch.setattr(bss_gan.dicom, "_decode", lambda *_: pytest.fail("was decoded"))
    fault(tmp_path / "film.dcm")
    with pytest.raises(BadImage): read_dicom(tmp_path / "film.dcm")


@pytest.mark.parametrize("coding", ["explicit", "implicit", "rle", "jpeg_baseline", "jpeg_lossless_sv1", "jpeg_ls", "jpeg_2000"])
def test_damage_anywhere_is_a_bad_image_or_a_film(coding, tmp_path):
    data, rng, refused = make_coded(tmp_path / "whole.dcm", coding).read_bytes(), np.random.default_rng(0), 0
    for _ in range(60):
        damaged = bytearray(data)
        for place in rng.integers(128, min(len(data), 3000), 4): damaged[place] = rng.integers(256)
        (tmp_path / "film.dcm").write_bytes(damaged)
        try:
            film = read_dicom(tmp_path / "film.dcm")
            write_dicom(tmp_path / "soft.dcm", film, film.xray, "none")
        except BadImage: refused += 1
    assert refused > 0


def test_a_deflated_bomb_is_not_inflated(tmp_path, monkeypatch):
    data = make_coded(tmp_path / "bomb.dcm", "deflated").read_bytes()
    start, squeezer = 144 + int.from_bytes(data[140:144], "little"), zlib.compressobj(9, wbits=-15)
    (tmp_path / "bomb.dcm").write_bytes(data[:start] + b"".join(squeezer.compress(bytes(10_000_000)) for _ in range(30)) + squeezer.flush())
    assert (tmp_path / "bomb.dcm").stat().st_size < 1_000_000
    monkeypatch.setattr(pydicom, "dcmread", lambda *_, **__: pytest.fail("was inflated"))
    with pytest.raises(BadImage, match="larger than any film"): read_dicom(tmp_path / "bomb.dcm")
    assert find_duplicates([tmp_path / "bomb.dcm"]) == ({}, {})


def test_an_unreadable_target_is_told(tmp_path, suppressor):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BadInput, match="Make room"): suppress_dicom(make(tmp_path / "a.dcm"), tmp_path / "file/a.dcm", suppressor, "seed")


# What is read

@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 15, 16])
def test_22_negative_and_positive_are_one_film(kind, bits, tmp_path):
    films = [read_dicom(make(tmp_path / f"{negative}.dcm", kind=kind, bits=bits, negative=negative,
                             WindowCenter=2 ** (bits - 1), WindowWidth=2**bits)) for negative in (True, False)]
    for film, negative in zip(films, (True, False)):
        assert np.abs(film.xray[..., 0] - GREY).max() < 1 / 2**bits
        assert film.bone_dark == negative and film.notes == ()
        assert (to_stored(film, film.xray) == film.pixels).all()
        assert np.abs(film.table[to_stored(film, film.xray * 0.9)] - film.xray[..., 0] * 0.9).max() < 1 / 2**bits


def test_22_a_wrong_label_is_noticed(tmp_path):
    right, wrong = dataset(negative=False), dataset(negative=False, PhotometricInterpretation="MONOCHROME1")
    right, wrong = read_dicom(save(tmp_path / "right.dcm", right)), read_dicom(save(tmp_path / "wrong.dcm", wrong))
    assert np.abs(right.xray - wrong.xray).max() < 1 / 4095
    assert not right.notes and "MONOCHROME1" in " ".join(wrong.notes)


@pytest.mark.parametrize("coding", ["explicit", "implicit"])
def test_23_bits_above_the_stored_ones_are_masked(coding, tmp_path):
    clean, dirty = dataset("CR"), CODINGS[coding][0](dataset("CR"))
    dirty.PixelData = (np.frombuffer(dirty.PixelData, "<u2") | np.uint16(0xA000)).tobytes()
    clean, dirty = read_dicom(save(tmp_path / "clean.dcm", clean)), read_dicom(save(tmp_path / "dirty.dcm", dirty))
    assert (clean.pixels == dirty.pixels).all()
    assert (pydicom.dcmread(write_dicom(tmp_path / "soft.dcm", dirty, dirty.xray, "none")).pixel_array == clean.pixels).all()


def test_23_numbers_in_the_upper_bits(tmp_path):
    film = dataset("CR", HighBit=15)
    film.PixelData = (np.frombuffer(film.PixelData, "<u2") << 4).tobytes()
    film = read_dicom(save(tmp_path / "film.dcm", film))
    assert (film.pixels == np.round((1 - GREY) * 4095)).all()
    result = pydicom.dcmread(write_dicom(tmp_path / "soft.dcm", film, film.xray, "none"))
    assert result.HighBit == 11 and (result.pixel_array == film.pixels).all()


@pytest.mark.parametrize("above", [0, 0xF000])
def test_24_signed(above, tmp_path):
    film = dataset(bits=12, signed=True)
    film.PixelData = ((np.frombuffer(film.PixelData, "<u2") & 0xFFF) | np.uint16(above)).tobytes()
    film = read_dicom(save(tmp_path / "film.dcm", film))
    assert np.abs(film.xray[..., 0] - GREY).max() < 2 / 4096 and film.pixels.min() < 0
    result = read_dicom(write_dicom(tmp_path / "soft.dcm", film, film.xray, "none"))
    assert (result.pixels == film.pixels).all() and result.dataset.PixelRepresentation == 1


def curve(descriptor, values, words=False):
    "An item of a VOI LUT sequence, its values as numbers or as bytes."
    lut = item(LUTDescriptor=descriptor)
    lut.add_new("LUTData", *(("OW", np.array(values, "<u2").tobytes()) if words else ("US", [int(value) for value in values])))
    return lut


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
    film, theirs = read_dicom(path), pydicom.dcmread(path)
    values = pydicom.pixels.apply_modality_lut(theirs.pixel_array, theirs)
    if more.get("VOILUTSequence") == [STEPS]: shown = values // 16 / 255  # pydicom lets 8-bit curves overflow
    elif "VOILUTSequence" in more: shown = pydicom.pixels.apply_voi_lut(values, theirs) / (2 ** theirs.VOILUTSequence[0].LUTDescriptor[2] - 1)
    else:
        ends = np.array([0, 4095]) * float(theirs.RescaleSlope) + float(theirs.RescaleIntercept)
        shown = (pydicom.pixels.apply_windowing(values, theirs) - ends[0]) / (ends[1] - ends[0])
    if more.get("RescaleSlope") == -1: shown = 1 - shown  # the film is shown as a negative, which the anatomy betrays
    assert np.abs(film.xray[..., 0] - shown).max() < 1e-6
    assert (to_stored(film, film.xray) == film.pixels).all()
    inside = (film.xray[..., 0] > 0.3) & (film.xray[..., 0] < 0.9)
    again = film.table[to_stored(film, film.xray - 0.1)]
    assert np.abs(again - film.xray[..., 0] + 0.1)[inside].max() < (1.1 / 255 if "VOILUTSequence" in more else 1 / 1000)


@pytest.mark.parametrize("more", [{"WindowWidth": 0}, {"WindowCenter": 90000, "WindowWidth": 10}, {"VOILUTSequence": [curve([4096, 0, 12], np.abs(np.arange(4096) - 2000))]}],
                         ids=["no_width", "far_off", "up_and_down"])
def test_25_a_useless_window_is_told_and_left_out(more, tmp_path):
    film = read_dicom(make(tmp_path / "film.dcm", **more))
    assert "darkest to the brightest" in " ".join(film.notes)
    assert (film.xray.min(), film.xray.max()) == (0, 1)


def test_25_without_window_8_bits_are_shown_whole_and_others_from_darkest_to_brightest(tmp_path):
    eight, twelve = (read_dicom(make(tmp_path / f"{bits}.dcm", kind="CR", bits=bits, negative=False, xray=0.2 + 0.5 * GREY)) for bits in (8, 12))
    assert np.abs(eight.xray[..., 0] - 0.2 - 0.5 * GREY).max() < 1 / 255
    assert (twelve.xray.min(), twelve.xray.max()) == (0, 1)


def test_25_a_curve_that_starts_below_zero(tmp_path):
    lut = curve([4096, 0, 12], np.arange(4096))
    lut.add_new("LUTDescriptor", "US", [4096, 65536 - 2048, 12])  # -2048 without its sign
    film = read_dicom(make(tmp_path / "film.dcm", kind="CR", signed=True, negative=False, xray=0.2 + 0.5 * GREY, VOILUTSequence=[lut]))
    assert np.abs(film.xray[..., 0] - 0.2 - 0.5 * GREY).max() < 1 / 4095 and film.notes == ()


def test_25_beyond_the_window_numbers_move_along(tmp_path):
    film = read_dicom(make(tmp_path / "film.dcm", WindowCenter=1800, WindowWidth=800))
    black, white = film.xray[..., 0] == 0, film.xray[..., 0] == 1
    assert black.mean() > 0.05 and white.mean() > 0.05
    moved = to_stored(film, np.where(film.xray == 1, 0.9, np.where(film.xray == 0, 0.1, film.xray))) - film.pixels
    assert set(np.unique(moved[white])) == {80} and set(np.unique(moved[black & (film.pixels > 80)])) == {-80} and not moved[~black & ~white].any()


def test_25_padding_is_no_picture(tmp_path):
    xray = GREY.copy()
    xray[:20] = 0
    film = dataset("CR", negative=False, xray=0.2 + 0.5 * xray, PixelPaddingValue=4000)
    pixels = np.frombuffer(film.PixelData, "<u2").reshape(180, 200).copy()
    pixels[:20] = 4000
    film.PixelData = pixels.tobytes()
    film = read_dicom(save(tmp_path / "film.dcm", film))
    assert film.xray[20:].max() == 1  # 4000 does not count as the brightest value
    stored = to_stored(film, film.xray * 0.5)
    assert (stored[:20] == 4000).all() and (stored[20:] < film.pixels[20:]).any()


@pytest.mark.parametrize("turn, orientation, said", [
    (lambda x: x, ["L", "F"], []), (lambda x: x, "", []), (lambda x: x[:, ::-1], ["R", "F"], ["mirrored"]), (lambda x: x[:, ::-1], "", []),
    (lambda x: x[::-1], ["L", "H"], ["upside down", "mirrored"]), (lambda x: x[::-1, ::-1], ["R", "H"], ["upside down"]), (lambda x: x[::-1, ::-1], "", ["upside down"]),
    (lambda x: np.rot90(x), "", ["its side"]), (lambda x: np.rot90(x), ["F", "R"], ["its side"]), (lambda x: np.rot90(x, 3), ["H", "L"], ["its side"]), (lambda x: np.rot90(x[:, ::-1], 3), ["H", "R"], ["mirrored", "its side"]),
    (lambda x: np.rot90(x), ["H", "L"], ["its side", "does not fit"]),
    (lambda x: x, ["R", "H"], ["does not fit"]), (lambda x: x[::-1], ["L", "F"], ["upside down", "does not fit"]),
], ids=["as_usual", "untold", "mirrored", "mirrored_untold", "flipped", "turned", "turned_untold", "left_untold", "left", "right", "side_mirrored", "wrong_side", "wrongly_told", "wrongly_upright"])
@pytest.mark.parametrize("negative", [True, False])
def test_orientation_is_noticed_said_and_kept(turn, orientation, said, negative, tmp_path, suppressor):
    path = make(tmp_path / "film.dcm", negative=negative, xray=np.ascontiguousarray(turn(GREY)), PatientOrientation=orientation)
    film = read_dicom(path)
    words = ("upside down", "mirrored", "its side", "does not fit")
    assert [word for word in words if word in " ".join(film.notes)] == said and film.bone_dark == negative
    suppress_dicom(path, tmp_path / "soft.dcm", suppressor, "seed")
    result = pydicom.dcmread(tmp_path / "soft.dcm")
    assert (result.PatientOrientation, result.ImagerPixelSpacing) == (film.dataset.PatientOrientation, [1.5, 1.5])
    upright = suppressor.suppress(np.ascontiguousarray(np.rot90(film.xray, film.turns)))
    assert np.abs(np.rot90(read_dicom(tmp_path / "soft.dcm").xray, film.turns) - upright).max() < 1 / 4095


def test_37_what_is_not_said_is_noted(tmp_path):
    film = read_dicom(make(tmp_path / "film.dcm", kind="SC", Modality="OT", BodyPartExamined="", ViewPosition=None))
    assert film.notes == ("the file does not say its modality or body part or view: taken as a frontal chest film",)


def test_38_burned_in_writing_is_noted_and_never_denied(tmp_path, suppressor):
    for said in ("YES", "NO", None):
        result = suppress_dicom(make(tmp_path / "film.dcm", kind="CR", BurnedInAnnotation=said), tmp_path / "soft.dcm", suppressor, "seed")
        assert any("burned" in note for note in result.notes) == (said == "YES")
        assert pydicom.dcmread(tmp_path / "soft.dcm").get("BurnedInAnnotation") == said


# What is written

@pytest.fixture(params=["explicit", "implicit"])
def loaded(request, tmp_path):
    "A film with everything in it that must not survive, and its result."
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
    film = read_dicom(save(tmp_path / "film.dcm", CODINGS[request.param][0](film)))
    path = write_dicom(tmp_path / "soft.dcm", film, film.xray * 0.9, "seed (SHA-256 0)")
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
    for word in ("seed (SHA-256 0)", bss_gan.__version__, "not for diagnosis"): assert word in after.DerivationDescription
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
    path, results = make(tmp_path / "film.dcm"), []
    for number, weights in enumerate(("seed", "seed", "other")):
        suppress_dicom(path, tmp_path / f"{number}.dcm", suppressor, weights)
        results.append((tmp_path / f"{number}.dcm").read_bytes())
    uids = [pydicom.dcmread(tmp_path / f"{number}.dcm") for number in range(3)]
    assert results[0] == results[1]
    assert uids[0].SOPInstanceUID != uids[2].SOPInstanceUID and uids[0].SeriesInstanceUID != uids[2].SeriesInstanceUID
    film = read_dicom(path)
    write_dicom(tmp_path / "3.dcm", film, film.xray, "seed")  # other pixels
    assert pydicom.dcmread(tmp_path / "3.dcm").SOPInstanceUID != uids[0].SOPInstanceUID


def test_films_done_at_the_same_time_do_not_disturb_each_other(tmp_path, suppressor):
    films = [make_coded(tmp_path / f"{coding}.dcm", coding) for coding in CODINGS]
    for film in films: suppress_dicom(film, tmp_path / "alone" / film.name, suppressor, "seed")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda film: suppress_dicom(film, tmp_path / "together" / film.name, suppressor, "seed"), films))
    for film in films: assert (tmp_path / "alone" / film.name).read_bytes() == (tmp_path / "together" / film.name).read_bytes()


def test_a_failed_write_leaves_what_was_there(tmp_path):
    film = read_dicom(make(tmp_path / "film.dcm"))
    film.dataset.add_new("ImageLaterality", "US", "no number")
    (tmp_path / "soft.dcm").write_text("an older result")
    with pytest.raises(BadImage, match="film.dcm: has an element that cannot be written"): write_dicom(tmp_path / "soft.dcm", film, film.xray, "none")
    assert (tmp_path / "soft.dcm").read_text() == "an older result"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["film.dcm", "soft.dcm"]


def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch, suppressor):
    def half(path, data):
        with open(path, "wb") as file: file.write(data[:99])
        raise OSError(28, "No space left on device")

    make(tmp_path / "film.dcm")
    (tmp_path / "soft.dcm").write_text("an older result")
    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(BadInput, match="soft.dcm: cannot be written .No space"): suppress_dicom(tmp_path / "film.dcm", tmp_path / "soft.dcm", suppressor, "seed")
    assert (tmp_path / "soft.dcm").read_text() == "an older result"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["film.dcm", "soft.dcm"]


def test_weights_are_named_without_a_path(tmp_path):
    for part, network in (("seed", "generator"), ("seed.discriminator", "discriminator")):
        for ending in ("json", "weights.h5"):
            (tmp_path / "Läufe").mkdir(exist_ok=True)
            shutil.copy(ROOT / f"bss_gan/weights/{part}.{ending}", tmp_path / f"Läufe/{network}.{ending}")
    assert name_weights(tmp_path / "Läufe") == name_weights("seed").replace("seed", "L?ufe")
    name = name_weights("seed")
    assert name.startswith("seed (SHA-256 ") and name != name_weights("residual").replace("residual", "seed")


@pytest.mark.parametrize("charset, name", [
    ("ISO_IR 166", "แสงจันทร์^สมชาย"), (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"), ("ISO_IR 192", "Ωμέγα^王小東"),
    ("GB18030", "Wang^XiaoDong=王^小东"), ("ISO_IR 100", "Müller^Jörg"), (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동")],
    ids=["thai", "japanese", "utf8", "chinese", "latin", "korean"])
@pytest.mark.parametrize("coding", ["explicit", "implicit"])
def test_40_names_survive(charset, name, coding, tmp_path):
    film = CODINGS[coding][0](dataset(SpecificCharacterSet=charset, PatientName=name, SeriesDescription=name.split("=")[-1]))
    path = save(tmp_path / "film.dcm", film)
    film = read_dicom(path)
    write_dicom(tmp_path / "soft.dcm", film, film.xray, "none")
    before, after = (pydicom.dcmread(tmp_path / file) for file in ("film.dcm", "soft.dcm"))
    assert after.get_item("PatientName").value == before.get_item("PatientName").value  # the bytes
    assert str(after.PatientName) == name and after.SpecificCharacterSet == before.SpecificCharacterSet
    assert after.SeriesDescription == f"{name.split('=')[-1]} bone suppressed, not for diagnosis"


def test_41_lossy_stays_lossy(tmp_path):
    film = by_jpeg(dataset("CR", 8, LossyImageCompression="01", LossyImageCompressionRatio=[12.5], LossyImageCompressionMethod="ISO_10918_1"))
    film = read_dicom(save(tmp_path / "film.dcm", film))
    after = pydicom.dcmread(write_dicom(tmp_path / "soft.dcm", film, film.xray, "none"))
    assert (after.LossyImageCompression, after.LossyImageCompressionRatio, after.LossyImageCompressionMethod) == ("01", 12.5, "ISO_10918_1")


def test_42_duplicates_in_a_folder(tmp_path):
    first, other = make(tmp_path / "a.dcm"), make(tmp_path / "d.dcm", SOPInstanceUID="1.2.3")
    shutil.copy(first, tmp_path / "b.dcm")
    assert [*find_duplicates([first, tmp_path / "b.dcm", other])[0]] == [tmp_path / "b.dcm"]
    make(tmp_path / "c.dcm", PatientID="43")  # another film under the same UID
    skipped, refused = find_duplicates(find_films(tmp_path)[0])
    assert (skipped, {*refused}) == ({}, {first, tmp_path / "b.dcm", tmp_path / "c.dcm"})
    assert "c.dcm" in refused[first] and "a.dcm" in refused[tmp_path / "c.dcm"]


def test_42_a_broken_film_costs_only_itself(tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    good = make(tmp_path / "in/good.dcm")
    for name, length in (("cut", -2000), ("cut_again", -2000), ("half", -9000)): (tmp_path / f"in/{name}.dcm").write_bytes(good.read_bytes()[:length])
    shutil.copy(good, tmp_path / "in/same.dcm")
    listed, real = [], Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda path: listed.append(path) or real(path))
    with pytest.raises(click.ClickException) as failed: main(["suppress", str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--weights", "seed"], standalone_mode=False)
    assert {line.split(":")[0].split("/")[-1] for line in failed.value.message.splitlines()[1:]} == {"cut.dcm", "cut_again.dcm", "half.dcm"}
    assert "SOPInstanceUID" not in failed.value.message
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.dcm"]
    assert listed.count(tmp_path / "in") == 1  # a folder on a network is not listed twice


def test_42_deflated_films_are_compared_too(tmp_path):
    for name in "ab": make_coded(tmp_path / f"{name}.dcm", "deflated")
    assert [*find_duplicates(sorted(tmp_path.iterdir()))[0]] == [tmp_path / "b.dcm"]


def test_42_what_cannot_be_read_is_no_copy(tmp_path, monkeypatch):
    paths = [make(tmp_path / name) for name in ("a.dcm", "b.dcm")]
    fault = OSError(errno.EIO, os.strerror(errno.EIO))
    monkeypatch.setattr(Path, "read_bytes", lambda path: (_ for _ in ()).throw(fault))
    monkeypatch.setattr(bss_gan.data, "_RETRIES", (0, 0, 0))
    assert find_duplicates(paths) == ({}, {})


def test_43_44_files_without_uid_and_tables_of_contents_in_a_folder(tmp_path):
    for name in "ab": without("SOPInstanceUID")(tmp_path / f"{name}.dcm")  # not one film twice, but two without a name
    dicomdir(tmp_path / "DICOMDIR")
    (tmp_path / "c.dcm").write_text("no DICOM")
    skipped, refused = find_duplicates(sorted(tmp_path.iterdir()))
    assert ([*skipped], refused) == ([tmp_path / "DICOMDIR"], {})
    assert tmp_path / "DICOMDIR" not in find_films(tmp_path)[0]


# Independent judges

def errors(path):
    "What dciodvfy of dicom3tools has against a file."
    done = subprocess.run(["dciodvfy", path], capture_output=True, text=True, timeout=60)
    return {line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")}


@pytest.mark.skipif(not shutil.which("dciodvfy"), reason="dciodvfy is not installed (Debian package dicom3tools)")
@pytest.mark.parametrize("kind", ["CR", "DX"])
def test_an_independent_validator_finds_no_error(kind, tmp_path, suppressor):
    path = make(tmp_path / "film.dcm", kind=kind)
    suppress_dicom(path, tmp_path / "soft.dcm", suppressor, name_weights("seed"))
    assert errors(path) == errors(tmp_path / "soft.dcm") == set()
    broken = pydicom.dcmread(tmp_path / "soft.dcm")
    del broken.StudyInstanceUID
    broken.save_as(tmp_path / "broken.dcm")
    assert errors(tmp_path / "broken.dcm")  # the judge is awake


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def archive(tmp_path):
    "The address of an Orthanc server, an archive as hospitals have it, with an empty store."
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
    suppress_dicom(path, tmp_path / "soft.dcm", suppressor, name_weights("seed"))
    stored = [json.loads(ask(f"{archive}/instances", file.read_bytes())) for file in (path, tmp_path / "soft.dcm", tmp_path / "soft.dcm")]
    assert [answer["Status"] for answer in stored] == ["Success", "Success", "AlreadyStored"]
    back = pydicom.dcmread(io.BytesIO(ask(f"{archive}/instances/{stored[1]['ID']}/file")))
    assert back == pydicom.dcmread(tmp_path / "soft.dcm")
    study, = json.loads(ask(f"{archive}/studies?expand"))  # one patient, one study, two series of one film each
    assert len(study["Series"]) == 2 and study["PatientMainDicomTags"]["PatientName"] == "Ribs^Ada"
    preview = np.asarray(Image.open(io.BytesIO(ask(f"{archive}/instances/{stored[1]['ID']}/preview"))))
    assert preview.shape == (180, 200)


# Real films

@pytest.mark.parametrize("name, bone_dark, spacing", [
    ("cr_monochrome1_15bit_raw", True, "PixelSpacing"), ("cr_monochrome1_15bit_jpeg2000_lossy", True, "PixelSpacing"),
    ("cr_monochrome2_8bit_jpeg", False, "PixelSpacing"), ("dx_monochrome1_12bit_jpeg2000", True, "ImagerPixelSpacing")])
def test_real_film(name, bone_dark, spacing, shared_data, tmp_path, suppressor):
    path = shared_data / "dicom" / f"{name}.dcm"
    result = suppress_dicom(path, tmp_path / "soft.dcm", suppressor, name_weights("seed"))
    before, after = pydicom.dcmread(path), pydicom.dcmread(tmp_path / "soft.dcm")
    assert (result.bone_dark, result.notes) == (bone_dark, ())
    assert (after[spacing], after.BitsStored, after.PhotometricInterpretation) == (before[spacing], before.BitsStored, before.PhotometricInterpretation)
    assert 0 < np.abs(after.pixel_array.astype(int) - before.pixel_array).mean() < 2**before.BitsStored / 20
    if shutil.which("dciodvfy"): assert errors(tmp_path / "soft.dcm") - errors(path) == set()


def tiny(image):
    small = resize(image, 8)[..., 0]
    return (small - small.mean()) / small.std()


def test_the_way_up_is_told_from_real_pictures_and_a_mirror_is_not(shared_data):
    mean = np.mean([tiny(simulate(seed, 128, source, wide=True).xray) for seed in range(20) for source in ("thorax", "ct")], axis=0)
    upright, mirrored = {}, {}
    for folder in ("jsrt/source", "cxr", "des/source"):
        films = [open_film(film).xray for film in find_films(shared_data / folder)[0]]
        told = [quarter_turns(np.rot90(sign * film, -turns)) == turns for film in films for turns in range(4) for sign in (1, -1)]
        upright[folder] = len(films), np.mean(told)
        mirrored[folder] = np.mean([((tiny(film) - tiny(film)[:, ::-1]) * (mean - mean[:, ::-1])).sum() > 0 for film in films])
    assert upright == {"jsrt/source": (126, 1), "cxr": (42, 1), "des/source": (3, 1)}
    assert {folder: round(mirrored[folder], 2) for folder in ("jsrt/source", "cxr")} == {"jsrt/source": 0.6, "cxr": 0.55}  # as the chapter says


def test_real_film_with_a_wrong_label(shared_data):
    right, wrong = (read_dicom(shared_data / "dicom" / f"{name}.dcm") for name in ("cr_monochrome2_8bit_jpeg", "cr_same_pixels_relabelled_monochrome1"))
    assert np.abs(right.xray - wrong.xray).max() < 1e-6
    assert (right.notes, len(wrong.notes)) == ((), 1)


def test_real_film_with_a_broken_stream(shared_data):
    with pytest.raises(BadImage, match="dx_broken_codestream"): read_dicom(shared_data / "dicom/dx_broken_codestream.dcm")


def test_the_example_film_is_that_of_pydicom_data(shared_data):
    "The PNG in the package and the DICOM film show one chest, one polarity and one tone up to a stretch."
    dicom, png = read_dicom(shared_data / "dicom/cr_monochrome1_15bit_raw.dcm").xray[40:], open_film(example_film()).xray
    small = cv2.resize(dicom, png.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.corrcoef(small.ravel(), png.ravel())[0, 1] > 0.98
