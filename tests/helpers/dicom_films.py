"""One chest in DICOM files of every kind."""
import struct

import cv2, imagecodecs, numpy as np, pytest
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate

from bss_gan.images import decode_image, example_film

GREY = cv2.resize(decode_image(example_film()).grey, (200, 180), interpolation=cv2.INTER_AREA)  # (180, 200), bone-bright
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
    "A film with all elements that its kind requires; `more` are further ones, and None removes one."
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
    "Writes a data set even if it is faulty."
    film.file_meta.MediaStorageSOPClassUID = film.get("SOPClassUID", CLASSES["CR"])
    film.file_meta.MediaStorageSOPInstanceUID = film.get("SOPInstanceUID") or "1.2.3"
    syntax = film.file_meta.TransferSyntaxUID
    film.save_as(path, implicit_vr=syntax == uid.ImplicitVRLittleEndian, little_endian=syntax != uid.ExplicitVRBigEndian, enforce_file_format=True)
    return path


def make(path, **options):
    return save(path, dataset(**options))


def bare(syntax):
    def compress(film):
        film.file_meta.TransferSyntaxUID = syntax
        return film
    return compress


def curve(descriptor, values, words=False):
    "An item of a VOI LUT sequence, its values as numbers or as bytes."
    lut = item(LUTDescriptor=descriptor)
    lut.add_new("LUTData", *(("OW", np.array(values, "<u2").tobytes()) if words else ("US", [int(value) for value in values])))
    return lut


WINDOW = dict(WindowCenter=2048, WindowWidth=4096)
GREY12 = np.round(GREY * 4095).astype("<u2")


def film12(numbers=GREY12, **more):
    "The chest as a positive of 12 bits in 16, or any other numbers in its place."
    film = dataset("CR", 12, negative=False, **more)
    film.PixelData = np.ascontiguousarray(numbers).tobytes()
    return film


def by_runs(numbers, **more):
    "Run-length codes numbers by hand, because pydicom would mask them first."
    planes = [imagecodecs.packbits_encode(np.ascontiguousarray(plane, np.uint8)) for plane in (numbers >> 8, numbers & 255)]
    planes = [plane + b"\0" * (len(plane) % 2) for plane in planes]
    film = film12(**more)
    film.PixelData = encapsulate([struct.pack("<16L", 2, 64, 64 + len(planes[0]), *[0] * 13) + b"".join(planes)])
    return streamed(film, uid.RLELossless)


def streamed(film, syntax):
    film["PixelData"].VR, film.file_meta.TransferSyntaxUID = "OB", uid.UID(syntax)
    return film


def by(encode, numbers, syntax, more=None, **options):
    film = film12(**(more or {}))
    film.PixelData = encapsulate([encode(np.ascontiguousarray(numbers), **options)])
    return streamed(film, syntax)


def by_ls(numbers, **more): return by(imagecodecs.jpegls_encode, numbers, uid.JPEGLSLossless, more)


def by_j2k(numbers, **more): return by(imagecodecs.jpeg2k_encode, numbers, uid.JPEG2000Lossless, more, reversible=True, codecformat="j2k")


def with_marker(numbers):
    numbers = numbers.copy()
    numbers[5:12, 5:20] = 65535
    return numbers


def table_of(descriptor, numbers, **more):
    return film12(VOILUTSequence=[curve(descriptor, numbers)], **more)


def packed(name, film, change):
    "Builds a film, then changes the bytes of its file."
    def build(path):
        save(path, film)
        path.write_bytes(change(path.read_bytes()))
    return pytest.param(build, None, id=name)


def bare_set(data): return data[144 + int.from_bytes(data[140:144], "little"):]


NUMBERS = np.arange(4096)
SIGNED = (GREY12.astype(int) - 2048).astype("<i2")
WIDE = dict(BitsStored=16, HighBit=15)
JPEG8 = (imagecodecs.jpeg8_encode, np.round(GREY * 255).astype(np.uint8), uid.JPEGBaseline8Bit)

