"""The page on which the generator can be tried, in a real Chromium: films in, films out as the library makes them, and nothing said to anybody else.

The build is that of the documentation site. Nothing that the browser sends to another host gets anywhere; all of it is written down."""
import base64, functools, http.server, os, re, threading, zlib
from dataclasses import replace
from pathlib import Path

import cv2, imagecodecs, numpy as np, pytest
from axe_playwright_python.base import AXE_FILE_PATH
from PIL import Image
from pydicom import uid
from pydicom.encaps import encapsulate

from helpers.project import NBS, ROOT, documented_lines, run, tool
from helpers.dicom_films import BYTES, GREY, SAME_CHEST, built, dataset, film12, renamed, save

from bss_gan.images import example_film, resize, write_film
from bss_gan.dicom import decode_dicom, open_film
from bss_gan.testing import _to_working_size, load_suppressor, suppress_file

FILM = open_film(example_film()).xray  # (666, 640, 1), bone-bright
STEP = 2 / 255                         # how far a grey value may be from what the library finds
OWN = ("update.googleapis.com", "accounts.google.com", "clients2.google.com")  # what Chromium itself asks for when it starts


class Plain(http.server.SimpleHTTPRequestHandler):
    "A server of plain files, as a site has it, that counts."
    def log_message(self, *args): pass

    def do_GET(self):
        path = Path(self.translate_path(self.path))
        self.server.sent.append((self.path, path.stat().st_size if path.is_file() else 0))
        super().do_GET()


class Elsewhere(http.server.BaseHTTPRequestHandler):
    "All other hosts: a proxy that lets nothing through."
    def log_message(self, *args): pass

    def do_GET(self):
        if not any(host in self.path for host in OWN): self.server.sent.append(self.path)
        self.send_error(502)

    do_POST = do_CONNECT = do_HEAD = do_PUT = do_OPTIONS = do_GET


@pytest.fixture(scope="session")
def serve():
    "Starts a server on a free port; all stop in the end."
    started = []

    def start(handler):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.sent = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        started.append(server)
        return server
    yield start
    for server in started: server.shutdown()


@pytest.fixture(scope="session")
def site(serve, made_once):
    "The server of a folder that holds the page as `demo`: made by the line of CONTRIBUTING, or that of BSS_GAN_SITE, which saves a minute."
    def build(folder):
        (folder / ".ci").symlink_to(ROOT / ".ci")
        run("bash", "-euc", documented_lines("tests/site/test_demo.py"), cwd=folder, env={"PATH": f"{tool('python').parent}:{os.environ['PATH']}"})

    folder = Path(os.environ["BSS_GAN_SITE"]) if "BSS_GAN_SITE" in os.environ else made_once("demo", build) / "_proc/_docs"
    return serve(functools.partial(Plain, directory=folder))


@pytest.fixture(scope="session")
def elsewhere(serve):
    return serve(Elsewhere)


@pytest.fixture(scope="session")
def browser(elsewhere, start_chromium):
    "A Chromium for which every other host is behind the proxy."
    return start_chromium(f"--proxy-server=127.0.0.1:{elsewhere.server_port}")


