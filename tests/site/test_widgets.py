"""What moves in the notebooks: the explorer in a browser, and the training monitor in a kernel."""
import io
from pathlib import Path

import cv2, nbformat, numpy as np, pytest
from jupyter_client.manager import start_new_kernel
from PIL import Image
from helpers.project import NBS, ROOT
from helpers.little_runs import weights

from bss_gan.images import example_film, resize
from bss_gan.dicom import open_film
from bss_gan.testing import LABELS, SuppressionResult, load_suppressor
from bss_gan.evaluation import explore, write_page


# The explorer

@pytest.fixture(scope="module")
def browser(start_chromium):
    return start_chromium()


@pytest.fixture
def show(browser):
    "A function that shows HTML in a window of this width, offline; anything that goes wrong on the page fails the test."
    context, wrong = browser.new_context(offline=True), []
    context.set_default_timeout(5000)

    def show(html, width=1280):
        page = context.new_page()
        page.set_viewport_size({"width": width, "height": 900})
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("requestfailed", lambda request: wrong.append(request.url[:80]))
        page.set_content(f'<!doctype html><meta name="viewport" content="width=device-width">{html}')
        return page

    yield show
    context.close()
    assert wrong == []


def saved_explorer():
    "The explorer in the saved evaluation notebook."
    cells = nbformat.read(NBS / "16_evaluation.ipynb", 4).cells
    found = [output.data["text/html"] for cell in cells for output in cell.get("outputs", []) if "bss-explorer" in output.get("data", {}).get("text/html", "")]
    assert len(found) == 1
    return found[0]


def draw_view(xray, bone, divider=0.5, strength=1.0, level=0.5, window=1.0):
    "What the browser should show, (H, W) uint8: before and after, separated by a white line."
    column = round(divider * xray.shape[1])
    shown = np.concatenate([xray[:, :column], (xray - strength * bone)[:, column:]], axis=1)[..., 0]
    shown = np.clip((shown - level) / window + 0.5, 0, 1)
    if 0 < column < xray.shape[1]: shown[:, column - 1] = 1
    return np.uint8(np.round(255 * shown))


def pixels(page):
    "What a browser shows of the film: (H, W, 3) integers."
    page.wait_for_function("[...document.images].every(image => image.complete)")
    return np.asarray(Image.open(io.BytesIO(page.locator(".bss-film:visible").screenshot())).convert("RGB")).astype(int)


