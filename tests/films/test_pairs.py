"""Pairs as people have them: different depths, files and names. Partners that don't belong together are reported before training."""
import json, re, shutil, warnings

import cv2, numpy as np, pydicom, pytest
from helpers.project import COMMAND, run
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset

from bss_gan.data import find_pairs, load_pairs, read_pair

SIDES = ("source", "target")


def grey(pairs, side):
    "The simulated films of one side as (name, (H, W) float in [0, 1])."
    films = [(path.stem, cv2.imread(str(path), cv2.IMREAD_UNCHANGED)) for path in sorted((pairs / side).glob("*.png"))[:4]]
    return [(name, film / np.iinfo(film.dtype).max) for name, film in films]


def rewrite(pairs, folder, save):
    "A folder of pairs whose films `save(side, path without ending, grey)` writes."
    for side in SIDES:
        (folder / side).mkdir(parents=True)
        for name, film in grey(pairs, side): save(side, folder / side / name, film)
    return folder


def save_png(path, film, bits):
    assert cv2.imwrite(f"{path}.png", np.round(film * (2**bits - 1)).astype(np.uint8 if bits == 8 else np.uint16))


def save_dicom(path, film, **more):
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID, data.file_meta.MediaStorageSOPClassUID = uid.ExplicitVRLittleEndian, uid.ComputedRadiographyImageStorage
    data.SOPClassUID, data.Modality, data.BodyPartExamined, data.ViewPosition = uid.ComputedRadiographyImageStorage, "CR", "CHEST", "PA"
    data.SOPInstanceUID, data.StudyInstanceUID, data.SeriesInstanceUID = (uid.generate_uid() for _ in range(3))
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.Rows, data.Columns = film.shape
    data.SamplesPerPixel, data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 1, 16, 12, 11, 0
    data.PhotometricInterpretation = "MONOCHROME2"
    for name, value in more.items(): setattr(data, name, value)
    numbers = np.round((1 - film if data.PhotometricInterpretation == "MONOCHROME1" else film) * 4095)
    data.PixelData = numbers.astype("<u2").tobytes()
    data.save_as(f"{path}.dcm", enforce_file_format=True)


def identity(folder):
    "Mean PSNR of the X-rays against their targets, in decibels."
    films = [read_pair(pair) for pair in find_pairs(folder).pairs]
    assert len(films) == 4
    return float(np.mean([-10 * np.log10(((xray - soft) ** 2).mean()) for xray, soft in films]))


def told(folder, **options):
    "The warnings when the pairs of a folder are loaded."
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load_pairs(find_pairs(folder, **options).pairs, 64)
    return [str(warning.message) for warning in caught]


@pytest.fixture(scope="module")
def plain(pairs, tmp_path_factory):
    "Four simulated pairs of 8 bits and their identity."
    folder = rewrite(pairs, tmp_path_factory.mktemp("plain"), lambda side, path, film: save_png(path, film, 8))
    return folder, identity(folder)


# One scale

@pytest.mark.parametrize("bits", [(9, 9), (10, 10), (11, 11), (12, 12), (13, 13), (14, 14), (15, 15), (16, 16), (8, 16), (16, 8), (8, 12)])
def test_a_pair_counts_alike_in_every_depth(bits, pairs, plain, tmp_path):
    folder = rewrite(pairs, tmp_path / "pairs", lambda side, path, film: save_png(path, film, bits[side == "target"]))
    assert abs(identity(folder) - plain[1]) < 0.1


def test_a_target_whose_numbers_fit_into_fewer_bits_is_not_read_brighter(pairs, plain, tmp_path):
    white = {"source": 1.0, "target": 0.92}  # 4300 and 3956 at most: the target alone would pass for 12 bits
    def save(side, path, film): assert cv2.imwrite(f"{path}.png", np.uint16(np.round(4300 * white[side] * film)))
    folder = rewrite(pairs, tmp_path / "pairs", save)
    for pair in find_pairs(folder).pairs:
        xray, soft = read_pair(pair)
        assert 0.8 < soft.mean() / xray.mean() < 1.1
    assert told(folder) == []