def visit(browser, site, **options):
    "The page in a fresh profile, with what goes wrong on it."
    page = browser.new_context(accept_downloads=True, **options).new_page()
    page.set_default_timeout(60_000)
    page.faults = []
    page.on("console", lambda message: page.faults.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.goto(f"http://127.0.0.1:{site.server_port}/demo/")
    page.wait_for_selector("#samples button:nth-child(3)")
    return page


@pytest.fixture(scope="module")
def opened(browser, site):
    "One visit for many films."
    page = visit(browser, site)
    yield page
    page.context.close()


@pytest.fixture
def page(opened, elsewhere):
    "The visit; whatever a test does, nothing may go wrong behind the reader's back, and nothing to another host."
    opened.faults.clear()
    yield opened
    assert opened.faults == [] and elsewhere.sent == []


@pytest.fixture(scope="module")
def suppressor():
    return load_suppressor("chest-v1")


def give(page, file):
    "Hands a file over and waits for the result."
    page.set_input_files("#file", file)
    done(page)


def done(page):
    said = answer(page)
    assert page.locator("#error").is_hidden(), said


def answer(page):
    "Waits for a result or a refusal; what the refusal says."
    page.wait_for_selector("#save:disabled", state="attached")
    page.wait_for_selector("#save:enabled, #error:not([hidden])")
    return page.locator("#error p").inner_text()


def saved(page, folder):
    "What the reader gets from the button."
    with page.expect_download() as waited: page.click("#save")
    path = folder / "saved" / waited.value.suggested_filename
    waited.value.save_as(path)
    page.wait_for_selector("#save:enabled")
    return path, cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def refusal(page, file):
    "What the page says of a file that it does not take."
    page.set_input_files("#file", file)
    said = answer(page)
    assert page.locator("#error").is_visible() and page.locator("#save").is_disabled()
    return said


# Films

def png(path, xray, depth=8, **options):
    return write_film(path.with_suffix(".png"), xray, depth, **options)


def jpeg(path, xray, **options):
    path = path.with_suffix(".jpg")
    Image.fromarray(np.uint8(np.round(255 * xray[..., 0]))).save(path, quality=92, **options)
    return path


def dicom(path, syntax=uid.ExplicitVRLittleEndian, encode=None, **options):
    film = dataset(**options)
    if encode:
        film.PixelData = encapsulate([bytes(encode(film.pixel_array))])
        film["PixelData"].VR = "OB"
    film.file_meta.TransferSyntaxUID = syntax
    return save(path.with_suffix(".dcm"), film)


def stored(path, numbers):
    "A PNG that holds these numbers, of 8 or 16 bits."
    path = path.with_suffix(".png")
    cv2.imwrite(str(path), numbers)
    return path


def levels(bits, xray=FILM):
    "The film in so many bits, in 16."
    return np.uint16(np.round(xray[..., 0] * (2**bits - 1)))


def marked(numbers, value=65535):
    "The film with a letter burned into a corner."
    numbers = numbers.copy()
    numbers[10:40, 20:60] = value
    return numbers


def hot(numbers, value=65535):
    "The film with a broken pixel."
    numbers = numbers.copy()
    numbers[300, 200] = value
    return numbers


def framed(grey, xray=FILM, share=0.15):
    "The film in a frame."
    return np.pad(xray[..., 0], round(share * min(xray.shape[:2])), constant_values=grey)[..., None]


def declaring(path, bits):
    "A PNG that says in its sBIT chunk how many bits it has."
    data, chunk = path.read_bytes(), b"sBIT" + bytes([bits])
    path.write_bytes(data[:33] + (1).to_bytes(4) + chunk + zlib.crc32(chunk).to_bytes(4) + data[33:])
    return path


EXIF = Image.Exif()
EXIF[0x0112] = 6  # to be turned by a quarter
KINDS = {
    "png-8": lambda path: png(path, FILM),
    "png-8-negative": lambda path: png(path, FILM, bone_dark=True),
    "png-16-tall": lambda path: png(path, FILM[:, 60:581], 16),
    **{f"png-16-holds-{bits}": lambda path, bits=bits: stored(path, levels(bits)) for bits in (8, 10, 12, 14)},
    "png-12-marker": lambda path: stored(path, marked(levels(12))), "png-14-marker": lambda path: stored(path, marked(levels(14))),
    "png-10-hot-pixel": lambda path: stored(path, hot(levels(10))), "png-12-hot-pixel": lambda path: stored(path, hot(levels(12), 5000)),
    "png-16-negative-12-bits": lambda path: png(path, resize(FILM, (700, 777)), 16, bone_dark=True, white=4095),
    "png-framed-white": lambda path: png(path, framed(1)), "png-framed-black": lambda path: png(path, framed(0)),
    "png-negative-framed-white": lambda path: png(path, framed(0), bone_dark=True),
    "png-12-bits-framed-white": lambda path: stored(path, np.pad(levels(12), 90, constant_values=65535)),
    "png-negative-turned": lambda path: png(path, np.rot90(FILM), bone_dark=True), "png-upside-down": lambda path: png(path, np.rot90(FILM, 2)),
    "png-larger-than-2000": lambda path: png(path, resize(FILM, (2400, 2101))),
    "png-smaller-than-the-working-size": lambda path: png(path, resize(FILM, (200, 187))),
    "jpeg": lambda path: jpeg(path, FILM[:, :600]),
    "jpeg-turned": lambda path: jpeg(path, np.rot90(FILM), exif=EXIF),
    "dicom-12-bit-negative": lambda path: dicom(path),
    "dicom-signed-with-window": lambda path: dicom(path, bits=14, signed=True, negative=False, WindowCenter=300, WindowWidth=12000),
    "dicom-implicit-8-bit-no-window": lambda path: dicom(path, uid.ImplicitVRLittleEndian, kind="CR", bits=8, negative=False),
    "dicom-deflated": lambda path: dicom(path, uid.DeflatedExplicitVRLittleEndian),
    "dicom-jpeg": lambda path: dicom(path, uid.JPEGBaseline8Bit, imagecodecs.jpeg8_encode, kind="CR", bits=8),
    "dicom-lossless-jpeg": lambda path: dicom(path, uid.JPEGLosslessSV1, lambda pixels: imagecodecs.ljpeg_encode(pixels, bitspersample=12)),
    "dicom-jpeg-ls": lambda path: dicom(path, uid.JPEGLSLossless, imagecodecs.jpegls_encode),
    "dicom-jpeg-2000": lambda path: dicom(path, uid.JPEG2000Lossless, lambda pixels: imagecodecs.jpeg2k_encode(pixels, codecformat="J2K", reversible=True)),
    "dicom-on-its-side": lambda path: dicom(path, xray=np.rot90(resize(FILM, (300, 280))[..., 0]), PatientOrientation=None),
    "dicom-framed-white": lambda path: dicom(path, kind="CR", negative=False, xray=framed(1, resize(FILM, (300, 290)))[..., 0]),
    "dicom-padding": lambda path: dicom(path, kind="CR", negative=False, xray=framed(0, resize(FILM, (300, 290)))[..., 0], PixelPaddingValue=0),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_saved_is_what_the_library_finds(kind, page, suppressor, tmp_path):
    file = KINDS[kind](tmp_path / "film")
    film, target = open_film(file), tmp_path / "truth"
    assert suppress_file(file, target.with_suffix(film.raw.suffix), suppressor).ok
    if film.raw.suffix == ".png":
        truth = cv2.imread(str(target.with_suffix(".png")), cv2.IMREAD_UNCHANGED)
        before, white = film.raw.numbers, film.raw.white
    else:  # the page writes what is displayed, as PNG; a result in DICOM keeps what lies beyond its window there
        white = 65535 if film.raw.dataset.BitsStored > 8 else 255
        soft = film.xray.copy()
        soft[film.picture] = suppressor.suppress(film.xray[film.picture])
        grey = np.rot90(soft[..., 0], -film.judged.turns)
        grey = np.where(film.raw.padding, film.raw.grey, 1 - grey if film.bone_dark else grey)
        truth, before = np.round(grey * white).astype(np.uint16 if white > 255 else np.uint8), film.raw.grey * white
        after = decode_dicom(target.with_suffix(".dcm")).numbers
        inside = film.raw.padding | (film.raw.grey > 0) & (film.raw.grey < 1)
        assert np.abs(film.raw.table[after - film.raw.lowest] - grey)[inside].max() < 1 / white + 1e-3
    give(page, file)
    path, found = saved(page, tmp_path)
    assert path.name == "film_suppressed.png" and (found.shape, found.dtype) == (truth.shape, truth.dtype)
    difference = np.abs(found.astype(float) - truth).max() / white
    print(f"{kind}: largest difference to the library {difference:.5f}; {page.locator('#status').inner_text()}")
    assert difference <= STEP
    kept = film.raw.padding if film.raw.suffix == ".png" else None
    if kept is not None: assert np.array_equal(found[kept], film.raw.numbers[kept])
    said = page.locator("#notes").inner_text()
    for words in ("turned for the network", "white taken as"): assert (words in said) == any(words in note for note in film.notes)
    assert np.abs(truth - before).max() / white > 3 * STEP, "there was nothing to find"


# What a file says, without the network: quick, so for many files

READ = """async ([name, data]) => {
    const { readFilm } = await import("./film.js"), film = await readFilm(name, Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0)));
    const bytes = new Uint8Array(film.xray.data.buffer.slice(0)), letters = [];
    for (let at = 0; at < bytes.length; at += 8192) letters.push(String.fromCharCode(...bytes.subarray(at, at + 8192)));
    const { top, bottom, left, right } = film.picture, { turns, boneDark, chest, notes } = film;
    return { shape: [film.xray.height, film.xray.width, 1], xray: btoa(letters.join("")), turns, boneDark, chest, notes, doubt: film.raw.doubt,
             picture: [top, bottom, left, right] };
}"""


def read(page, file):
    "What the page reads from a file, or the words of its refusal."
    found = page.evaluate(READ, [file.name, base64.b64encode(file.read_bytes()).decode()])
    return found | {"xray": np.frombuffer(base64.b64decode(found["xray"]), np.float32).reshape(found["shape"])}


def compare(page, file):
    "What the page reads from a file, which has to be what the library reads."
    film, found = open_film(file, insist=True), read(page, file)
    rows, columns = film.picture
    assert (found["turns"], found["boneDark"]) == (film.judged.turns, film.bone_dark)
    assert np.abs(np.subtract(found["picture"], (rows.start, rows.stop, columns.start, columns.stop))).max() <= 1
    difference = np.abs(found["xray"] - film.xray).max()
    print(f"{file.name}: largest difference {difference:.6f}, chest {found['chest']:.3f} for {film.judged.chest:.3f}")
    assert difference < STEP / 4 and abs(found["chest"] - film.judged.chest) < 0.02
    assert bool(found["doubt"]) == bool(film.raw.doubt)
    return film, found


def same_notes(film, found, *notes):
    "Both say each of these words, or neither does."
    for words in notes: assert any(words in told for told in found["notes"]) == any(words in told for told in film.notes)


PICTURES = {
    **{f"holds-{bits}": lambda path, bits=bits: stored(path, levels(bits)) for bits in range(8, 17)},
    **{f"{change.__name__}-{bits}-{value}": lambda path, bits=bits, change=change, value=value: stored(path, change(levels(bits), value))
       for bits in (8, 10, 12, 14) for change in (hot, marked) for value in (5000, 65535)},
    **{f"negative-{bits}": lambda path, bits=bits: stored(path, levels(bits, 1 - FILM)) for bits in (8, 10, 12, 14)},
    **{f"frame-{grey}-turned-{turns}": lambda path, grey=grey, turns=turns: png(path, np.rot90(framed(grey), turns))
       for grey in (0, 0.5, 1) for turns in range(4)},
    **{f"wide-{grey}": lambda path, grey=grey: png(path, np.pad(FILM, ((0, 0), (700, 0), (0, 0)), constant_values=grey))
       for grey in (0, 1)},
    "jpeg-ls": lambda path: bare(path, imagecodecs.jpegls_encode(levels(12)), ".jpg"),
    "jpeg-lossless": lambda path: bare(path, imagecodecs.ljpeg_encode(levels(16), bitspersample=16), ".jpg"),
    "declares-12": lambda path: declaring(stored(path, levels(12) // 3), 12),
    "14-bits-in-the-upper-ones": lambda path: stored(path, levels(14) << 2),
    "transparency-that-is-opaque":
        lambda path: stored(path, np.dstack([np.uint8(255 * FILM)] * 3 + [np.full_like(FILM, 255, np.uint8)])),
    "colour-of-16-bits-that-is-grey": lambda path: stored(path, np.dstack([levels(16)] * 3)),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_a_picture_is_read_as_the_library_reads_it(kind, page, tmp_path):
    compare(page, PICTURES[kind](tmp_path / "film"))


@pytest.mark.parametrize("build, note", [*(pytest.param(*built(*case), id=name) for name, case in SAME_CHEST.items()), *BYTES])
def test_an_odd_dicom_file_is_read_as_the_library_reads_it(build, note, page, tmp_path):
    build(tmp_path / "film.dcm")
    film, found = compare(page, tmp_path / "film.dcm")
    same_notes(film, found, "mirrored", "does not fit the picture", "not square")
    if note: assert any(note in told for told in found["notes"]), found["notes"]


@pytest.mark.parametrize("number, signed, element, limit", [
    (-2000, True, ("US", 63536), None), (-2000, True, ("SS", -2000), None),
    (63536, False, ("US", 63536), None), (63536, False, ("SS", -2000), None),
    (4095, False, ("US", 4095), None), (63536, False, ("US", 63530), 63540)])
def test_padding_is_what_the_library_takes_for_it(number, signed, element, limit, page, tmp_path):
    numbers = np.round(GREY * 4095).astype(int) - 2048 * signed
    numbers[:, :30] = number
    film = film12((numbers & 0xFFFF).astype("<u2"), PixelRepresentation=int(signed))
    film.add_new("PixelPaddingValue", *element)
    if limit: film.add_new("PixelPaddingRangeLimit", "US", limit)
    compare(page, save(tmp_path / "film.dcm", film))


@pytest.mark.parametrize("more", [
    *[dict(ViewPosition=view) for view in ("POSTEROANTERIOR", "P-A", "A/P", "FRONTAL", "SUPINE", "LATERAL", "LL", "RLO",
                                           "WALL", "AP SEMI-ERECT", "PA CHEST", "XTABLE LAT")],
    *[dict(BodyPartExamined=part) for part in ("THORAX", "TÓRAX", "POITRINE", "KLATKA PIERSIOWA", "ROOM 3", "HAND",
                                               "T-SPINE", "THORACIC SPINE", "KNIE")],
    *[dict(Modality=modality) for modality in ("DR", "RG", "MR", "OT", "")]], ids=str)
def test_words_of_a_header_mean_the_same(more, page, tmp_path):
    compare(page, save(tmp_path / "film.dcm", dataset("CR", SpecificCharacterSet="ISO_IR 192", **more)))


@pytest.mark.parametrize("orientation", [["L", "F"], ["R", "F"], ["F", "R"], ["H", "L"], ["L", "H"]], ids="".join)
@pytest.mark.parametrize("turns", range(4))
def test_an_orientation_that_does_not_fit_is_told(orientation, turns, page, tmp_path):
    turned = dataset("CR", xray=np.rot90(GREY, turns), PatientOrientation=orientation)
    film, found = compare(page, save(tmp_path / "film.dcm", turned))
    same_notes(film, found, "mirrored", "does not fit the picture")


def test_htj2k(page): compare(page, ROOT / "tests/dicom/htj2k_lossless.dcm")


def test_run_lengths(page, suppressor, tmp_path):
    film = dataset(bits=12)
    film.compress(uid.RLELossless)
    plain, packed = dicom(tmp_path / "plain"), save(tmp_path / "packed.dcm", film)
    results = []
    for file in (plain, packed):
        give(page, file)
        results.append(saved(page, tmp_path)[1])
    assert np.array_equal(*results)


def test_image_functions_are_those_of_the_library(page, suppressor):
    rng = np.random.default_rng(0)
    call = "async ([name, width, height, data, more]) => { const m = await import('./image.js'); const r = m[name](m.image(width, height, new Float32Array(data)), ...more); return [r.width, r.height, [...r.data]]; }"

    def result(name, film, *more):
        width, height, data = page.evaluate(call, [name, film.shape[1], film.shape[0], film.ravel().tolist(), more])
        return np.float32(data).reshape(height, width)

    film = rng.random((90, 77, 1), np.float32)
    for height, width in ((45, 11), (64, 64), (31, 76), (91, 77), (110, 133)):
        assert np.abs(result("resize", film, width, height) - resize(film, (height, width))[..., 0]).max() < 1e-5
    small, filled = _to_working_size(film, replace(suppressor.config, size=90))
    assert np.abs(result("fill", small, 16) - filled[0, ..., 0]).max() == 0
    for turns in range(4): assert np.array_equal(result("turn", film, turns), np.rot90(film[..., 0], turns))


# What the reader touches

def shown(page, canvas):
    "The grey values on a canvas."
    data = page.evaluate("id => document.getElementById(id).toDataURL()", canvas)
    return cv2.imdecode(np.frombuffer(base64.b64decode(data.split(",")[1]), np.uint8), cv2.IMREAD_GRAYSCALE)


def move(page, slider, value):
    page.locator(slider).fill(str(value))
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def test_the_three_sliders(page, suppressor, tmp_path):
    give(page, example_film())
    soft = suppressor.suppress(FILM)
    assert np.abs(shown(page, "before") / 255 - FILM[..., 0]).max() <= STEP and np.abs(shown(page, "after") / 255 - soft[..., 0]).max() <= STEP
    move(page, "#strength", 50)
    assert np.abs(shown(page, "after") / 255 - (FILM + soft)[..., 0] / 2).max() <= 2 * STEP
    move(page, "#level", 60)
    move(page, "#window", 40)
    assert np.abs(shown(page, "before") / 255 - np.clip((FILM[..., 0] - 0.6) / 0.4 + 0.5, 0, 1)).max() <= STEP
    move(page, "#strength", 0)
    assert np.array_equal(saved(page, tmp_path)[1], np.round(255 * FILM[..., 0])), "without bone taken away the film is saved as it was, whatever the window"
    page.click("#reset")
    assert [page.locator(slider).input_value() for slider in ("#strength", "#level", "#window")] == ["100", "50", "100"]


def test_the_divider_by_mouse_and_by_keys(page):
    give(page, example_film())
    stage = page.locator("#stage")

    def clip(): return page.evaluate("getComputedStyle(document.getElementById('after')).clipPath")

    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, middle, steps=5)
    page.mouse.up()
    assert abs(float(page.locator("#divider").input_value()) - 25) <= 1
    for key, wanted in (("Home", "0%"), ("End", "100%"), ("ArrowLeft", "99.5%")):
        page.locator("#divider").press(key)
        assert clip().replace("0px 0px 0px", "").strip("inset() ") == wanted
    page.keyboard.press("Home")
    all_after = stage.screenshot()
    page.keyboard.press("End")
    assert stage.screenshot() != all_after


def test_a_film_is_dropped(page):
    data = list(example_film().read_bytes())
    page.evaluate("""bytes => { const data = new DataTransfer(); data.items.add(new File([new Uint8Array(bytes)], 'dropped.png'));
        document.getElementById('drop').dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true })); }""", data)
    page.wait_for_selector("#notes li:has-text('dropped.png')")
    done(page)


@pytest.mark.parametrize("number", range(3))
def test_films_to_try(number, page):
    page.locator("#samples button").nth(number).click()
    done(page)


# What is no film

def colour(path, **options):
    photo = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
    Image.fromarray(photo).resize((320, 240)).save(path, **options)
    return path


def cut(path, share):
    path.write_bytes(path.read_bytes()[:int(share * path.stat().st_size)])
    return path


def flipped(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    return path


def grey(path, pixels):
    Image.fromarray(pixels).save(path.with_suffix(".png"))
    return path.with_suffix(".png")


def text(path, content):
    path.with_suffix(".png").write_text(content)
    return path.with_suffix(".png")


def bare(path, content, ending=".dcm"):
    path = path.with_suffix(ending)
    path.write_bytes(content)
    return path


def floats(path):
    film = dataset(FloatPixelData=b"")
    del film.PixelData
    film.FloatPixelData = FILM.tobytes()
    return save(path.with_suffix(".dcm"), film)


def dicomdir(path):
    film = dataset(SOPClassUID=None)
    del film.PixelData
    data = save(path.with_suffix(".dcm"), film).read_bytes()
    return bare(path, data.replace(b"1.2.840.10008.5.1.4.1.1.1\0", b"1.2.840.10008.1.3.10".ljust(26, b"\0")))


def jpeg_xl(path):
    film = dataset()
    film.PixelData = encapsulate([imagecodecs.jpegxl_encode(film.pixel_array, lossless=True)])
    film["PixelData"].VR = "OB"
    return renamed(path.with_suffix(".dcm"), film, "110")


REFUSED = {
    "text": (lambda path: text(path, "This is no film."), "is not an image"),
    "empty": (lambda path: text(path, ""), "is empty"),
    "html": (lambda path: text(path, "<!DOCTYPE html><html>Sign in"), "HTML page"),
    "lfs": (lambda path: text(path, "version https://git-lfs.github.com/spec/v1"), "git lfs pull"),
    "zip": (lambda path: bare(path, b"PK\3\4" + bytes(200)), "Unpack it first"),
    "tiff": (lambda path: bare(path, b"II*\0" + bytes(200)), "use the command bss-gan"),
    "colour-png": (lambda path: colour(path.with_suffix(".png")), "colour image"),
    "colour-jpeg": (lambda path: colour(path.with_suffix(".jpg")), "colour image"),
    "transparency": (lambda path: grey(path, np.dstack([np.uint8(255 * FILM)] * 4)), "transparency"),
    "one-bit": (lambda path: grey(path, FILM[..., 0] > 0.5), "1 bit"),
    "uniform": (lambda path: grey(path, np.full((300, 300), 7, np.uint8)), "same value 7"),
    "tiny": (lambda path: png(path, resize(FILM, 30)), "too few"),
    "cut-png": (lambda path: cut(png(path, FILM), 0.7), "is damaged"),
    "flipped-png": (lambda path: flipped(png(path, FILM)), "is damaged"),
    "cut-jpeg": (lambda path: cut(jpeg(path, FILM), 0.6), "is damaged"),
    "jpeg-12-bits": (lambda path: bare(path, imagecodecs.jpeg8_encode(levels(12), bitspersample=12), ".jpg"), "JPEG of 12 bits"),
    "cut-dicom": (lambda path: cut(dicom(path), 0.6), "bytes of pixels instead of"),
    "cut-jpeg-2000": (lambda path: cut(dicom(path, uid.JPEG2000Lossless, imagecodecs.jpeg2k_encode), 0.6), "damaged"),
    "slope-0": (lambda path: dicom(path, RescaleSlope=0), "RescaleSlope is 0"),
    "frames": (lambda path: dicom(path, kind="CR", NumberOfFrames=2), "holds 2 frames"),
    "dicomdir": (lambda path: dicomdir(path), "DICOMDIR"),
    "report": (lambda path: dicom(path, SOPClassUID=uid.BasicTextSRStorage), "a written report"),
    "floats": (floats, "floating-point"),
    "jpeg-xl": (jpeg_xl, "JPEG XL"),
    "ct": (lambda path: dicom(path, kind="CR", Modality="CT"), "modality CT"),
    "hand": (lambda path: dicom(path, kind="CR", BodyPartExamined="HAND"), "another part of the body (HAND)"),
    "lateral": (lambda path: dicom(path, kind="CR", ViewPosition="LL"), "not a frontal view"),
    "raw": (lambda path: dicom(path, PresentationIntentType="FOR PROCESSING"), "FOR PROCESSING"),
    "noise": (lambda path: grey(path, np.random.default_rng(0).integers(0, 255, (300, 300), np.uint8)),
              "does not look like a frontal chest film"),
}
DOUBTS = {"ct", "hand", "lateral", "raw", "noise"}  # the reader may know better


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_film_is_refused(kind, page, tmp_path):
    make, words = REFUSED[kind]
    file = make(tmp_path / "film")
    said = refusal(page, file)
    print(said)
    assert said.startswith(file.name) and words in said, said
    assert not re.search("undefined|NaN|Error|cannot read prop", said)
    assert page.locator("#anyway").is_visible() == (kind in DOUBTS)


@pytest.mark.parametrize("kind", ["noise", "lateral"])
def test_the_reader_may_know_better(kind, page, tmp_path):
    refusal(page, REFUSED[kind][0](tmp_path / "film"))
    page.click("#anyway")
    page.wait_for_selector("#save:enabled")
    assert page.locator("#error").is_hidden() and "used all the same" in page.locator("#notes").inner_text()


def test_a_broken_file_leaves_no_film_behind(page, tmp_path):
    give(page, example_film())
    refusal(page, REFUSED["text"][0](tmp_path / "film"))
    give(page, example_film())


# What is loaded

def test_the_weight_is_paid_once_and_then_no_network_is_needed(browser, site, elsewhere):
    site.sent.clear()
    page = visit(browser, site)
    give(page, example_film())
    weight = sum(size for _, size in site.sent)
    print(f"{weight / 1e6:.1f} MB in {len(site.sent)} files; {page.locator('#status').inner_text()}")
    assert weight < 20e6
    site.sent.clear()
    page.reload()
    page.wait_for_selector("#samples button:nth-child(3)")
    give(page, example_film())
    assert {path for path, _ in site.sent} <= {"/demo/sw.js"}, "asked for again, though it was kept"
    page.context.set_offline(True)
    page.reload()
    page.wait_for_selector("#samples button:nth-child(3)")
    give(page, example_film())
    assert page.faults == [] and elsewhere.sent == []
    page.context.close()


def test_the_browser_keeps_the_page_from_other_hosts(browser, site):
    page = visit(browser, site)
    assert page.evaluate("fetch('https://example.org/').then(() => 'went', () => 'held back')") == "held back"
    assert any("Content Security Policy" in fault for fault in page.faults)
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_anybody_can_use_it(width, scheme, browser, site):
    page = visit(browser, site, viewport={"width": width, "height": 800}, color_scheme=scheme)
    axe = Path(AXE_FILE_PATH).read_text()

    def faults():
        page.evaluate(axe)
        found = page.evaluate("axe.run()")["violations"]
        return [(fault["id"], node["html"]) for fault in found for node in fault["nodes"]]

    assert faults() == []
    give(page, example_film())
    assert faults() == [] and page.faults == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "wider than the screen"
    page.context.close()


def test_the_page_names_no_other_host():
    for path in (NBS / "demo").glob("*.*"):
        if path.suffix in (".js", ".css"): assert "http" not in path.read_text()