@pytest.mark.parametrize("width", [1280, 390])
def test_the_saved_explorer_moves_without_a_kernel(show, width):
    page = show(saved_explorer(), width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "the page is wider than the screen"
    assert page.locator("img:not([alt])").count() == 0
    for control in page.get_by_role("slider").all():
        before, value = pixels(page), control.input_value()
        control.press("ArrowRight")
        for _ in range(20): control.press("ArrowRight")
        assert float(control.input_value()) > float(value) and control.locator("+ output").inner_text() == control.input_value()
        assert np.abs(pixels(page) - before).max() > 4, control.get_attribute("name")
    before = pixels(page)
    page.get_by_label("patch verdict").press("Space")
    assert np.ptp(pixels(page), axis=-1).mean() > 20 > np.ptp(before, axis=-1).mean() == 0, "the map is in colour, the film is not"
    for option in page.locator("select option").all_inner_texts()[1:]:
        page.get_by_role("combobox", name="film").select_option(option)
        assert page.locator(".bss-film:visible").get_attribute("aria-label").startswith(option)


def test_the_divider_can_be_dragged(show):
    page = show(saved_explorer())
    film = page.locator(".bss-film:visible").bounding_box()
    page.mouse.move(film["x"] + film["width"] / 2, film["y"] + 50)
    page.mouse.move(film["x"] + film["width"] / 4, film["y"] + 50)
    assert page.locator("[name=divider]").input_value() == "0.5", "it moves only while the button is held"
    page.mouse.down()
    page.mouse.move(film["x"] + film["width"] / 5, film["y"] + 50)
    page.mouse.up()
    assert page.locator("[name=divider]").input_value() == "0.2"


def test_zoom_keeps_the_middle(show):
    page = show(saved_explorer())
    film = page.locator(".bss-film:visible")
    page.locator("[name=zoom]").fill("3")
    middle = film.evaluate("film => [(film.scrollLeft + film.clientWidth / 2) / film.scrollWidth, (film.scrollTop + film.clientHeight / 2) / film.scrollHeight]")
    assert film.evaluate("film => film.scrollWidth > 2.9 * film.clientWidth") and np.allclose(middle, 0.5, atol=0.01)


@pytest.fixture(scope="module")
def film():
    suppressor = load_suppressor("baseline")
    xray = resize(open_film(example_film()).xray, (512, 512))
    return xray, suppressor


@pytest.mark.parametrize("setting", [{}, {"divider": 0}, {"divider": 0, "strength": 1.5}, {"divider": 0, "strength": 0.4}, {"divider": 1},
                                     {"level": 0.3}, {"level": 0.7, "window": 0.4}, {"level": 0.1, "window": 1.5}, {"level": 0, "window": 0.5}],
                         ids=str)
def test_the_browser_shows_what_draw_view_draws(show, film, setting):
    xray, suppressor = film
    page = show(explore({"chest": xray}, suppressor).data)
    for name, value in setting.items(): page.locator(f"[name={name}]").fill(str(value))
    shown = pixels(page)[..., 0]
    expected = draw_view(xray, xray - suppressor.suppress(xray), **setting)
    assert shown.shape == expected.shape == (512, 512)
    line = round(512 * setting.get("divider", 0.5))
    off = np.abs(np.delete(shown - expected.astype(int), slice(max(0, line - 2), line + 2), axis=1))  # the line may be a pixel off
    assert off.mean() < 1.5 / setting.get("window", 1) and np.quantile(off, 0.999) < 8 / setting.get("window", 1)


@pytest.mark.parametrize("divider", [0, 1])
def test_the_map_has_the_colour_of_the_score(show, film, divider):
    xray, suppressor = film
    page = show(explore({"chest": xray}, suppressor).data)
    page.locator("[name=divider]").fill(str(divider))
    before = pixels(page)
    page.get_by_label("patch verdict").check()
    _, score = suppressor.verdict(xray, xray if divider else suppressor.suppress(xray))
    blue, orange = np.array([33, 107, 196]), np.array([240, 130, 20])
    expected = 0.55 * before + 0.45 * (blue + score * (orange - blue))
    assert np.abs(pixels(page) - expected)[:, 2:-2].max() < 4


# The report pages

@pytest.mark.parametrize("width", [1280, 390])
def test_a_page_fits_the_screen_and_runs_no_file_name(show, width, tmp_path):
    name = "<script>alert(1)<img src=x onerror=alert(2)>" + 20 * "long" + ".png"
    failed = SuppressionResult(Path(name), message=f"{name}: is damaged.")
    done = SuppressionResult(Path(name), ok=True, label=LABELS[1], score=0.9, removed=2)
    picture = cv2.imencode(".png", np.zeros((200, 900), np.uint8))[1].tobytes()
    write_page(tmp_path / "page.html", "suppression.html", name=name, failed=[failed], done=1, shown=[(done, picture)])
    page = show((tmp_path / "page.html").read_text(), width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "the page is wider than the screen"
    assert page.locator("li").inner_text() == f"{name}: is damaged." and page.locator("script").count() == 0
    assert page.locator("img").count() == 1 and page.locator("img").get_attribute("alt").startswith(name)


# The training monitor

SETUP = """
from dataclasses import replace
from pathlib import Path
from bss_gan.data import find_pairs, split_by_case
from bss_gan.training import TRAIN_PRESETS
from bss_gan.runs import train
baseline = TRAIN_PRESETS["baseline"]
config = replace(baseline, epochs=4, batch=1, val=0.15, model=replace(baseline.model, size=64))
split = split_by_case(find_pairs({pairs!r}).pairs, val=0.15, test=0.15)
train(split, {whole!r}, config, show="none");
"""


class Kernel:
    "A notebook's kernel, and what came back from it."

    def __init__(self):
        self.manager, self.client = start_new_kernel(cwd=str(ROOT))

    def run(self, code, interrupt_at=None):
        "Runs a cell, and interrupts it after this many pictures: (reply, outputs)."
        outputs, pictures = [], 0

        def receive(message):
            nonlocal pictures
            if message["msg_type"] not in ("display_data", "update_display_data", "stream", "error"): return
            outputs.append(message)
            pictures += "image/png" in message["content"].get("data", {})
            if pictures == interrupt_at and "image/png" in message["content"].get("data", {}): self.manager.interrupt_kernel()

        reply = self.client.execute_interactive(code, output_hook=receive, timeout=120)
        return reply["content"], outputs


@pytest.fixture
def kernel():
    kernel = Kernel()
    yield kernel
    kernel.client.stop_channels()
    kernel.manager.shutdown_kernel(now=True)


def test_a_training_run_is_watched_stopped_and_continues_with_the_same_bits(kernel, pairs, tmp_path):
    reply, _ = kernel.run(SETUP.format(pairs=str(pairs), whole=str(tmp_path / "whole")))
    assert reply["status"] == "ok"
    cell = f"train(split, {str(tmp_path / 'watched')!r}, config, resume=None, show='live');"
    reply, outputs = kernel.run(cell, interrupt_at=4)  # the sample and the curves of the second epoch have arrived
    assert reply["status"] == "error" and reply["ename"] == "Stopped"
    assert reply["traceback"] == [reply["evalue"]] and "keeps every finished epoch" in reply["evalue"]
    kept = (tmp_path / "watched/history.csv").read_text()
    assert 2 <= kept.count("\n") - 1 < 4
    reply, outputs = kernel.run(cell)
    assert reply["status"] == "ok"
    assert (tmp_path / "watched/history.csv").read_text().startswith(kept), "it did not continue where it stopped"
    resumed, uninterrupted = weights(tmp_path / "watched"), weights(tmp_path / "whole")
    assert [name for name in uninterrupted if not np.array_equal(resumed[name], uninterrupted[name])] == []
    pictures = [message for message in outputs if "image/png" in message["content"].get("data", {})]
    kinds = [message["msg_type"] for message in pictures]
    assert kinds[:2] == ["display_data"] * 2 and {*kinds[2:]} == {"update_display_data"}, "later pictures replace the first"
    assert len({message["content"]["transient"]["display_id"] for message in pictures}) == 2