SAME_CHEST = {
    "63-shifted_raw": (film12(GREY12 << 4, HighBit=15, **WINDOW), None), "63-shifted_rle": (by_runs(GREY12 << 4, HighBit=15, **WINDOW), None),
    "64-shifted_jpeg_ls": (by_ls(GREY12 << 4, HighBit=15, **WINDOW), None), "64-shifted_jpeg_2000": (by_j2k(GREY12 << 4, HighBit=15, **WINDOW), None),
    "63-shifted_untold": (film12(GREY12 << 4, **WINDOW), "from bit 4"), "63-shifted_untold_rle": (by_runs(GREY12 << 4, **WINDOW), "from bit 4"),
    "63-told_but_not_shifted": (film12(GREY12, HighBit=15, **WINDOW), "from bit 0"),
    "63-told_but_not_shifted_jpeg_ls": (by_ls(GREY12, HighBit=15, **WINDOW), "from bit 0"),
    "63-14_bits_stored_12": (film12(np.round(GREY * 16383).astype("<u2")), "14 bits"), "63-12_bits_stored_8": (film12(BitsStored=8, HighBit=7), "12 bits"),
    "63-bytes_swapped": (film12(GREY12.byteswap(), **WINDOW), "wrong order"),
    "68-8_bit_stream_stored_12": (by(*JPEG8, {}, level=98), "8 of 12 bits"), "68-8_bit_stream_and_window_of_12": (by(*JPEG8, WINDOW, level=98), "left out"),
    "70-signed_told_unsigned": (film12(SIGNED), "signed"), "70-signed_stream_told_unsigned": (by_j2k(SIGNED), "signed"),
    "70-unsigned_told_signed": (film12(PixelRepresentation=1, **WINDOW), "signed"),
    "70-unsigned_stream_told_signed": (by_j2k(GREY12, PixelRepresentation=1), "signed"),
    "21-marker": (film12(with_marker(GREY12 >> 2), **WIDE), "white taken as 1023"), "21-marker_12": (film12(with_marker(GREY12), **WIDE), "white taken as 4095"),
    "23-values_to_100": (dataset("CR", 8, negative=False, xray=GREY * 100 / 255), "shown from"),
    "39-agfa": (table_of([4096, 0, 16], NUMBERS), None), "39-agfa_10": (table_of([4096, 0, 16], NUMBERS // 4), None), "39-8_bits_told": (table_of([4096, 0, 8], NUMBERS), None),
    "46-no_data": (film12(VOILUTSequence=[item(LUTDescriptor=[4096, 0, 12])], **WINDOW), "VOI LUT"),
    "46-empty_item": (film12(VOILUTSequence=[Dataset()], **WINDOW), "VOI LUT"), "46-no_items": (film12(VOILUTSequence=[], **WINDOW), None),
    "47-modality_lut_12": (film12(ModalityLUTSequence=[curve([4096, 0, 12], NUMBERS)], **WINDOW), None),
    "47-modality_lut_10": (film12(ModalityLUTSequence=[curve([4096, 0, 10], NUMBERS // 4)], WindowCenter=512, WindowWidth=1024), None),
    "47-modality_lut_empty": (film12(ModalityLUTSequence=[Dataset()], **WINDOW), "Modality LUT"),
    "49-rescale_empty": (film12(RescaleSlope="", RescaleIntercept="", **WINDOW), None),
    "56-window_white": (film12(WindowCenter=128, WindowWidth=256), "left out"), "56-window_black": (film12(WindowCenter=30000, WindowWidth=256), "left out"),
    "56-window_flat": (film12(WindowCenter=2048, WindowWidth=1e6), "left out"), "56-second_window": (film12(WindowCenter=[40, 2048], WindowWidth=[80, 4096]), "left out"),
    "56-no_width": (film12(WindowCenter=2048), "window"), "56-width_0": (film12(WindowCenter=2048, WindowWidth=0), "window"),
    "56-width_negative": (film12(WindowCenter=2048, WindowWidth=-4096), "window"),
    "76-fragments_of_bare_pixels": (by(np.ndarray.tobytes, GREY12, "1.2.840.10008.1.2.1.98", WINDOW), None),
    "84-excess": (film12(np.append(GREY12, np.zeros(500, "<u2")), **WINDOW), None), "87-big_endian": (None, None),
    **{f"92-{name}": (film12(PhotometricInterpretation=name, **WINDOW), None) for name in ("monochrome2", "Monochrome2", "MONOCHROME 2")},
    "38-aspect": (film12(PixelAspectRatio=[2, 1], **WINDOW), "not square"), "38-spacing": (film12(**WINDOW, ImagerPixelSpacing=[0.4, 0.2]), "not square"),
}
BYTES = [
    packed("82-zeros_behind", film12(**WINDOW), lambda data: data + bytes(512)), packed("82-rubbish_behind", film12(**WINDOW), lambda data: data + b"the end" * 9),
    packed("86-no_preamble", film12(**WINDOW), lambda data: data[132:]), packed("86-only_letters", film12(**WINDOW), lambda data: data[128:]),
    packed("86-bare", film12(**WINDOW), bare_set), packed("86-bare_implicit", bare(uid.ImplicitVRLittleEndian)(film12(**WINDOW)), bare_set),
    packed("88-no_group_2", film12(**WINDOW), lambda data: data[:132] + bare_set(data)),
    packed("53-comma", film12(WindowCenter="2048.5", WindowWidth="4096.5"), lambda data: data.replace(b"2048.5", b"2048,5")),
    packed("53-word", film12(WindowCenter="204812", WindowWidth="4096"), lambda data: data.replace(b"204812", b"normal")),
    packed("49-word", film12(RescaleSlope="123456", **WINDOW), lambda data: data.replace(b"123456", b"linear")),
    packed("87-deflated_with_padding", bare(uid.DeflatedExplicitVRLittleEndian)(film12(**WINDOW)), lambda data: data + bytes(513)),
]


def built(film, note):
    if film is None: film = swapped_words(bare(uid.ExplicitVRBigEndian)(film12(VOILUTSequence=[curve([4096, 0, 12], NUMBERS, words=True)])))
    return lambda path: save(path, film), note


def swapped_words(film):
    "Swaps the bytes of OW elements for a big-endian file; pydicom leaves that to its caller."
    for element in film.iterall():
        if element.VR == "OW": element.value = np.frombuffer(element.value, "<u2").astype(">u2").tobytes()
    return film


def renamed(path, film, kind):
    "Writes a compressed film under the name of a transfer syntax that pydicom does not write."
    data = save(path, streamed(film, uid.HTJ2KLossless)).read_bytes()
    path.write_bytes(data.replace(b"1.2.840.10008.1.2.4.201", f"1.2.840.10008.1.2.4.{kind}".encode(), 1))
    return path
