"""Bad images and folders, by the numbers of the list of faults that the design keeps.

Every broken file is written for real. One run of the command gets all images at once, so that each test also shows that
the others do not keep a film from being done."""
import ctypes, re, shutil, struct, unicodedata, zlib

import cv2, nbformat, numpy as np, pytest
from PIL import Image
from helpers.project import COMMAND, NBS, ROOT, python, run

from bss_gan.images import BadImage, example_film
from bss_gan.dicom import open_film
from bss_gan.files import find_films
from bss_gan.data import BadFolder, Leak, find_pairs, load_pairs, split_by_case

GREY = cv2.resize(cv2.imread(str(example_film()), cv2.IMREAD_UNCHANGED), (160, 160), interpolation=cv2.INTER_AREA)
PNG, JPEG = (cv2.imencode(ending, GREY)[1].tobytes() for ending in (".png", ".jpg"))


def write(path, pixels):
    assert cv2.imwrite(str(path), pixels)


def save(path, image, **options):
    image.save(path, **options)


def turned(path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera lay on its side
    Image.fromarray(GREY[:120]).save(path, exif=exif)


def png(path, side, bits, rows):
    "A grey PNG of side x side pixels, as far as its header says, with so many rows of them, all black."
    def chunk(kind, data): return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    packer, row = zlib.compressobj(9), bytes(1 + side * bits // 8)
    packed = b"".join([packer.compress(row) for _ in range(rows)] + [packer.flush()])
    header = struct.pack(">IIBBBBB", side, side, bits, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b""))


def lie(path):
    "A JPEG of 64 x 64 pixels whose header says 9,000 x 9,000; the decoder would fill up the rest."
    data = bytearray(cv2.imencode(".jpg", GREY[:64, :64])[1])
    struct.pack_into(">HH", data, data.index(b"\xff\xc0") + 5, 9000, 9000)
    path.write_bytes(data)


def flipped(data, at):
    "The file with one bit turned over, at this share of its length."
    position = int(at * len(data))
    return data[:position] + bytes([data[position] ^ 16]) + data[position + 1:]


def not_finite(path):
    pixels = GREY / np.float32(255)
    pixels[7, 7] = np.nan
    write(path, pixels)


# number in the list: file name, how it is made
REFUSED = [
    (1, "bomb.png", lambda path: png(path, 40_000, 1, 40_000)),
    (2, "huge.png", lambda path: png(path, 12_000, 8, 12_000)),
    (2, "header.png", lambda path: png(path, 12_000, 8, 1)),  # what is refused without a look at the pixels needs none
    (2, "lie.jpg", lie),
    (3, "empty.png", lambda path: path.write_bytes(b"")),
    (4, "truncated.png", lambda path: path.write_bytes(PNG[:len(PNG) // 2])),
    (5, "cut.jpg", lambda path: path.write_bytes(JPEG[:len(JPEG) // 2])),
    (6, "bit_off.png", lambda path: path.write_bytes(flipped(PNG, 0.5))),
    (8, "notes.png", lambda path: path.write_text("Patient asked to come back on Monday.")),
    (12, "colour.png", lambda path: write(path, cv2.applyColorMap(GREY, cv2.COLORMAP_JET))),
    (13, "rgba.png", lambda path: write(path, np.dstack([GREY, GREY, GREY, GREY // 2]))),
    (13, "grey_alpha.png", lambda path: save(path, Image.merge("LA", [Image.fromarray(GREY)] * 2))),
    (14, "palette.png", lambda path: save(path, Image.fromarray(GREY).convert("P"))),
    (15, "one_bit.png", lambda path: save(path, Image.fromarray(GREY).convert("1"))),
    (17, "pages.tif", lambda path: save(path, Image.fromarray(GREY), save_all=True, append_images=[Image.fromarray(GREY)])),
    (18, "constant.png", lambda path: write(path, np.full_like(GREY, 7))),
    (19, "nan.tif", not_finite),
    (20, "dot.png", lambda path: write(path, GREY[:1, :1])),
]

# number in the list: file name, how it is made, height and width of the result, its depth
ACCEPTED = [
    (7, "flipped.jpg", lambda path: path.write_bytes(flipped(JPEG, 0.5)), (160, 160), 8),  # nothing in a JPEG tells; a checksum would
    (9, "jpeg_data.png", lambda path: path.write_bytes(JPEG), (160, 160), 8),
    (10, "deep.png", lambda path: write(path, np.uint16(GREY) * 257 + np.arange(160, dtype=np.uint16)), (160, 160), 16),
    (11, "equal_channels.png", lambda path: write(path, np.dstack([GREY] * 3)), (160, 160), 8),
    (16, "turned.jpg", turned, (160, 120), 8),
    (20, "small.png", lambda path: write(path, cv2.resize(GREY, (40, 40))), (40, 40), 8),
    (21, "odd.png", lambda path: write(path, cv2.resize(GREY, (101, 157))), (157, 101), 8),
    (21, "wide.png", lambda path: write(path, cv2.resize(GREY, (1203, 64))), (64, 1203), 8),
]
refused = pytest.mark.parametrize("file, make", [pytest.param(*rest, id=f"{number}-{rest[0]}") for number, *rest in REFUSED])
accepted = pytest.mark.parametrize(
    "file, make, shape, depth", [pytest.param(*rest, id=f"{number}-{rest[0]}") for number, *rest in ACCEPTED])


def obey_permissions():
    "Takes from root the power to read what it may not; anybody else has none to lose."
    for power in (1, 2): ctypes.CDLL(None).prctl(24, power, 0, 0, 0)


@pytest.fixture(scope="module")
def batch(trained, tmp_path_factory):
    "All images above in one folder, an unreadable one and a good one, and what the command made of them."
    folder = tmp_path_factory.mktemp("batch")
    (folder / "in").mkdir()
    for _, file, make, *_ in REFUSED + ACCEPTED: make(folder / "in" / file)
    for file in ("good.png", "locked.png"): write(folder / "in" / file, GREY)
    (folder / "in/locked.png").chmod(0)
    done = run(*COMMAND, "suppress", "in", "--out", "out", "--weights", trained, cwd=folder, status=1, preexec_fn=obey_permissions)
    done.folder = folder / "out"
    return done


@refused
def test_refused_image_raises(file, make, tmp_path):
    make(tmp_path / file)
    with pytest.raises(BadImage, match=file): open_film(tmp_path / file)


@refused
def test_refused_image_is_named_and_leaves_no_output(file, make, batch):
    assert file in batch.stderr
    assert not list(batch.folder.glob(f"*{file.split('.')[0]}*"))


@pytest.mark.parametrize("file", ["1-bomb.png", "2-huge.png", "2-header.png"])
def test_too_many_pixels_are_refused_by_the_header(file, batch):
    line = next(line for line in batch.stderr.splitlines() if file.split("-")[1] in line)
    assert "more than 100,000,000 pixels" in line


@accepted
def test_accepted_image_is_read(file, make, shape, depth, tmp_path):
    make(tmp_path / file)
    film = open_film(tmp_path / file)
    assert (film.raw.numbers.shape, film.xray.dtype, film.raw.depth) == (shape, np.float32, depth)
    assert 0 <= film.xray.min() < film.xray.max() <= 1
    assert bool(film.notes) == (file in {"jpeg_data.png", "turned.jpg"})
    if depth == 16: assert len(np.unique(film.xray)) > 256


@accepted
def test_accepted_image_is_suppressed_in_its_own_size_and_depth(file, make, shape, depth, batch):
    result = cv2.imread(str((batch.folder / file).with_suffix(".png")), cv2.IMREAD_UNCHANGED)
    assert (result.shape, result.dtype) == (shape, np.uint8 if depth == 8 else np.uint16)


def test_one_bad_film_does_not_keep_the_others(batch):
    assert {path.name for path in batch.folder.glob("*.png")} >= {"good.png"}
    assert not [path for path in batch.folder.rglob("*") if "part" in path.name]
    assert "Traceback" not in batch.stdout + batch.stderr


# Folders

def pair_folder(folder, sources, targets=None):
    "A source|target folder with simple films of the given names."
    for side, names in (("source", sources), ("target", sources if targets is None else targets)):
        (folder / side).mkdir(parents=True)
        for name in names: write(folder / side / name, GREY if side == "source" else GREY // 2)
    return folder


def problems(report):
    return {(problem.kind, problem.path.name) for problem in report.problems}


@pytest.mark.parametrize("state", ["missing", "empty"])
def test_45_missing_or_empty_folder(state, tmp_path, trained):
    folder = tmp_path / state
    if state == "empty": folder.mkdir()
    with pytest.raises(BadFolder, match=state): find_pairs(folder)
    for arguments in (["train", "--data", folder, "--out", tmp_path / "run"],
                      ["suppress", folder, "--out", tmp_path / "out", "--weights", trained]):
        done = run(*COMMAND, *arguments, status=1)
        assert str(folder) in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_46_unpaired_films_are_all_listed(tmp_path):
    report = find_pairs(pair_folder(tmp_path, ["a.png", "b.png", "c.png"], ["a.png", "d.png"]))
    assert len(report.pairs) == 1
    assert problems(report) == {("unpaired", "b.png"), ("unpaired", "c.png"), ("unpaired", "d.png")}
    for name in ("b.png", "c.png", "d.png"): assert name in str(report)


def test_47_names_that_differ_in_case_or_extension(tmp_path):
    report = find_pairs(pair_folder(tmp_path, ["A.png", "b.png"], ["a.PNG", "b.jpg"]))
    assert [pair.source.name for pair in report.pairs] == ["A.png", "b.png"]
    assert problems(report) == {("name", "A.png"), ("name", "b.png")}


def test_48_pair_of_different_size(tmp_path):
    folder = pair_folder(tmp_path, ["a.png", "b.png"])
    write(folder / "target/b.png", GREY[:150])
    report = find_pairs(folder)
    assert ([pair.source.name for pair in report.pairs], problems(report)) == (["a.png"], {("size", "b.png")})
    xray, soft = load_pairs(find_pairs(folder, resize_pairs=True).pairs, size=64)
    assert xray.shape == soft.shape == (2, 64, 64, 1)


def test_49_source_and_target_the_same_bytes(tmp_path):
    folder = pair_folder(tmp_path, ["a.png", "b.png"])
    shutil.copy(folder / "source/b.png", folder / "target/b.png")
    assert problems(find_pairs(folder)) == {("same bytes", "b.png")}


def test_50_copy_left_by_drive(tmp_path):
    report = find_pairs(pair_folder(tmp_path, ["img.png", "img (1).png"]))
    assert [pair.source.name for pair in report.pairs] == ["img.png"]
    assert problems(report) == {("copy", "img (1).png")}


def test_51_hidden_and_system_files(tmp_path):
    folder = pair_folder(tmp_path, ["a.png"])
    hidden = [".DS_Store", "Thumbs.db", "._a.png"]
    for name in hidden: (folder / "source" / name).write_bytes(b"\0")
    report = find_pairs(folder)
    assert (len(report.pairs), report.problems, len(report.ignored)) == (1, (), 3)
    assert [path.name for path in find_films(folder / "source")[0]] == ["a.png"]
    assert "3 hidden or system files" in str(report)


def test_52_names_beyond_ascii(tmp_path, trained):
    composed, decomposed = (unicodedata.normalize(form, "Thorax Müller é.png") for form in ("NFC", "NFD"))
    folder = pair_folder(tmp_path / "Röntgen Bilder", [composed, "胸部 X線.png"], [decomposed, "胸部 X線.png"])
    report = find_pairs(folder)
    assert (len(report.pairs), report.problems) == (2, ())
    run(*COMMAND, "suppress", folder / "source", "--out", tmp_path / "entknöchert", "--weights", trained)
    assert {path.name for path in (tmp_path / "entknöchert").glob("*.png")} == {composed, "胸部 X線.png"}


def test_53_links_in_a_circle_and_out_of_the_folder(tmp_path, trained):
    folder, outside = tmp_path / "in", tmp_path / "elsewhere"
    for place in (folder, outside):
        place.mkdir()
        write(place / "good.png", GREY)
    for name, target in (("secret.png", outside / "good.png"), ("circle.png", "circle.png"), ("again", "."), ("away", outside)):
        (folder / name).symlink_to(target)
    done = run(*COMMAND, "suppress", folder, "--out", tmp_path / "out", "--weights", trained)
    assert "circle.png: is a link that leads nowhere" in done.stdout and "again, away" in done.stdout
    assert "Traceback" not in done.stderr and sorted(path.name for path in (tmp_path / "out").glob("*.png")) == ["good.png", "secret.png"]
    for side in ("source", "target"): shutil.copytree(folder, tmp_path / "pairs" / side, symlinks=True)
    report = find_pairs(tmp_path / "pairs")
    assert [pair.source.name for pair in report.pairs] == ["good.png", "secret.png"]


def test_55_two_films_with_one_output_name(tmp_path, trained):
    (tmp_path / "in").mkdir()
    for name in ("a.png", "a.jpg", "b.png"): write(tmp_path / "in" / name, GREY)
    done = run(*COMMAND, "suppress", "in", "--out", "out", "--weights", trained, cwd=tmp_path, status=1)
    assert "a.png" in done.stderr and "a.jpg" in done.stderr
    assert (tmp_path / "out/b.png").is_file()


def test_56_unreadable_file(batch, tmp_path):
    assert "locked.png" in batch.stderr and not (batch.folder / "locked.png").exists()
    (tmp_path / "film.png").symlink_to("film.png")  # a link to itself cannot be read by anybody, not even root
    with pytest.raises(BadImage, match="film.png"): open_film(tmp_path / "film.png")


def test_57_file_that_vanishes_half_way(tmp_path):
    folder = pair_folder(tmp_path, ["a.png", "b.png"])
    pairs = find_pairs(folder).pairs
    (folder / "source/b.png").unlink()
    with pytest.raises(BadFolder, match="b.png"): load_pairs(pairs, size=64)


def test_57_film_that_vanishes_while_others_are_suppressed(tmp_path, trained):
    from bss_gan.testing import load_suppressor, suppress_files
    names = [f"{number:02}.png" for number in range(40)]  # a few are done at the same time
    folder = pair_folder(tmp_path, names) / "source"

    def remove_the_last(result, done, total):
        if done == 1: (folder / names[-1]).unlink()

    results = suppress_files([folder], tmp_path / "out", load_suppressor(trained), progress=remove_the_last)
    assert [(result.source.name, result.ok) for result in results] == [(name, name != names[-1]) for name in names]
    assert names[-1] in results[-1].message
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == names[:-1]


def test_58_output_folder_inside_the_input_folder(tmp_path, trained):
    (tmp_path / "in").mkdir()
    write(tmp_path / "in/a.png", GREY)
    before = (tmp_path / "in/a.png").read_bytes()
    for out in ("in", "in/out"):
        done = run(*COMMAND, "suppress", "in", "--out", out, "--weights", trained, cwd=tmp_path, status=1)
        assert "Choose an output folder" in done.stderr
    assert (tmp_path / "in/a.png").read_bytes() == before
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["a.png"]


def test_63_one_patient_in_training_and_validation(tmp_path):
    for part in ("train", "val"):
        for side in ("JSRT", "BSE_JSRT"):
            (tmp_path / part / side).mkdir(parents=True)
            for name in ("JPCLN001_0.png", f"JPCNN00{len(part)}_0.png"): write(tmp_path / part / side / name, GREY)
    with pytest.raises(Leak, match="JPCLN001"): split_by_case(find_pairs(tmp_path).pairs)
    done = run(*COMMAND, "train", "--data", tmp_path, "--out", tmp_path / "run", status=1)
    assert "JPCLN001" in done.stderr and not (tmp_path / "run/generator.weights.h5").exists()


# The page that lists all cases

PAGE = nbformat.read(NBS / "bad_inputs.ipynb", 4)
ROWS = re.findall(r"^\| (\d+) \|.*\| `(test_\w+\.py)`(?: `(\w+)`)? \|$", "\n".join(cell.source for cell in PAGE.cells), re.M)


def test_the_page_lists_every_case_once():
    assert [int(number) for number, *_ in ROWS] == list(range(1, 76))


@pytest.mark.parametrize("file", sorted({file for _, file, _ in ROWS}))
def test_every_test_that_the_page_names_exists(file):
    listed = python("-m", "pytest", "--collect-only", "-q", next((ROOT / "tests").rglob(file)), cwd=ROOT).stdout
    for number, _, test in (row for row in ROWS if row[1] == file):
        carry_it = [line for line in listed.splitlines() if re.search(rf"(?<!\d){number}(?!\d)", line.partition("::")[2]) and test in line]
        assert carry_it, f"no test in {file} carries {number} and is called {test or 'anything'}"
