"""The documentation site as its readers meet it: in a browser, wide and narrow, light and dark, with no other host to ask.

It is rendered without Quarto from the configuration that Quarto publishes; CONTRIBUTING.md, "The site", says how."""
import ast, functools, gzip, http.server, os, re, shutil, subprocess, sys, threading
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import nbformat, pytest
from axe_playwright_python.base import AXE_FILE_PATH

from helpers.project import NBS, NOTEBOOKS, ROOT, copy_project, documented_lines, name, python, run, settings, tool

SETTINGS = settings()
SITE = f"{SETTINGS['doc_host']}{SETTINGS['doc_baseurl']}/"
FILES = f"{SETTINGS['git_url']}/blob/{SETTINGS['branch']}/"
DOCUMENTS = ("CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", "CITATION.cff", ".github/SECURITY.md")
DEMO = "demo/index.html"     # built by .ci/demo.py
INTERACTIVE = "interactive"  # a page that stands in the tests only
WIDE, NARROW = (1280, "light"), (390, "dark")  # every page is seen once in each width and once in each theme
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
BEYOND = """() => [...document.querySelectorAll("body *")].filter(element => {
  if (element.getBoundingClientRect().right <= innerWidth + 1) return false;
  for (let box = element; box; box = box.parentElement) if (/auto|scroll/.test(getComputedStyle(box).overflowX) && box.getBoundingClientRect().right <= innerWidth + 1) return false;
  return true;
}).map(element => element.outerHTML.slice(0, 99))"""
LARGEST_PAGE = 1_500_000  # bytes, as GitHub Pages sends them: text compressed
UNREAD = {"highlight-style", "html-math-method", "html-table-processing", "respect-user-color-scheme", "output-file", "repo-actions"}  # by smalldocs


def page(notebook):
    "The page of a notebook; nbdev leaves the number of a chapter away."
    return re.sub(r"^\d\d_", "", name(notebook)).replace(".ipynb", ".html")


PAGES = sorted([page(notebook) for notebook in NOTEBOOKS] + ["reference.html"]
               + [f"about/{name}.html" for name in ("contributing", "changelog", "security", "licence", "citation")])


# Build

def interactive():
    "A notebook with HTML that moves without a kernel, and with a Jupyter widget, saved with its still picture."
    moving = '<label>dose <input type="range" max="9" value="3" oninput="this.nextElementSibling.value = this.value"><output>3</output></label>'
    dot = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
    outputs = ({"text/html": moving, "text/plain": "<HTML>"},
               {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "image/png": dot, "text/plain": "IntSlider()"})
    cells = [nbformat.v4.new_code_cell('#| fig-alt: "A dot."\nshow()', outputs=[nbformat.v4.new_output("display_data", data)]) for data in outputs]
    state = {"application/vnd.jupyter.widget-state+json": {"state": {}}}
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Interactive"), *cells], metadata={"widgets": state})


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    "A copy of the project with the site in _proc/_docs."
    folder = copy_project(tmp_path_factory.mktemp("site"))
    shutil.copytree(ROOT / ".ci", folder / ".ci", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / ".github").mkdir()
    for document in DOCUMENTS: shutil.copy(ROOT / document, folder / document)
    nbformat.write(interactive(), folder / f"nbs/{INTERACTIVE}.ipynb")
    run("bash", "-euc", documented_lines("tests/site/test_site.py"), cwd=folder, env={"PATH": f"{tool('python').parent}:{os.environ['PATH']}"})
    return folder


@pytest.fixture(scope="module")
def docs(request):
    "The folder of the rendered site: BSS_GAN_SITE, as Quarto rendered it, or else made here."
    return Path(os.environ["BSS_GAN_SITE"]) if "BSS_GAN_SITE" in os.environ else request.getfixturevalue("project") / "_proc/_docs"


class Elements(HTMLParser):
    "What a page holds: its ids, its links, and what it loads."

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.headings, self._heading = set(), [], {}, None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if "id" in attributes: self.ids.add(attributes["id"])
        self.links += [attributes[key] for key in ("href", "src") if attributes.get(key)]
        if tag in ("h2", "h3", "h4"): self._heading = attributes.get("data-anchor-id") or attributes.get("id")

    def handle_data(self, data):
        if self._heading: self.headings[self._heading] = self.headings.get(self._heading, "") + data

    def handle_endtag(self, tag):
        if tag in ("h2", "h3", "h4"): self._heading = None