def test_the_depth_does_not_change_an_evaluation(pairs, plain, tmp_path):
    deep = rewrite(pairs, tmp_path / "pairs", lambda side, path, film: save_png(path, film, 14))
    figures = []
    for folder in (plain[0], deep):
        done = run(*COMMAND, "evaluate", "--data", folder, "--predictions", folder / "source", "--json", tmp_path / "report.json")
        figures.append(json.loads((tmp_path / "report.json").read_text())["identity"])
    assert abs(figures[0]["psnr"] - figures[1]["psnr"]) < 0.1 and abs(figures[0]["ssim"] - figures[1]["ssim"]) < 0.01, done.stdout


# Partners that do not belong together

def test_true_pairs_are_not_doubted(plain):
    assert told(plain[0]) == []


@pytest.mark.parametrize("negative", SIDES)
def test_opposite_polarity_is_turned_over_and_told(negative, pairs, plain, tmp_path):
    folder = rewrite(pairs, tmp_path / "pairs", lambda side, path, film: save_png(path, 1 - film if side == negative else film, 8))
    assert abs(identity(folder) - plain[1]) < 0.1
    (line,) = told(folder)
    assert line.startswith("4 of 4 pairs: the target is a negative of its X-ray; it was turned over")


def test_shuffled_partners_are_told(plain, tmp_path):
    folder = tmp_path / "pairs"
    shutil.copytree(plain[0], folder)
    names = sorted(path.name for path in (folder / "target").glob("*.png"))
    for name, other in zip(names, names[1:] + names[:1]): shutil.copy(plain[0] / "target" / other, folder / "target" / name)
    (line,) = told(folder)
    assert line.startswith("4 of 4 pairs: X-ray and target do not show the same film") and names[0] in line and "and 1 more" in line


@pytest.mark.parametrize("pixels", [2, 4, 12])
def test_a_shift_between_source_and_target_is_told(pixels, pairs, tmp_path):
    def save(side, path, film): save_png(path, film[:, pixels:] if side == "source" else film[:, :-pixels], 8)
    (line,) = told(rewrite(pairs, tmp_path / "pairs", save))
    assert line.startswith("4 of 4 pairs: the target is shifted against its X-ray")


def test_swapped_folders_are_told(plain, tmp_path):
    for side, other in zip(SIDES, SIDES[::-1]): shutil.copytree(plain[0] / side, tmp_path / other)
    (line,) = told(tmp_path)
    assert "the two folders look swapped" in line


def test_films_that_are_no_chest_are_told_and_used(tmp_path):
    letter = np.full((300, 220), 230, np.uint8)
    for row in range(12): cv2.putText(letter, "Dear colleague, thank you", (10, 30 + 20 * row), cv2.FONT_HERSHEY_PLAIN, 0.9, 20)
    for side in SIDES:
        (tmp_path / side).mkdir()
        cv2.imwrite(str(tmp_path / side / "letter.png"), letter)
    assert any("does not look like a frontal chest film" in line and "letter.png" in line for line in told(tmp_path))


def test_training_tells_before_it_starts(plain, tmp_path):
    folder = tmp_path / "pairs"
    shutil.copytree(plain[0], folder)
    names = sorted(path.name for path in (folder / "target").glob("*.png"))
    for name, other in zip(names, names[1:] + names[:1]): shutil.copy(plain[0] / "target" / other, folder / "target" / name)
    done = run(*COMMAND, "train", "--data", folder, "--out", tmp_path / "run", "--preset", "baseline", "--epochs", "1")
    assert "pairs: X-ray and target do not show the same film" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


# Other files

@pytest.mark.parametrize("source, target", [({}, {}), ({}, {"PhotometricInterpretation": "MONOCHROME1"}),
                                            ({"PhotometricInterpretation": "MONOCHROME1"}, {"PhotometricInterpretation": "MONOCHROME1"}),
                                            ({"WindowCenter": 2048, "WindowWidth": 4096}, {})])
def test_dicom_pairs_are_read(source, target, pairs, plain, tmp_path):
    folder = rewrite(pairs, tmp_path / "pairs", lambda side, path, film: save_dicom(path, film, **(source if side == "source" else target)))
    report = find_pairs(folder)
    assert (len(report.pairs), report.problems) == (4, ())
    assert abs(identity(folder) - plain[1]) < 0.1


def test_dicom_and_png_make_a_pair(pairs, plain, tmp_path):
    folder = rewrite(pairs, tmp_path / "pairs", lambda side, path, film: save_dicom(path, film) if side == "source" else save_png(path, film, 8))
    assert abs(identity(folder) - plain[1]) < 0.1


