"""Films as clinics, phones and viewers write them: the same chest comes out the same, or the true reason is told.

Every case is one that somebody reported to the makers of a reader, a viewer or a photo tool. Each file is made here, in a few
lines, from the example film of the package. The cases are grouped by kind: how bright is white, which way is up, what a DICOM
header says, what a file is, names and folders, pairs, arrays, whose file it is, and what the verdict says."""
import hashlib, io, json, os, re, shutil, stat, struct, subprocess
from dataclasses import replace
from pathlib import Path

import cv2, imagecodecs, nbformat, numpy as np, pydicom, pytest
from click.testing import CliRunner
from PIL import Image
from helpers.project import COMMAND, NBS
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate

from bss_gan.cli import main
from bss_gan.images import OUTPUTS, BadImage, BadInput, example_film, write_film
from bss_gan.dicom import open_film
from bss_gan.testing import LABELS, load_suppressor, suppress_file, suppress_files

FILM = cv2.resize(cv2.imread(str(example_film()), cv2.IMREAD_UNCHANGED), (320, 333), interpolation=cv2.INTER_AREA) / 255  # bone-bright
DETECTED = LABELS[True]


def levels(bits, film=FILM):
    "The film in so many bits."
    return np.round(film * (2**bits - 1)).astype(np.uint8 if bits <= 8 else np.uint16)


def save(path, numbers):
    "Writes numbers as they are."
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(cv2.imencode(Path(path).suffix, numbers)[1].tobytes())
    return Path(path)


def same_film(path, expected=FILM, **options):
    "Opens a film and compares it with what it should look like; gives it back."
    film = open_film(path, **options)
    found = film.xray[..., 0]
    assert found.shape == expected.shape
    inside = (expected > 0.02) & (expected < 0.98)
    assert np.corrcoef(found[inside], expected[inside])[0, 1] > 0.995
    assert abs(found[inside].mean() / expected[inside].mean() - 1) < 0.03, "another brightness"
    return film


@pytest.fixture(scope="session")
def suppressor():
    return load_suppressor("chest-v1")


@pytest.fixture(scope="session")
def bone(suppressor):
    "The bone layer of the 8-bit film."
    xray = np.float32(levels(8) / 255)[..., None]
    return (xray - suppressor.suppress(xray))[..., 0]


def same_bone(path, suppressor, bone, white, read=lambda path: cv2.imread(str(path), cv2.IMREAD_UNCHANGED), suffix=".png", spare=None):
    "Suppresses a film and compares the stored numbers before and after with the bone layer of the 8-bit film."
    target = path.with_name("result" + suffix)
    result = suppress_file(path, target, suppressor)
    before, after = read(path).astype(float), read(target).astype(float)
    assert after.shape == before.shape
    found = (before - after) / white
    keep = np.ones(bone.shape, bool) if spare is None else ~spare
    assert np.corrcoef(found[keep], bone[keep])[0, 1] > 0.99
    assert abs(found[keep].std() / bone[keep].std() - 1) < 0.1
    assert after.max() <= max(white, before.max())
    assert result.label == DETECTED and result.score > 0.5
    return result


# How bright is white?

def marked(numbers, value):
    "The film with a lead letter burned into a corner."
    numbers = numbers.copy()
    numbers[8:28, 280:310] = value
    return numbers


def hot(numbers, value):
    "The film with one pixel that is broken."
    numbers = numbers.copy()
    numbers[150, 77] = value
    return numbers


MARKER = marked(np.zeros(FILM.shape, bool), True)


@pytest.mark.parametrize("bits", range(8, 17))
def test_a_16_bit_png_may_hold_fewer_bits(bits, tmp_path):
    film = same_film(save(tmp_path / "film.png", levels(bits).astype(np.uint16)))
    assert film.raw.depth == 16 and (bits == 16 or film.notes), "a guess has to be noted"


@pytest.mark.parametrize("bits", [8, 10, 12, 14])
@pytest.mark.parametrize("change", [hot, marked], ids=["hot_pixel", "marker"])
@pytest.mark.parametrize("value", [5000, 65535])
def test_one_bright_spot_does_not_change_a_png(bits, change, value, tmp_path):
    numbers = change(levels(bits).astype(np.uint16), value)
    expected = np.where(MARKER, 0, FILM) if change is marked else FILM  # the marker itself may be anything
    film = open_film(save(tmp_path / "film.png", numbers)).xray[..., 0]
    inside = (expected > 0.02) & (expected < 0.98)
    assert np.corrcoef(film[inside], expected[inside])[0, 1] > 0.995 and abs(film[inside].mean() / expected[inside].mean() - 1) < 0.03


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_the_same_chest_has_the_same_bone_layer_in_png(bits, suppressor, bone, tmp_path):
    same_bone(save(tmp_path / "film.png", levels(bits).astype(np.uint16)), suppressor, bone, 2**bits - 1)


@pytest.mark.parametrize("change, value", [(hot, 5000), (marked, 65535)], ids=["hot_pixel", "marker"])
def test_a_bright_spot_does_not_change_the_bone_layer(change, value, suppressor, bone, tmp_path):
    numbers, spare = change(levels(12).astype(np.uint16), value), cv2.dilate(np.uint8(MARKER), np.ones((61, 61))) > 0
    same_bone(save(tmp_path / "film.png", numbers), suppressor, bone, 4095, spare=spare)


@pytest.mark.parametrize("bits", [8, 10, 12, 14])
def test_a_negative_of_fewer_bits(bits, tmp_path):
    film = same_film(save(tmp_path / "film.png", levels(bits, 1 - FILM).astype(np.uint16)))
    assert film.bone_dark


@pytest.mark.parametrize("bits, stored", [(10, 16), (12, 16), (14, 16), (10, 12), (12, 12), (14, 14), (15, 15), (16, 16), (8, 8), (8, 16), (8, 12)])
@pytest.mark.parametrize("change", [None, hot, marked], ids=["plain", "hot_pixel", "marker"])
def test_a_dicom_film_without_a_window(bits, stored, change, tmp_path):
    if change is marked and (bits, stored) == (10, 12): return  # a marker that reaches the declared white agrees with the header
    numbers = levels(bits).astype(np.uint16)
    expected = np.where(MARKER, 0, FILM) if change is marked else FILM
    if change: numbers = change(numbers, 2**stored - 1)
    path = dicom(tmp_path / "film.dcm", numbers, stored)
    found, inside = open_film(path).xray[..., 0], (expected > 0.02) & (expected < 0.98)
    assert np.corrcoef(found[inside], expected[inside])[0, 1] > 0.995 and abs(found[inside].mean() / expected[inside].mean() - 1) < 0.06


def test_a_marker_does_not_change_the_bone_layer_of_a_dicom_film(suppressor, bone, tmp_path):
    path, spare = dicom(tmp_path / "film.dcm", marked(levels(10), 65535), 16), cv2.dilate(np.uint8(MARKER), np.ones((61, 61))) > 0
    same_bone(path, suppressor, bone, 1023, lambda path: pydicom.dcmread(path).pixel_array, ".dcm", spare)


# Which way is up, what is frame, and is it a negative?