@pytest.fixture(scope="module")
def elements(docs):
    return {path.relative_to(docs).as_posix(): Elements(path.read_text()) for path in docs.rglob("*.html")}


def test_the_site_has_these_pages(elements):
    assert sorted(set(elements) - {f"{INTERACTIVE}.html"}) == PAGES


def test_every_notebook_becomes_a_page(project):
    for notebook in NOTEBOOKS:
        cells = nbformat.read(project / "_proc" / name(notebook), 4).cells
        assert cells[0].source.startswith("---"), "without front matter Quarto has no title"
        assert [output for cell in cells for output in cell.get("outputs", []) if output["output_type"] == "error"] == []


def test_every_page_stands_in_the_sidebar():
    listed = re.findall(r"(?:- |href: )(\S+\.(?:ipynb|md|qmd))", (NBS / "sidebar.yml").read_text())
    assert sorted(re.sub(r"^\d\d_|\.\w+$", "", entry) + ".html" for entry in listed) == PAGES


def leads_somewhere(link, docs, elements):
    "Whether a link to the site or to a file of the repository is right; links to others are not followed."
    path, _, anchor = unquote(link).partition("#")
    if link.startswith(FILES):
        target = ROOT / path.removeprefix(FILES)
        return target.exists() and (not anchor or int(anchor[1:]) <= len(target.read_text().splitlines()))
    if not link.startswith(SITE): return True
    path = path.removeprefix(SITE) or "index.html"
    if path.startswith("demo/"): return (NBS / path).is_file()  # a page of its own, tested in test_demo.py
    return (docs / path).is_file() and (not anchor or anchor in elements[path].ids)


def test_links_lead_somewhere(elements, docs):
    elements = elements | {DEMO: Elements((NBS / DEMO).read_text())}
    links = [(page, urljoin(SITE + page, link)) for page in [*PAGES, DEMO] for link in elements[page].links]
    assert len(links) > 1000
    assert any(link == SITE + DEMO for _, link in links)
    assert [(page, link) for page, link in links if not leads_somewhere(link, docs, elements)] == []


@pytest.mark.parametrize("notebook", [notebook for notebook in NOTEBOOKS if "colab.research" in notebook.read_text()], ids=name)
def test_open_in_colab_opens_this_notebook(notebook, elements):
    opened = {link for link in elements[page(notebook)].links if "colab.research" in link}
    target = f"https://colab.research.google.com/github/{SETTINGS['user']}/{SETTINGS['repo']}/blob/{SETTINGS['branch']}/nbs/"
    assert target + name(notebook) in opened or notebook.name == SETTINGS["readme_nb"]
    assert all((NBS / link.removeprefix(target)).is_file() for link in opened)


def test_every_chapter_and_tutorial_opens_in_colab():
    lessons = [notebook for notebook in NOTEBOOKS if re.match(r"\d\d_|tutorials/", name(notebook))]
    assert [name(notebook) for notebook in lessons if f"/blob/{SETTINGS['branch']}/nbs/{name(notebook)}" not in notebook.read_text()] == []


# What is said of each public name