def test_dicom_without_an_ending_makes_a_pair(pairs, plain, tmp_path):
    folder = rewrite(pairs, tmp_path / "pairs", lambda side, path, film: save_dicom(path, film))
    for path in folder.rglob("*.dcm"): path.rename(path.with_suffix(""))
    assert len(find_pairs(folder).pairs) == 4


def test_original_jsrt_files_make_pairs(pairs, tmp_path):
    "2048 x 2048 numbers of 12 bits, the larger byte first, no header, bone dark."
    for side in SIDES:
        (tmp_path / side).mkdir()
        for k, (_, film) in enumerate(grey(pairs, side)[:2], 1):
            large = cv2.resize(film, (2048, 2048), interpolation=cv2.INTER_CUBIC).clip(0, 1)
            (tmp_path / side / f"JPCLN00{k}.IMG").write_bytes(np.round((1 - large) * 4095).astype(">u2").tobytes())
    report = find_pairs(tmp_path)
    assert ([pair.case for pair in report.pairs], report.problems) == (["JPCLN001", "JPCLN002"], ())
    xray, soft = read_pair(report.pairs[0], 128)
    assert abs(xray[..., 0] - grey(pairs, "source")[0][1]).mean() < 0.02 and abs(soft[..., 0] - grey(pairs, "target")[0][1]).mean() < 0.02


# Names and folders

@pytest.mark.parametrize("source, target, said", [("{}", "{}_bse", '"_bse" at the end'), ("{}_source", "{}_target", '"_source" and "_target" at the end'),
                                                  ("cxr-{}", "soft-{}", '"cxr-" and "soft-" at the start'), ("{}", "{} (no bone)", '" (no bone)" at the end'),
                                                  ("{}", "{}bse", '"bse" at the end'), ("IMG {} raw", "IMG {}", '" raw" at the end')])
def test_a_mark_on_one_side_is_recognised_and_told_in_one_line(source, target, said, plain, tmp_path):
    films = {side: next((plain[0] / side).glob("*.png")) for side in SIDES}
    for side, name in zip(SIDES, (source, target)):
        (tmp_path / side).mkdir()
        for number in range(1, 41): shutil.copy(films[side], tmp_path / side / f"{name.format(number)}.png")
    report = find_pairs(tmp_path)
    numbers = [(re.search(r"\d+", pair.source.stem)[0], re.search(r"\d+", pair.target.stem)[0]) for pair in report.pairs]
    assert len(numbers) == 40 and all(number == other for number, other in numbers)
    assert said in str(report) and len(str(report).splitlines()) == 3


def test_a_long_list_of_problems_is_summarised(plain, tmp_path):
    for side in SIDES:
        shutil.copytree(plain[0] / side, tmp_path / side)
        film = next((plain[0] / side).glob("*.png"))
        for number in range(400): shutil.copy(film, tmp_path / side / f"{number if side == 'source' else f'x{number * 7}y'}.png")
    report = find_pairs(tmp_path)
    assert len(report.pairs) == 4 and len(report.problems) == 800
    assert "and 797 more" in str(report) and len(str(report).splitlines()) < 10


def test_links_to_folders_are_followed_and_loops_are_not(plain, tmp_path):
    (tmp_path / "data").mkdir()
    for side in SIDES: (tmp_path / "data" / side).symlink_to(plain[0] / side)
    (tmp_path / "data/again").symlink_to(tmp_path / "data")
    (tmp_path / "link").symlink_to(tmp_path / "data")
    (tmp_path / "outer").mkdir()
    (tmp_path / "outer/data").symlink_to(tmp_path / "data")
    for folder in ("data", "link", "outer"):
        report = find_pairs(tmp_path / folder)
        assert (len(report.pairs), report.problems) == (4, ()), folder


def test_sizes_that_differ_have_an_option(pairs, tmp_path):
    folder = rewrite(pairs, tmp_path / "pairs", lambda side, path, film: save_png(path, film if side == "source" else film[:-1, :-1], 8))
    for command in (["train", "--preset", "baseline", "--epochs", "1", "--out", tmp_path / "run"], ["evaluate", "--predictions", folder / "source"]):
        done = run(*COMMAND, command[0], "--data", folder, *command[1:], status=1)
        assert "--resize-pairs" in done.stderr and "find_pairs(" not in done.stderr
        run(*COMMAND, command[0], "--data", folder, *command[1:], "--resize-pairs")
    assert told(folder, resize_pairs=True) == []