@pytest.mark.parametrize("negative", [False, True], ids=["positive", "negative"])
@pytest.mark.parametrize("turns", [1, 2, 3])
@pytest.mark.parametrize("kind", ["png", "dcm"])
def test_a_film_on_its_side_is_turned_and_said_so(turns, negative, kind, tmp_path):
    numbers = np.rot90(levels(8, 1 - FILM if negative else FILM), turns)
    path = save(tmp_path / "film.png", numbers) if kind == "png" else dicom(tmp_path / "film.dcm", numbers, 8)
    film = same_film(path)
    assert film.bone_dark == negative and any("side" in note or "upside" in note or "turned" in note for note in film.notes)


def test_a_film_on_its_side_comes_back_on_its_side(suppressor, bone, tmp_path):
    path = save(tmp_path / "film.png", np.rot90(levels(8)))
    same_bone(path, suppressor, bone, 255, lambda path: np.rot90(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), -1))


def framed(film, sides, share, grey):
    "The film with margins of one grey on some sides, each a share of the whole."
    height, width = (round(side * share / (1 - share)) for side in film.shape)
    return cv2.copyMakeBorder(film, *(size * (side in sides) for size, side in zip((height, height, width, width), "tblr")), cv2.BORDER_CONSTANT, value=grey)


FRAMES = [("tblr", 0.05), ("tblr", 0.15), ("tblr", 0.23), ("l", 0.2), ("r", 0.25), ("l", 0.3), ("t", 0.3), ("b", 0.3), ("lr", 0.25), ("lr", 0.3)]


@pytest.mark.parametrize("negative", [False, True], ids=["positive", "negative"])
@pytest.mark.parametrize("grey", [0.0, 0.5, 1.0], ids=["black", "grey", "white"])
@pytest.mark.parametrize("sides, share", FRAMES)
@pytest.mark.parametrize("kind", ["png", "dcm"])
def test_a_frame_changes_neither_the_way_up_nor_the_polarity(sides, share, grey, negative, kind, tmp_path):
    stored = framed(1 - FILM if negative else FILM, sides, share, grey)
    path = save(tmp_path / "film.png", levels(8, stored)) if kind == "png" else dicom(tmp_path / "film.dcm", levels(12, stored), 12)
    assert same_film(path, 1 - stored if negative else stored).bone_dark == negative


def test_a_white_frame_does_not_change_what_is_taken_away(suppressor, tmp_path):
    stored = levels(12, framed(FILM, "tblr", 0.15, 1.0))
    path = dicom(tmp_path / "film.dcm", stored, 12)
    assert suppress_file(path, tmp_path / "result.dcm", suppressor).label == DETECTED


def test_the_user_may_insist_on_polarity_and_turn(tmp_path):
    path = save(tmp_path / "film.png", levels(8))
    assert np.abs(open_film(path, polarity="dark", turn=0).xray[..., 0] - (1 - FILM)).max() < 0.01
    turned = save(tmp_path / "turned.png", np.rot90(levels(8)))
    assert open_film(turned, turn=90).xray.shape == (*FILM.shape, 1)
    assert open_film(turned, turn=0).xray.shape == (*FILM.shape[::-1], 1)
    with pytest.raises(BadInput, match="negative"): open_film(path, polarity="negative")
    with pytest.raises(BadInput, match="45"): open_film(path, turn=45)


# What a DICOM header says

def dataset(numbers=None, bits=12, **elements):
    "A CR film; `elements` are set on top, and None takes one away."
    numbers = levels(bits) if numbers is None else numbers
    film, plain = Dataset(), dict(
        SOPClassUID=uid.ComputedRadiographyImageStorage, SOPInstanceUID="1.2.826.0.1.3680043.8.498.11", StudyInstanceUID="1.2.826.0.1.3680043.8.498.12",
        SeriesInstanceUID="1.2.826.0.1.3680043.8.498.13", PatientName="Ribs^Ada", PatientID="42", Modality="CR", BodyPartExamined="CHEST", ViewPosition="PA",
        Rows=numbers.shape[0], Columns=numbers.shape[1], SamplesPerPixel=1, PhotometricInterpretation="MONOCHROME2", PixelRepresentation=0,
        BitsAllocated=8 * numbers.itemsize, BitsStored=bits, HighBit=bits - 1)
    for name, value in (plain | elements).items():
        if value is not None: setattr(film, name, value)
    film.add_new("PixelData", "OW", numbers.tobytes() + b"\0" * (numbers.nbytes % 2))
    film.file_meta = FileMetaDataset()
    film.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    return film


def keep(path, film):
    "Writes a data set, whatever is wrong with it."
    film.file_meta.MediaStorageSOPClassUID, film.file_meta.MediaStorageSOPInstanceUID = film.SOPClassUID, film.SOPInstanceUID
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    syntax = film.file_meta.TransferSyntaxUID
    if not syntax.is_transfer_syntax: film.file_meta.TransferSyntaxUID = uid.HTJ2KLossless  # pydicom may be older than this one
    film.save_as(path, implicit_vr=syntax == uid.ImplicitVRLittleEndian, little_endian=True, enforce_file_format=True)
    Path(path).write_bytes(Path(path).read_bytes().replace(uid.HTJ2KLossless.encode(), syntax.encode()))
    return path


def dicom(path, numbers=None, bits=12, **elements):
    return keep(path, dataset(numbers, bits, **elements))


def packed(path, syntax, frame, bits=12, **elements):
    "A film whose picture is this compressed frame."
    film = dataset(bits=bits, **elements)
    if syntax == uid.RLELossless: frame.decode = None
    film.PixelData = encapsulate([frame])
    film["PixelData"].VR, film["PixelData"].is_undefined_length = "OB", True
    film.file_meta.TransferSyntaxUID = syntax
    return keep(path, film)


def lut(descriptor, data, **elements):
    item = Dataset()
    item.add_new("LUTDescriptor", "US", descriptor)
    if data is not None: item.add_new("LUTData", "OW", np.asarray(data, "<u2").tobytes())
    for name, value in elements.items(): setattr(item, name, value)
    return [item]