def public_names():
    "(module, name) of everything in every module's __all__."
    for path in sorted((ROOT / "bss_gan").glob("[a-z]*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
                yield from ((path.stem, public) for public in ast.literal_eval(node.value))


def test_every_public_name_is_documented(elements):
    reference = elements["reference.html"]
    assert [f"{module}.{public}" for module, public in public_names() if public.lower() not in reference.ids] == []
    in_lessons = [public for module, public in public_names() if elements[f"{module}.html"].headings.get(public.lower()) == public]
    assert len(in_lessons) > 100


def test_documentation_says_what_is_what(project):
    sys.path.insert(0, str(project / ".ci"))
    from reference import read_module
    entries = [entry for module in sorted({module for module, _ in public_names()}) for entry in read_module(module)]
    assert sorted((entry.module, entry.name) for entry in entries) == sorted(public_names())
    assert [entry.name for entry in entries if entry.signature and not entry.sentence] == []
    open_film = next(entry for entry in entries if entry.name == "open_film")
    assert open_film.signature == "open_film(path, polarity='auto', turn=None, insist=False, like=None)" and open_film.returns[0] == "Film"
    assert [(row[0], row[1]) for row in open_film.parameters] == [
        ("path", "str | os.PathLike"), ("polarity", "str"), ("turn", "int | None"), ("insist", "bool"), ("like", "Film | None")]
    assert all(row[3] for row in open_film.parameters) and open_film.returns[1]


# In the browser

class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_): pass


@pytest.fixture(scope="module")
def address(docs):
    "Where the site is served on this machine."
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(docs)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@pytest.fixture(scope="module")
def browser(start_chromium):
    "A real browser to which every other host is unknown."
    return start_chromium("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")


def open_page(browser, size=WIDE, **options):
    return browser.new_context(viewport={"width": size[0], "height": 900}, color_scheme=size[1], **options).new_page()


@dataclass
class Visit:
    "What a browser met on a page."
    errors: list      # of its console
    strangers: list   # addresses of other hosts that it asked
    weight: int       # bytes, as GitHub Pages would send them
    wide: list        # elements that reach beyond the window and cannot be scrolled
    silent: list      # pictures that are broken or have no words
    violations: list  # (rule, element) that axe-core objects to


def sent(path):
    data = path.read_bytes()
    return len(gzip.compress(data)) if path.suffix in (".html", ".css", ".js", ".json", ".svg") else len(data)


def visit(tab, address, page, docs):
    errors, asked = [], []
    heard = {"console": lambda message: errors.append(message.text) if message.type in ("error", "warning") else None,
             "pageerror": lambda error: errors.append(str(error)), "request": lambda request: asked.append(request.url)}
    for event, note in heard.items(): tab.on(event, note)
    tab.goto(address + page, wait_until="load")
    tab.wait_for_timeout(100)  # the theme settles after 50 ms
    own = {urlsplit(url).path[1:] for url in asked if url.startswith(address)}
    tab.evaluate(AXE_FILE_PATH.read_text())
    found = tab.evaluate("rules => axe.run({runOnly: rules, resultTypes: ['violations']})", RULES)["violations"]
    for event, note in heard.items(): tab.remove_listener(event, note)
    return Visit(errors, [url for url in asked if not url.startswith((address, "data:"))], sum(sent(docs / path) for path in own if (docs / path).is_file()),
                 tab.evaluate(BEYOND),
                 tab.evaluate("[...document.images].filter(i => !i.alt || !i.naturalWidth && i.loading != 'lazy').map(i => i.outerHTML.slice(0, 99))"),
                 [(rule["id"], node["html"][:99]) for rule in found for node in rule["nodes"]])


@pytest.fixture(scope="module")
def tabs(browser):
    return {size: open_page(browser, size) for size in (WIDE, NARROW)}


@pytest.mark.parametrize("size", (WIDE, NARROW), ids=("wide-light", "narrow-dark"))
@pytest.mark.parametrize("page", PAGES)
def test_page(page, size, tabs, address, docs):
    met = visit(tabs[size], address, page, docs)
    assert met.strangers == [], "it asks other hosts"
    assert met.errors == []
    assert met.silent == [], "pictures are broken or have no words"
    assert met.violations == [], "axe-core objects"
    assert met.wide == [], "it is wider than the window"
    assert met.weight <= LARGEST_PAGE


def test_search_finds_suppress(browser, address):
    tab = open_page(browser)
    tab.goto(address + "index.html")
    tab.keyboard.press("/")
    tab.keyboard.type("suppress_file")
    tab.wait_for_selector(".search-result")
    tab.keyboard.press("Enter")
    tab.wait_for_url(re.compile(r"/(testing|reference)\.html"))
    box = tab.locator(".smalldocs-search input").first
    box.fill("suppress")
    tab.wait_for_selector(".search-result")
    assert tab.locator(".search-result").count() > 3 and "suppress" in tab.locator(".search-result").first.inner_text().lower()


def darkness(tab):
    tab.wait_for_timeout(200)
    return tab.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number).reduce((a, b) => a + b) < 300")