RAMP = np.arange(4096)
HEADERS = {  # what is odd about it: elements, or a function of the path that makes the file
    "rescale_empty": dict(RescaleSlope="", RescaleIntercept=""), "rescale_slope_alone_empty": dict(RescaleSlope="", RescaleIntercept="0"),
    "rescale_without_intercept": dict(RescaleSlope="1"), "rescale_negative_intercept": dict(RescaleSlope="1", RescaleIntercept="-1024"),
    "window_empty": dict(WindowCenter="", WindowWidth=""), "window_center_alone": dict(WindowCenter="2048"), "window_width_0": dict(WindowCenter="2048", WindowWidth="0"),
    "window_two_values": dict(WindowCenter=["2048", "100"], WindowWidth=["4096", "100"]), "window_whole": dict(WindowCenter="2048", WindowWidth="4096"),
    "window_without_center_value": dict(WindowCenter=None, WindowWidth="4096"), "window_function_in_words": dict(WindowCenter="2048", WindowWidth="4096", VOILUTFunction="linear"),
    "photometric_lower_case": dict(PhotometricInterpretation="monochrome2"), "photometric_mixed_case": dict(PhotometricInterpretation="Monochrome2"),
    "photometric_with_space": dict(PhotometricInterpretation="MONOCHROME2 "), "photometric_0": dict(PhotometricInterpretation="MONOCHROME2\0"),
    "frames_1": dict(NumberOfFrames="1"), "frames_empty": dict(NumberOfFrames=""), "high_bit_missing": dict(HighBit=None),
    "voi_lut_without_data": dict(VOILUTSequence=lut([4096, 0, 12], None), WindowCenter="2048", WindowWidth="4096"),
    "voi_lut_without_descriptor": dict(VOILUTSequence=[Dataset()], WindowCenter="2048", WindowWidth="4096"), "voi_lut_without_item": dict(VOILUTSequence=[]),
    "voi_lut_says_16_bits_holds_12": dict(VOILUTSequence=lut([4096, 0, 16], RAMP)), "voi_lut_says_16_bits_holds_10": dict(VOILUTSequence=lut([4096, 0, 16], RAMP // 4)),
    "voi_lut_of_12_bits": dict(VOILUTSequence=lut([4096, 0, 12], RAMP)), "voi_lut_of_16_bits": dict(VOILUTSequence=lut([4096, 0, 16], RAMP * 16 + 15)),
    "voi_lut_of_8_bits": dict(VOILUTSequence=lut([4096, 0, 8], RAMP // 16)), "voi_lut_of_14_bits": dict(VOILUTSequence=lut([4096, 0, 14], RAMP * 4 + 3)),
    "modality_lut_of_12_bits": dict(ModalityLUTSequence=lut([4096, 0, 12], RAMP, ModalityLUTType="US")),
    "modality_lut_of_10_bits": dict(ModalityLUTSequence=lut([4096, 0, 10], RAMP // 4, ModalityLUTType="US")),
    "modality_lut_of_16_bits": dict(ModalityLUTSequence=lut([4096, 0, 16], RAMP * 16, ModalityLUTType="US")),
    "modality_lut_without_data": dict(ModalityLUTSequence=lut([4096, 0, 12], None, ModalityLUTType="US")),
    "padding_empty": dict(PixelPaddingValue=""), "orientation_empty": dict(PatientOrientation=""), "orientation_of_one": dict(PatientOrientation="L"),
    "window_hides_99_percent": dict(WindowCenter="128", WindowWidth="256"), "window_hides_the_bright_half": dict(WindowCenter="300", WindowWidth="600"),
    "window_hides_all_at_the_bottom": dict(WindowCenter="60000", WindowWidth="100"),
    "pixel_representation_missing": dict(PixelRepresentation=None), "samples_missing": dict(SamplesPerPixel=None),
    "series_missing": dict(SeriesInstanceUID=None),
}


@pytest.mark.parametrize("name", HEADERS)
def test_an_odd_header_shows_the_same_film(name, tmp_path, suppressor):
    with pydicom.config.disable_value_validation():
        path = dicom(tmp_path / "film.dcm", **HEADERS[name])
    film = same_film(path)
    film.write(tmp_path / "result.dcm", film.xray)
    assert np.array_equal(pydicom.dcmread(tmp_path / "result.dcm").pixel_array, levels(12))


@pytest.mark.parametrize("name", ["voi_lut_without_data", "window_hides_99_percent"])
def test_what_was_passed_over_is_noted(name, tmp_path):
    with pydicom.config.disable_value_validation():
        assert open_film(dicom(tmp_path / "film.dcm", **HEADERS[name])).notes


@pytest.mark.parametrize("name", ["voi_lut_says_16_bits_holds_12", "window_hides_99_percent"])
def test_an_odd_header_does_not_change_the_bone_layer(name, suppressor, bone, tmp_path):
    same_bone(dicom(tmp_path / "film.dcm", **HEADERS[name]), suppressor, bone, 4095, lambda path: pydicom.dcmread(path).pixel_array, ".dcm")


@pytest.mark.parametrize("element, right, wrong", [("WindowCenter", "2048.5", "2048,5"), ("WindowWidth", "4096.5", "4096,5"), ("RescaleSlope", "1.0", "1,0"), ("RescaleSlope", "1.0", "abc")])
def test_a_number_that_is_none(element, right, wrong, tmp_path):
    path = dicom(tmp_path / "film.dcm", **dict(WindowCenter="2048", WindowWidth="4096", RescaleSlope="1", RescaleIntercept="0") | {element: right})
    data = path.read_bytes()
    assert data.count(right.encode()) == 1
    path.write_bytes(data.replace(right.encode(), wrong.encode()))
    same_film(path)


VIEWS = ["POSTEROANTERIOR", "ANTEROPOSTERIOR", "SUPINE", "ERECT", "PORTABLE", "FRONTAL", "P-A", "AP_SUPINE", "PA", "AP", "pa", "P.A.", "AP ERECT", "POSTERO-ANTERIOR", "AP PORTABLE", "SITTING", "BED"]
PARTS = ["CHEST", "THORAX", "TORAX", "TÓRAX", "TORACE", "BRUST", "BRUSTKORB", "POITRINE", "PECHO", "LUNG", "PORT CHEST", "CHEST PA", "RIBS", "KLATKA PIERSIOWA"]


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_in_other_words(view, tmp_path):
    with pydicom.config.disable_value_validation(): same_film(dicom(tmp_path / "film.dcm", ViewPosition=view))


@pytest.mark.parametrize("part", PARTS)
def test_a_part_of_the_body_in_other_words(part, tmp_path):
    with pydicom.config.disable_value_validation(): same_film(dicom(tmp_path / "film.dcm", BodyPartExamined=part, SpecificCharacterSet="ISO_IR 192"))


@pytest.mark.parametrize("elements", [dict(ViewPosition="LATERAL"), dict(ViewPosition="LL"), dict(BodyPartExamined="HAND"), dict(Modality="MG"), dict(ViewPosition="RLD"), dict(BodyPartExamined="SKULL")],
                         ids=lambda elements: "_".join(elements.values()))
def test_another_view_or_part_is_refused_but_can_be_insisted_on(elements, tmp_path):
    path = dicom(tmp_path / "film.dcm", **elements)
    with pytest.raises(BadImage, match="insist"): open_film(path)
    same_film(path, insist=True)


def test_a_slope_of_0_leaves_nothing_to_see(tmp_path):
    with pytest.raises(BadImage, match="nothing to see"): open_film(dicom(tmp_path / "film.dcm", RescaleSlope="0", RescaleIntercept="0"))


@pytest.mark.parametrize("stored", [10, 12, 14])
@pytest.mark.parametrize("coding", ["bare", "rle", "jpegls"])
def test_numbers_in_the_high_bits(stored, coding, tmp_path):
    numbers = levels(stored) << (16 - stored)
    film = dataset(numbers, stored, HighBit=15)
    if coding == "rle":
        frame = io.BytesIO()
        segments = [imagecodecs.packbits_encode((numbers >> 8).astype(np.uint8)), imagecodecs.packbits_encode((numbers & 255).astype(np.uint8))]
        segments = [part + b"\0" * (len(part) % 2) for part in segments]
        frame.write(struct.pack("<16I", 2, 64, 64 + len(segments[0]), *[0] * 13) + b"".join(segments))
        film.PixelData, film.file_meta.TransferSyntaxUID = encapsulate([frame.getvalue()]), uid.RLELossless
    elif coding == "jpegls":
        film.PixelData, film.file_meta.TransferSyntaxUID = encapsulate([imagecodecs.jpegls_encode(numbers)]), uid.JPEGLSLossless
    if coding != "bare": film["PixelData"].VR, film["PixelData"].is_undefined_length = "OB", True
    path = keep(tmp_path / "film.dcm", film)
    try: same_film(path)
    except BadImage as error: assert coding != "bare" and "bit" in str(error).lower()


CODED = {
    "htj2k_lossless": (uid.HTJ2KLossless, lambda n: imagecodecs.htj2k_encode(n), 12), "htj2k": (uid.HTJ2K, lambda n: imagecodecs.htj2k_encode(n), 12),
    "htj2k_rpcl": (uid.HTJ2KLosslessRPCL, lambda n: imagecodecs.htj2k_encode(n), 12), "htj2k_8": (uid.HTJ2KLossless, lambda n: imagecodecs.htj2k_encode(n), 8),
    "jpeg_xl_lossless": (uid.UID("1.2.840.10008.1.2.4.110"), lambda n: imagecodecs.jpegxl_encode(n, lossless=True), 12),
    "jpeg_xl": (uid.UID("1.2.840.10008.1.2.4.112"), lambda n: imagecodecs.jpegxl_encode(n, lossless=True), 8),
}


@pytest.mark.parametrize("name", CODED)
def test_new_compressions_are_read(name, tmp_path):
    syntax, encode, bits = CODED[name]
    same_film(packed(tmp_path / "film.dcm", syntax, encode(levels(bits)), bits))


@pytest.mark.parametrize("window", [{}, dict(WindowCenter="2048", WindowWidth="4096"), dict(WindowCenter="128", WindowWidth="256")], ids=["no_window", "window_of_12_bits", "window_of_8_bits"])
def test_a_stream_of_8_bits_under_a_header_of_12(window, tmp_path):
    same_film(packed(tmp_path / "film.dcm", uid.JPEGBaseline8Bit, imagecodecs.jpeg8_encode(levels(8), 98), 12, BitsAllocated=16, **window))


def test_a_compressed_picture_without_compression(tmp_path):
    path = packed(tmp_path / "film.dcm", uid.UID("1.2.840.10008.1.2.1.98"), levels(12).tobytes())
    try: same_film(path)
    except BadImage as error: assert "Encapsulated Uncompressed" in str(error)


@pytest.mark.parametrize("value, number", [(63536, None), (4095, 4095), (0, 0)])
def test_padding_keeps_its_numbers(value, number, tmp_path):
    numbers, where = levels(12).astype(np.uint16), np.zeros(FILM.shape, bool)
    where[:, :40] = True
    numbers[where] = number if number is not None else value
    film = open_film(dicom(tmp_path / "film.dcm", numbers, 12, PixelPaddingValue=value))
    film.write(tmp_path / "result.dcm", film.xray * 0.9)
    after = np.frombuffer(pydicom.dcmread(tmp_path / "result.dcm").PixelData, "<u2").reshape(numbers.shape)
    assert (after[where] & 4095 == numbers[where] & 4095).all()
    found, expected = film.xray[..., 0][:, 40:], FILM[:, 40:]
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.99 and abs(found.mean() / expected.mean() - 1) < 0.05


def test_a_negative_padding_value_written_without_its_sign(tmp_path):
    numbers = levels(12).astype(np.int16) - 1000
    numbers[:, :40] = -2000
    film = dataset(numbers, 16, PixelRepresentation=1)
    film.add_new("PixelPaddingValue", "US", 63536)
    opened = open_film(keep(tmp_path / "film.dcm", film))
    opened.write(tmp_path / "result.dcm", opened.xray * 0.9)
    after = np.frombuffer(pydicom.dcmread(tmp_path / "result.dcm").PixelData, "<i2").reshape(numbers.shape)
    assert (after[:, :40] == -2000).all() and not (after[:, 40:] == numbers[:, 40:]).all()


@pytest.mark.parametrize("elements", [dict(PixelAspectRatio=["2", "1"]), dict(ImagerPixelSpacing=["0.4", "0.2"]), dict(PixelSpacing=["0.4", "0.2"])], ids=lambda elements: next(iter(elements)))
def test_pixels_that_are_not_square(elements, suppressor, tmp_path):
    squeezed = cv2.resize(levels(12), (320, 166), interpolation=cv2.INTER_AREA)
    path = dicom(tmp_path / "film.dcm", squeezed, 12, **elements)
    film = open_film(path)
    assert film.notes or abs(film.xray.shape[0] / film.xray.shape[1] - 333 / 320) < 0.02
    suppress_file(path, tmp_path / "result.dcm", suppressor)
    assert pydicom.dcmread(tmp_path / "result.dcm").pixel_array.shape == squeezed.shape


def test_an_8_bit_film_of_few_greys_is_scaled_or_noted(tmp_path):
    assert open_film(dicom(tmp_path / "film.dcm", np.uint8(FILM * 100), 8)).notes


# What a file is

def plain_dicom(path): return dicom(path).read_bytes()


def without_preamble(data): return data[132:]


def without_group_2(data):
    return data[:132] + data[144 + int.from_bytes(data[140:144], "little"):]


def bare_data_set(data):
    "The same data set without preamble and group 2, in implicit little endian."
    film, buffer = pydicom.dcmread(io.BytesIO(data)), pydicom.filebase.DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = True, True
    pydicom.filewriter.write_dataset(buffer, film)
    return buffer.getvalue()


def without_syntax(data):
    "Without the element TransferSyntaxUID."
    place = data.index(b"\x02\0\x10\0UI")
    size = 8 + int.from_bytes(data[place + 6:place + 8], "little")
    length = int.from_bytes(data[140:144], "little") - size
    return data[:140] + length.to_bytes(4, "little") + data[144:place] + data[place + size:]


def longer_picture(data):
    film, buffer = pydicom.dcmread(io.BytesIO(data)), io.BytesIO()
    film.PixelData += bytes(1000)
    film.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


WRAPPED = {"no_preamble": without_preamble, "no_group_2": without_group_2, "bare_data_set": bare_data_set, "no_transfer_syntax": without_syntax,
           "zeros_behind": lambda data: data + bytes(512), "zeros_behind_2": lambda data: data + bytes(6), "longer_picture": longer_picture,
           "spaces_behind": lambda data: data + b" " * 100, "preamble_of_tiff": lambda data: b"II*\0" + data[4:]}


@pytest.mark.parametrize("name", WRAPPED)
@pytest.mark.parametrize("file", ["film.dcm", "film", "IM000001", "1.2.840.113"])
def test_an_odd_container_is_read_and_written(name, file, tmp_path):
    (tmp_path / file).write_bytes(WRAPPED[name](plain_dicom(tmp_path / "plain.dcm")))
    film = same_film(tmp_path / file)
    film.write(tmp_path / "result.dcm", film.xray)
    assert np.array_equal(pydicom.dcmread(tmp_path / "result.dcm").pixel_array, levels(12))


@pytest.mark.parametrize("ending", [".jpg", ".png", ".dcm", ".tif", ".bmp", ".ima", ".dic"])
def test_the_content_decides_and_not_the_ending(ending, tmp_path):
    shutil.move(dicom(tmp_path / "plain"), tmp_path / f"film{ending}")
    assert same_film(tmp_path / f"film{ending}").raw.suffix == ".dcm"
    if ending == ".dcm": return  # a PNG that calls itself DICOM is refused, and named
    save(tmp_path / "image.png", levels(8)).rename(tmp_path / f"image{ending}")
    assert same_film(tmp_path / f"image{ending}").raw.suffix == ".png"


def tiff(path, numbers, sample_format, photometric=1, compression=1, data=None, samples=1):
    "A bare TIFF in one strip."
    data = numbers.tobytes() if data is None else data
    bits = numbers.dtype.itemsize * 8
    tags = [(256, 4, 1, numbers.shape[1]), (257, 4, 1, numbers.shape[0]), (258, 3, samples, bits), (259, 3, 1, compression), (262, 3, 1, photometric), (273, 4, 1, 0),
            (277, 3, 1, samples), (278, 4, 1, numbers.shape[0]), (279, 4, 1, len(data)), (284, 3, 1, 1), (339, 3, samples, sample_format)]
    end = 8 + 2 + 12 * len(tags) + 4
    extra, body = b"", b""
    for tag, kind, count, value in tags:
        if tag == 273: value = end + 12
        if count == 3:
            field = struct.pack("<I", end + len(extra))
            extra += struct.pack("<3H", *[value] * 3)
        else: field = struct.pack("<HH" if kind == 3 else "<I", *([value, 0] if kind == 3 else [value]))
        body += struct.pack("<HHI", tag, kind, count) + field
    path.write_bytes(b"II*\0" + struct.pack("<IH", 8, len(tags)) + body + bytes(4) + extra.ljust(12, b"\0") + data)
    return path


def test_a_tiff_of_16_bit_colour_with_equal_channels(tmp_path):
    path = tiff(tmp_path / "film.tif", np.ascontiguousarray(np.dstack([levels(16)] * 3)), 1, photometric=2, samples=3)
    try: assert same_film(path).raw.depth == 16
    except BadImage as error: assert "16" in str(error)


UNREAD = {  # what it is: a maker, and a word that names it
    "uint32": (lambda path: tiff(path, np.uint32(levels(16)) * 65537, 1), "32"), "int32": (lambda path: tiff(path, np.int32(levels(16)) * 32768, 2), "32"),
    "float64": (lambda path: tiff(path, FILM.astype(np.float64), 3), "64|float|floating"), "float16": (lambda path: tiff(path, FILM.astype(np.float16), 3), "16|float|floating"),
    "jpeg_2000": (lambda path: tiff(path, levels(8), 1, compression=34712, data=imagecodecs.jpeg2k_encode(levels(8), codecformat="j2k", reversible=True)), "JPEG 2000|34712"),
}


@pytest.mark.parametrize("name", UNREAD)
def test_a_tiff_that_cannot_be_read_is_told_why(name, tmp_path):
    make, word = UNREAD[name]
    path = make(tmp_path / "film.tif")
    try: same_film(path)
    except BadImage as error:
        assert "not an image" not in str(error) and any(part in str(error) for part in word.split("|")), error


def test_a_jpeg_of_12_bits_is_told_or_read(tmp_path):
    path = tmp_path / "film.jpg"
    path.write_bytes(imagecodecs.jpeg8_encode(levels(12), 95, bitspersample=12))
    try: same_film(path)
    except BadImage as error: assert "12" in str(error) and "JPEG" in str(error)


OTHERS = {"a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "HTML": b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>",
          "gzip": b"\x1f\x8b\x08\0\0\0\0\0\0\x03" + bytes(40), "ZIP": b"PK\3\4" + bytes(60), "PDF": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + bytes(60), "RAR|archive": b"Rar!\x1a\x07\x01\0" + bytes(60),
          "7z|7-Zip|archive": b"7z\xbc\xaf\x27\x1c" + bytes(60), "NIfTI|text|not an image": b"\x5c\x01\0\0" + bytes(340) + b"n+1\0", "JSON|text": b'{"error": "unauthorised"}',
          "text": b"Dear colleague, thank you for the film.", "XML|HTML|text": b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "GIF|damaged": b"GIF89a" + bytes(60), "WebP|damaged": b"RIFF\x20\0\0\0WEBPVP8 " + bytes(60)}


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("file", ["film.png", "film.dcm", "film.jpg"])
def test_something_else_under_the_name_of_a_film(name, file, tmp_path):
    (tmp_path / file).write_bytes(OTHERS[name])
    with pytest.raises(BadImage) as caught: open_film(tmp_path / file)
    assert any(part.lower() in str(caught.value).lower() for part in name.split("|")), caught.value
    assert file in str(caught.value) and "its start is lost" not in str(caught.value) and "<_io" not in str(caught.value)


def test_float_pixels_are_named(tmp_path):
    film = dataset()
    del film.PixelData
    film.add_new("FloatPixelData", "OF", FILM.astype("<f4").tobytes())
    with pytest.raises(BadImage, match="(?i)float") as caught: open_film(keep(tmp_path / "film.dcm", film))
    assert "cut short" not in str(caught.value)


def test_a_film_of_jsrt_without_a_header_is_read_or_told_how(tmp_path):
    film = cv2.resize(levels(12, 1 - FILM), (2048, 2048)).astype(">u2")
    (tmp_path / "JPCLN001.IMG").write_bytes(film.tobytes())
    opened = open_film(tmp_path / "JPCLN001.IMG")
    assert opened.bone_dark and opened.xray.shape == (2048, 2048, 1)


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_opaque_transparency(mode, tmp_path):
    Image.merge(mode, [Image.fromarray(levels(8))] * (len(mode) - 1) + [Image.new("L", FILM.shape[::-1], 255)]).save(tmp_path / "film.png")
    try: same_film(tmp_path / "film.png")
    except BadImage as error: assert "transparency" in str(error)


def test_two_films_on_one_sheet_and_two_pages(tmp_path):
    page = Image.fromarray(levels(8))
    page.save(tmp_path / "pages.tif", save_all=True, append_images=[page.resize((32, 32))])
    try: same_film(tmp_path / "pages.tif")
    except BadImage as error: assert "2 frames or pages" in str(error)


# Names and folders

@pytest.fixture
def go(monkeypatch, tmp_path):
    "Runs a command line in this process and in an empty folder: (exit status, what it said)."
    monkeypatch.chdir(tmp_path)

    def line(*arguments):
        done = CliRunner().invoke(main, [str(part) for part in arguments], prog_name="bss-gan")
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.output
    return line


def small(path, film=FILM):
    return save(path, cv2.resize(levels(8, film), (64, 66), interpolation=cv2.INTER_AREA))


def in_shell(folder, *arguments, **environment):
    "Runs the command in a process of its own; arguments may be bytes."
    return subprocess.run([*COMMAND, *arguments], cwd=folder, env={**os.environ, **environment}, capture_output=True, timeout=60)


def test_a_name_that_is_not_utf8(tmp_path):
    os.rename(small(tmp_path / "a.png"), os.fsencode(tmp_path) + b"/R\xf6ntgen.png")
    done = in_shell(tmp_path, "suppress", b"R\xf6ntgen.png", "--out", "out", "--json", "films.json")
    assert b"Traceback" not in done.stderr and done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "films.json").read_bytes().decode("utf-8", "surrogateescape"))["films"][0]["ok"]
    assert os.listdir(os.fsencode(tmp_path / "out"))


def test_a_locale_that_knows_ascii_only(tmp_path):
    small(tmp_path / "Müller é.png")
    done = in_shell(tmp_path, "suppress", "Müller é.png", "--out", "out", "--json", "films.json", "--report", "page.html", LC_ALL="C", PYTHONCOERCECLOCALE="0", PYTHONUTF8="0")
    assert b"Traceback" not in done.stderr and done.returncode == 0, done.stderr
    assert "Müller é.png" in json.loads((tmp_path / "films.json").read_text(encoding="utf-8"))["films"][0]["source"]


def odd_entry(path, kind):
    "Something with the name of a film that gives no film, and may never end."
    if kind == "pipe": os.mkfifo(path)
    elif kind == "socket": os.mknod(path, stat.S_IFSOCK | 0o600)
    else: path.symlink_to("/dev/zero")


@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
def test_what_is_no_file_is_passed_over(kind, tmp_path):  # in a process of its own: what waits for a pipe cannot be told to stop
    small(tmp_path / "ward/a.png")
    odd_entry(tmp_path / "ward/odd.png", kind)
    done = in_shell(tmp_path, "suppress", "ward", "ward/odd.png", "--out", "out", "--json", "films.json")
    assert b"Traceback" not in done.stderr and b"odd.png" in done.stdout + done.stderr
    assert (tmp_path / "out/a.png").is_file() and (tmp_path / "films.json").is_file()


def test_a_name_of_many_bytes_does_not_end_the_batch(go, tmp_path):
    small(tmp_path / "ward" / f"{'胸' * 82}.png")
    for name in "abc": small(tmp_path / "ward" / f"{name}.png")
    status, said = go("suppress", "ward", "--out", "out", "--json", "films.json")
    assert len(json.loads((tmp_path / "films.json").read_text())["films"]) == 4
    assert status == 0 and len(list((tmp_path / "out").glob("*.png"))) == 4


def test_a_folder_where_a_result_should_be_costs_that_film_only(go, tmp_path):
    for name in "abc": small(tmp_path / "ward" / f"{name}.png")
    (tmp_path / "out/b.png").mkdir(parents=True)
    status, said = go("suppress", "ward", "--out", "out")
    assert status in (1, 2) and "b.png" in said


def test_what_a_folder_holds_and_was_not_done_is_listed(go, tmp_path):
    small(tmp_path / "ward/a.png")
    small(tmp_path / "ward/north/b.png")
    (tmp_path / "ward/bare").write_bytes(bare_data_set(plain_dicom(tmp_path / "plain.dcm")))
    for name in ("film.dcm.gz", "films.zip", "notes.txt"): (tmp_path / "ward" / name).write_bytes(b"\x1f\x8b\x08" + bytes(20))
    status, said = go("suppress", "ward", "--out", "out", "--json", "films.json")
    for name in ("film.dcm.gz", "films.zip", "notes.txt", "north"): assert name in said, name
    assert "archive" in said and (tmp_path / "out/bare.dcm").is_file()


def test_a_folder_with_folders_only_points_to_archive(go, tmp_path):
    small(tmp_path / "ward/north/b.png")
    status, said = go("suppress", "ward", "--out", "out")
    assert status == 1 and "archive" in said


def test_presentation_states_and_reports_are_passed_over(go, tmp_path):
    dicom(tmp_path / "ward/film.dcm")
    for number, kind in enumerate((uid.GrayscaleSoftcopyPresentationStateStorage, uid.BasicTextSRStorage, uid.KeyObjectSelectionDocumentStorage)):
        film = dataset(SOPClassUID=kind, SOPInstanceUID=f"1.2.3.{number}")
        del film.PixelData
        keep(tmp_path / "ward" / f"other{number}.dcm", film)
    status, said = go("suppress", "ward", "--out", "out")
    assert status == 0 and "3" in said and (tmp_path / "out/film.dcm").is_file()


def test_one_film_under_two_names_is_done_once(go, tmp_path):
    film = small(tmp_path / "a.png")
    for other in (film, Path("./a.png"), Path("x/../a.png")):
        (tmp_path / "x").mkdir(exist_ok=True)
        shutil.rmtree("out", ignore_errors=True)
        status, said = go("suppress", "a.png", other, "--out", "out")
        assert status == 0 and "1 done" in said, said


def test_a_link_in_a_folder_is_followed(go, tmp_path):
    small(tmp_path / "elsewhere/a.png")
    (tmp_path / "ward").mkdir()
    (tmp_path / "ward/b.png").symlink_to(tmp_path / "elsewhere/a.png")
    status, said = go("suppress", "ward", "--out", "out")
    assert status == 0 and (tmp_path / "out/b.png").is_file()


# Whose file is it?

def tree(folder, *out):
    "Every file below a folder with its checksum, but those in `out`."
    files = [path for path in Path(folder).rglob("*") if path.is_file() and path.name != OUTPUTS]
    found = {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    return {name: value for name, value in found.items() if not name.startswith(out)} if out else found


@pytest.fixture
def drive(tmp_path):
    "A folder of somebody's with everything in it."
    for name in ("thesis.docx", "photos/cat.jpg", "run.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    for name in ("scan.png", "ward/a.png", "ward/b.png", "other/a.png", "other/b.png"): small(tmp_path / name, FILM if "other" not in name else FILM**2)
    save(tmp_path / "scan.jpg", cv2.resize(levels(8), (64, 66)))
    return tmp_path


UNLUCKY = {
    "result_onto_another_film": ("suppress", "scan.jpg", "--out", "."), "results_onto_other_films": ("suppress", "ward", "--out", "other"),
    "report_onto_the_film": ("suppress", "scan.png", "--out", "new", "--report", "scan.png"), "json_onto_the_film": ("suppress", "scan.png", "--out", "new", "--json", "scan.png"),
    "report_onto_the_thesis": ("suppress", "scan.png", "--out", "new", "--report", "thesis.docx"), "json_onto_the_thesis": ("suppress", "scan.png", "--out", "new", "--json", "thesis.docx"),
    "pictures_onto_films": ("suppress", "ward", "--out", "new", "--pictures", "other"), "pictures_where_results_go": ("suppress", "ward", "--out", "new", "--pictures", "new"),
    "json_onto_a_result": ("suppress", "scan.png", "--out", "new", "--json", "new/scan.png"), "report_and_json_are_one": ("suppress", "scan.png", "--out", "new", "--json", "x", "--report", "x"),
    "json_onto_a_folder": ("suppress", "scan.png", "--out", "new", "--json", "ward"), "out_is_a_file": ("suppress", "scan.png", "--out", "thesis.docx"),
    "archive_onto_films": ("archive", "--in", "ward", "--out", "other"), "archive_into_the_drive": ("archive", "--in", "ward", "--out", "."),
    "archive_json_onto_a_film": ("archive", "--in", "ward", "--out", "new", "--json", "ward/a.png"),
    "evaluate_json_onto_a_film": ("evaluate", "--data", "pairs", "--json", "pairs/source/sim_0.png"), "evaluate_report_onto_the_thesis": ("evaluate", "--data", "pairs", "--report", "thesis.docx"),
    "benchmark_onto_the_drive": ("benchmark", "--data", "pairs", "--peer", "a=pairs/target", "--out", "figures"),
    "simulate_onto_films": ("simulate", "--out", "pairs", "--films", "1", "--size", "64"), "export_onto_the_thesis": ("export", "--weights", "baseline", "--format", "savedmodel", "--out", "photos"),
    "export_onto_a_file": ("export", "--weights", "baseline", "--format", "litert", "--out", "net.tflite"), "doctor_onto_the_thesis": ("doctor", "--json", "thesis.docx"),
    "demo_into_the_drive": ("demo", "--out", "."), "demo_onto_photos": ("demo", "--out", "photos"),
    "json_in_a_link_to_the_thesis": ("suppress", "scan.png", "--out", "new", "--json", "link.json"),
}


@pytest.mark.parametrize("name", UNLUCKY)
def test_nothing_that_was_there_is_lost(name, go, drive):
    for side in ("source", "target"): save(drive / f"pairs/{side}/sim_0.png", levels(8, FILM if side == "source" else FILM**1.1))
    for file in ("benchmark.md", "figures/benchmark.md", "figures/benchmark.png", "net.tflite"): (drive / file).parent.mkdir(exist_ok=True), (drive / file).write_text("mine")
    (drive / "link.json").symlink_to("thesis.docx")
    before = tree(drive)
    status, said = go(*UNLUCKY[name])
    after = tree(drive)
    assert {file: after.get(file) for file in before} == before
    assert status in (1, 2) and set(after) == set(before), (status, said, set(after) - set(before))


def test_films_are_done_again_into_the_same_folder(go, drive):
    assert go("suppress", "ward", "--out", "new", "--json", "new.json", "--report", "new.html")[0] == 0
    assert go("suppress", "ward", "--out", "new", "--json", "new.json", "--report", "new.html")[0] == 0
    small(drive / "new/a.png", FILM**2)  # somebody has put a film of their own there
    before = tree(drive)
    status, said = go("suppress", "ward", "--out", "new")
    assert status in (1, 2) and "a.png" in said and tree(drive) == before


def test_simulate_does_not_mix_two_sizes(go, drive):
    assert go("simulate", "--out", "sim", "--films", "1", "--size", "64", "--workers", "1")[0] == 0
    before = tree(drive)
    status, _ = go("simulate", "--out", "sim", "--films", "1", "--size", "96", "--workers", "1")
    assert status != 0 and tree(drive) == before


@pytest.mark.parametrize("option", ["--json", "--report", "--out", "--pictures"])
def test_a_folder_that_may_not_be_written_is_named_before_the_work(option, go, drive):
    locked = drive / "locked"
    locked.write_text("a file where a folder should be")
    status, said = go("suppress", "ward", *(() if option == "--out" else ("--out", "new")), option, "locked/x.json" if option in ("--json", "--report") else "locked/x")
    assert status in (1, 2) and "locked" in said and ".part." not in said
    assert not (drive / "new").exists(), "the work had begun"


def test_a_report_in_a_missing_folder_is_written_or_refused_first(go, drive):
    status, said = go("suppress", "scan.png", "--out", "new", "--report", "nowhere/report.html", "--json", "nowhere/films.json")
    assert (status == 0 and (drive / "nowhere/report.html").is_file() and (drive / "nowhere/films.json").is_file()) or not (drive / "new").exists()


@pytest.fixture
def lessons(drive):
    "Pairs to train on, beside everything else."
    for number in range(8):
        for side, power in (("source", 1), ("target", 1.1)):
            film = np.roll(FILM, number, 1) ** (1 + number / 40)
            save(drive / f"pairs/{side}/p{number}.png", cv2.resize(levels(8, film**power), (64, 64), interpolation=cv2.INTER_AREA))
    return drive


TRAIN = ("train", "--data", "pairs", "--epochs", "1", "--size", "32", "--batch", "8", "--quiet")


def test_a_copy_beside_a_thesis(go, lessons):
    (lessons / "run").mkdir()
    before = tree(lessons, "run")
    status, said = go(*TRAIN, "--out", "run", "--copy", ".")
    after = tree(lessons, "run")
    assert {name: after.get(name) for name in before} == before, said
    assert status != 0 or any("generator" in name for name in after)


@pytest.mark.parametrize("copy", ["pairs", "ward", "photos"])
def test_a_copy_onto_other_things(copy, go, lessons):
    before = tree(lessons, "run")
    status, said = go(*TRAIN, "--out", "run", "--copy", copy)
    after = tree(lessons, "run")
    assert {name: after.get(name) for name in before} == before, said
    assert status != 0 or any("generator" in name for name in after)


def test_a_copy_of_another_run_and_a_run_taken_back(go, lessons):
    assert go(*TRAIN, "--out", "run", "--copy", "copy")[0] == 0
    before = tree(lessons)
    status, said = go(*TRAIN, "--out", "second", "--copy", "copy", "--seed", "7")
    after = tree(lessons, "second")
    assert status != 0 and {name: after.get(name) for name in before} == before, said
    (lessons / "here").mkdir()
    for name in ("notes.txt", "pairs.zip"): (lessons / "here" / name).write_text("mine")
    go(*TRAIN, "--out", "here", "--copy", "copy", "--resume")
    after = tree(lessons)
    assert {"here/notes.txt", "here/pairs.zip"} <= set(after) and {name: after[name] for name in before if not name.startswith(("here", "copy"))} == \
        {name: before[name] for name in before if not name.startswith(("here", "copy"))}


def test_what_cannot_be_trained_leaves_nothing(go, lessons):
    for options in (("--crop", "64"), ("--size", "33")):
        status, said = go(*TRAIN, "--out", "run", *options)
        assert status in (1, 2) and not (lessons / "run").exists(), said


# Pairs

def couple(folder, source, target, names=("a",)):
    for name in names:
        save(folder / f"source/{name}.png", source)
        save(folder / f"target/{name}.png", target)
    return folder


SOFT = np.clip(cv2.GaussianBlur(FILM, (0, 0), 3), 0, 1)


def evaluated(go, folder="pairs", *options):
    "What `evaluate` says of a folder whose predictions are its targets."
    status, said = go("evaluate", "--data", folder, "--predictions", f"{folder}/target", "--json", "table.json", *options)
    return status, said, json.loads(Path("table.json").read_text()) if status == 0 else None


def test_figures_do_not_depend_on_the_container(go, tmp_path):
    found = []
    for bits, kind in ((8, np.uint8), (10, np.uint16), (12, np.uint16), (14, np.uint16), (16, np.uint16)):
        couple(tmp_path / str(bits), levels(bits).astype(kind), levels(bits, SOFT).astype(kind))
        found.append(evaluated(go, str(bits))[2]["identity"]["psnr"])
        os.remove("table.json")
    assert np.ptp(found) < 0.2, found


def test_a_pair_has_one_scale(go, tmp_path):
    couple(tmp_path / "pairs", np.uint16(FILM * 4300), np.uint16(np.clip(SOFT, 0, 0.94) * 4300))
    _, said, table = evaluated(go)
    assert table["identity"]["psnr"] > 25, said


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_pair_of_opposite_polarity_is_told_or_turned(side, go, tmp_path):
    source, target = levels(8), levels(8, SOFT)
    couple(tmp_path / "pairs", 255 - source if side == "source" else source, 255 - target if side == "target" else target, "abc")
    status, said, table = evaluated(go)
    assert "polarity" in said or "negative" in said or table["identity"]["psnr"] > 20, said


@pytest.mark.parametrize("shift", [(0, 40), (40, 0), (15, -15)])
def test_shifted_partners_are_told(shift, go, tmp_path):
    couple(tmp_path / "pairs", levels(8), np.roll(levels(8, SOFT), shift, (0, 1)), "abc")
    _, said, _ = evaluated(go)
    assert "shift" in said or "match" in said or "fit" in said or "register" in said, said


def test_shuffled_partners_are_told(go, tmp_path):
    films = [FILM, FILM[:, ::-1], np.roll(FILM, 50, 0)]
    for name, source, target in zip("abc", films, films[1:] + films[:1]):
        save(tmp_path / f"pairs/source/{name}.png", levels(8, source))
        save(tmp_path / f"pairs/target/{name}.png", levels(8, cv2.GaussianBlur(target, (0, 0), 3)))
    status, said, _ = evaluated(go)
    assert "partner" in said or "match" in said or "fit" in said or "same film" in said, said


def test_a_folder_of_pairs_may_be_a_link(go, tmp_path):
    couple(tmp_path / "real", levels(8), levels(8, SOFT))
    (tmp_path / "pairs").mkdir()
    for side in ("source", "target"): (tmp_path / "pairs" / side).symlink_to(tmp_path / "real" / side)
    assert evaluated(go)[2]["n"] == 1


def test_sizes_that_differ_by_a_few_pixels_have_an_option(go, tmp_path):
    couple(tmp_path / "pairs", levels(8), levels(8, SOFT)[:-2, :-1], "ab")
    status, said, _ = evaluated(go)
    assert status == 1 and "--resize-pairs" in said
    assert evaluated(go, "pairs", "--resize-pairs")[2]["n"] == 2


def test_pairs_in_dicom(go, tmp_path):
    for side, film in (("source", FILM), ("target", SOFT)):
        (tmp_path / "pairs" / side).mkdir(parents=True)
        for number in range(2):
            dicom(tmp_path / "pairs" / side / f"f{number}.dcm", levels(12, film), SOPInstanceUID=f"1.2.3.{len(side + side[0])}{number}{len(film)}.{hash(side) % 1000}")
    status, said, table = evaluated(go)
    assert status == 0 and table["n"] == 2 and table["identity"]["psnr"] > 20, said


def test_a_common_ending_of_one_side(go, tmp_path):
    for number in range(30):
        save(tmp_path / f"pairs/source/{number:03}.png", levels(8))
        save(tmp_path / f"pairs/target/{number:03}_bse.png", levels(8, SOFT))
    status, said = go("evaluate", "--data", "pairs", "--predictions", "pairs/target")
    assert (status == 0 or "_bse" in said) and len(said.splitlines()) < 30, said


def test_the_original_films_of_jsrt_as_pairs(go, tmp_path):
    for side, film in (("source", FILM), ("target", SOFT)):
        (tmp_path / "pairs" / side).mkdir(parents=True)
        (tmp_path / "pairs" / side / "JPCLN001.IMG").write_bytes(cv2.resize(levels(12, 1 - film), (2048, 2048)).astype(">u2").tobytes())
    status, said, table = evaluated(go, "pairs", "--size", "256")
    assert status == 0 and table["n"] == 1, said


# Arrays

X = np.float32(FILM)[..., None]
BAD_ARRAYS = {
    "uint8": levels(8)[..., None], "uint16": levels(16)[..., None], "float_0_to_255": X * 255, "float_0_to_4095": X * 4095, "minus_1_to_1": X * 2 - 1, "two_dimensions": X[..., 0],
    "batch": X[None], "colour": np.repeat(X, 3, 2), "float16": X.astype(np.float16), "int": np.ones((64, 64, 1), int), "bool": X > 0.5, "list": X.tolist(), "path": Path("film.png"),
    "text": "film.png", "none": None, "nan": np.where(X == X[5, 5], np.nan, X).astype(np.float32), "inf": hot(X, np.inf), "empty": X[:0], "complex": X.astype(np.complex64), "channel_first": X[..., 0][None],
}


@pytest.mark.parametrize("name", BAD_ARRAYS)
def test_an_array_that_is_no_film_is_told_what_it_is(name, suppressor, tmp_path):
    bad = BAD_ARRAYS[name]
    for call in (lambda: suppressor.suppress(bad), lambda: suppressor.verdict(bad, X), lambda: suppressor.verdict(X, bad), lambda: write_film(tmp_path / "film.png", bad)):
        with pytest.raises(BadInput) as caught: call()
        assert "\n" not in str(caught.value) and "<class" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_two_films_of_different_sizes_have_no_verdict(suppressor):
    with pytest.raises(BadInput): suppressor.verdict(X, X[:100])


def test_paths_may_be_texts(suppressor, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small(tmp_path / "a.png")
    assert "a.png" in str(suppress_file("a.png", "b.png", suppressor))
    assert [result.ok for result in suppress_files("a.png", "out", suppressor)] == [True]
    assert [result.ok for result in suppress_files(Path("a.png"), "out", suppressor)] == [True]


def test_a_file_is_what_its_ending_says(tmp_path):
    try:
        write_film(tmp_path / "x.jpg", X)
        assert (tmp_path / "x.jpg").read_bytes()[:2] == b"\xff\xd8"
    except BadInput as error: assert "png" in str(error).lower()


# The verdict

def test_a_network_that_takes_nothing_away_detects_nothing(suppressor, tmp_path):
    lazy = replace(suppressor, generator=lambda films: films)
    result = suppress_file(save(tmp_path / "film.png", levels(8)), tmp_path / "result.png", lazy)
    assert result.label != DETECTED and "nothing" in str(result).lower() and result.removed < 0.05


def test_the_size_of_the_bone_layer_is_said(suppressor, bone, tmp_path):
    result = suppress_file(save(tmp_path / "film.png", levels(8)), tmp_path / "result.png", suppressor)
    assert abs(result.removed / (100 * np.sqrt((bone**2).mean())) - 1) < 0.05 and f"{result.removed:.1f}" in str(result)


def hand():
    "Five bright rods on black."
    picture = np.zeros(FILM.shape, np.uint8)
    for number, x in enumerate((60, 110, 160, 210, 270)): cv2.line(picture, (160, 300), (x, 40 + 20 * abs(2 - number)), 200, 18)
    return cv2.GaussianBlur(picture, (0, 0), 3) / 255


def letter():
    picture = np.full(FILM.shape, 255, np.uint8)
    for row in range(30, 310, 16): cv2.putText(picture, "Dear colleague, thank you for", (14, row), cv2.FONT_HERSHEY_SIMPLEX, 0.55, 0, 1)
    return picture / 255


NO_CHEST = {"hand": hand(), "letter": letter(), "ramp": np.tile(np.linspace(0, 1, 320), (333, 1)), "vertical_ramp": np.tile(np.linspace(0, 1, 333)[:, None], (1, 320)),
            "noise": np.random.default_rng(0).random(FILM.shape), "disc": (np.hypot(*np.mgrid[-166:167, -160:160]) < 120) * 0.7,
            "checks": np.kron(np.indices((9, 10)).sum(0) % 2, np.ones((37, 32)))[:333] * 0.6 + 0.2}


@pytest.mark.parametrize("name", NO_CHEST)
def test_what_is_no_chest_is_refused_or_done_without_a_score(name, suppressor, tmp_path):
    path = save(tmp_path / "film.png", levels(8, NO_CHEST[name]))
    with pytest.raises(BadImage, match="chest"): open_film(path)
    result = suppress_file(path, tmp_path / "result.png", suppressor, insist=True)
    assert result.ok and result.label != DETECTED and result.score is None


def test_a_suppressed_film_can_be_suppressed_again(suppressor, tmp_path):
    path = save(tmp_path / "film.png", levels(8))
    first = suppress_file(path, tmp_path / "once.png", suppressor)
    again = suppress_file(tmp_path / "once.png", tmp_path / "twice.png", suppressor)
    assert again.ok and again.removed < first.removed


def test_the_page_of_bad_inputs_names_tests_of_this_file():
    page = "\n".join(cell.source for cell in nbformat.read(NBS / "bad_inputs.ipynb", 4).cells)
    named = re.findall(r"^\| .*\| `(test_\w+)` \|$", page, re.M)
    assert len(named) > 30 and {*named} <= {*globals()}