def test_the_theme_follows_the_reader_and_can_be_chosen(browser, address):
    tab = open_page(browser, NARROW)
    tab.goto(address + "index.html")
    assert darkness(tab)
    tab = open_page(browser)
    tab.goto(address + "index.html")
    assert not darkness(tab)
    tab.locator(".quarto-color-scheme-toggle").click()
    assert darkness(tab)
    tab.goto(address + "images.html")
    assert darkness(tab), "the choice is not kept"


def test_a_telephone_opens_the_sidebar(browser, address):
    tab = open_page(browser, NARROW)
    tab.goto(address + "images.html")
    link = tab.get_by_role("link", name="Metrics", exact=True).first
    tab.locator(".quarto-btn-toggle").first.click()
    link.click()
    tab.wait_for_url("**/metrics.html")


def test_keys_reach_what_a_mouse_does(browser, address):
    tab = open_page(browser)
    tab.goto(address + "index.html")
    reached = []
    for _ in range(14):
        tab.keyboard.press("Tab")
        reached.append(tab.evaluate("(e => [e.innerText || e.title || e.type, getComputedStyle(e).outlineStyle, getComputedStyle(e).boxShadow])(document.activeElement)"))
    assert {"Reference", "Toggle dark mode", "What an image is"} <= {text.strip() for text, *_ in reached}
    assert [text for text, outline, shadow in reached if outline == "none" and shadow == "none"] == [], "the focus cannot be seen"


def test_what_is_interactive_moves_without_a_kernel(browser, address):
    tab = open_page(browser)
    tab.goto(address + f"{INTERACTIVE}.html")
    tab.get_by_role("slider").press("ArrowRight")
    assert tab.locator("main output").inner_text() == "4"
    assert tab.get_by_alt_text("A dot.").is_visible(), "the widget has no still picture"


@pytest.mark.parametrize("explorer", [page(notebook) for notebook in NOTEBOOKS if 'class=\\"bss-explorer' in notebook.read_text()])
def test_the_explorer_moves(explorer, browser, address):
    tab = open_page(browser)
    tab.goto(address + explorer)
    film = tab.locator(".bss-explorer").first
    before = film.locator(".bss-after").first.evaluate("e => getComputedStyle(e).clipPath")
    film.locator("[name=divider]").press("ArrowRight")
    assert film.locator(".bss-after").first.evaluate("e => getComputedStyle(e).clipPath") != before


# What Quarto gets

def test_quarto_is_given_nothing_that_it_fetches_from_elsewhere(project):
    # With text/html or widgets among the outputs, Quarto puts require.js, jQuery and the manager of widgets from three hosts into a page.
    for path in (project / "_proc").rglob("*.ipynb"):
        notebook = nbformat.read(path, 4)
        kinds = {kind for cell in notebook.cells for output in cell.get("outputs", []) for kind in output.get("data", {})}
        assert not kinds & {"text/html", "application/javascript", "application/vnd.jupyter.widget-view+json"}, path.name
        assert "colab-badge" not in path.read_text() and "widgets" not in notebook.metadata, path.name
    options = (NBS / "_quarto.yml").read_text()
    assert "html-math-method: mathml" in options and "light: [cosmo, light.scss]" in options and "dark: [darkly, dark.scss]" in options
    for theme in ("light.scss", "dark.scss"): assert "$web-font-path: false;" in (NBS / theme).read_text()


def test_themes_have_the_colours_of_the_style_sheet():
    style = (NBS / "styles.css").read_text()
    for theme in ("light.scss", "dark.scss"):
        colour, = set(re.findall(r"#\w{6}", (NBS / theme).read_text()))
        assert f"--bs-link-color: {colour};" in style
        assert f"--bs-link-color-rgb: {', '.join(str(int(colour[k:k + 2], 16)) for k in (1, 3, 5))};" in style


def test_every_option_is_known(project):
    # smalldocs names each option that it does not know. Those of UNREAD are Quarto's; what they change is tested above.
    said = subprocess.run([tool("smalldocs"), "check", project / "_proc"], capture_output=True, text=True).stdout
    options = re.findall(r"unknown key (\S+)|(\S+) is ignored|(\S+) is not read", said)
    assert {"".join(option).rpartition(".")[2] for option in options} == UNREAD
