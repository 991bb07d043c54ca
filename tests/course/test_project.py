"""The repository agrees with itself: notebooks, modules, metadata, links."""
import ast, fnmatch, json, os, re, shutil, sys, tomllib

import nbformat, pytest, yaml
from helpers.project import FULL, NBS, NOTEBOOKS, ROOT, copy_project, documented_lines, name, python, run, settings, tool

SETTINGS = settings()
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
REPOSITORY = f"{SETTINGS['user']}/{SETTINGS['repo']}"
TOP_LEVEL = {"README.md", "settings.ini", "nbs", "bss_gan", "tests", ".github", "pyproject.toml", "LICENSE", "CHANGELOG.md",
             "CONTRIBUTING.md", "CITATION.cff", ".ci", ".gitignore", ".gitattributes", ".git"}
HAND_WRITTEN = {"__init__.py", "__main__.py"}
LIGHT = ["bss_gan", "bss_gan.images", "bss_gan.anatomy", "bss_gan.dicom", "bss_gan.files", "bss_gan.data", "bss_gan.physics",
         "bss_gan.thorax", "bss_gan.ct", "bss_gan.simulation", "bss_gan.metrics", "bss_gan.export",
         "bss_gan.testing", "bss_gan.archive", "bss_gan.demo", "bss_gan.cli"]
every_notebook = pytest.mark.parametrize("notebook", NOTEBOOKS, ids=name)


def modules():
    return {path.name: path.read_text() for path in (ROOT / "bss_gan").glob("*.py")}


def test_top_level_holds_only_what_the_design_names():
    ignored = [line.strip("/") for line in (ROOT / ".gitignore").read_text().splitlines() if line and line[0] != "#"]
    present = {path.name for path in ROOT.iterdir() if not any(fnmatch.fnmatch(path.name, rule) for rule in ignored)}
    assert present - {".git"} == TOP_LEVEL - {".git"}


def test_the_sidebar_lists_every_notebook_once():
    listed = re.findall(r"- (\S+\.ipynb)", (NBS / "sidebar.yml").read_text())
    assert sorted(listed) == [name(path) for path in NOTEBOOKS]


# Notebook and module

def exported(folder, command, **options):
    "The modules that an nbdev command writes from a copy of the notebooks."
    project = copy_project(folder)
    for path in (project / "bss_gan").glob("*.py"):
        if path.name not in HAND_WRITTEN: path.unlink()
    run(command, cwd=project, **options)
    return {path.name: path.read_text() for path in (project / "bss_gan").glob("*.py")}


def test_modules_are_what_the_notebooks_export(tmp_path):
    fresh, committed = exported(tmp_path, tool("nbdev_export")), modules()
    assert sorted(fresh) == sorted(committed)
    assert [module for module in fresh if fresh[module] != committed[module]] == []


if FULL:  # it installs another nbdev
    def test_nbdev_3_exports_the_same_modules(tmp_path):
        # nbdev 3 reads pyproject.toml, and adds to each module's docstring a link to its page.
        python("-m", "venv", tmp_path / "venv")
        run(tmp_path / "venv/bin/pip", "install", "-q", "nbdev==3.3.26", env={"PIP_CONSTRAINT": ""})  # nbdev 3 wants other companions
        fresh, committed = exported(tmp_path, tmp_path / "venv/bin/nbdev-export"), modules()
        without_link = {module: re.sub(r'\n\nDocs: \S+"""', '"""', text) for module, text in fresh.items()}
        assert sorted(fresh) == sorted(committed)
        assert [module for module in fresh if without_link[module] != committed[module]] == []


def test_notebooks_are_clean(tmp_path):
    project = copy_project(tmp_path)
    run(tool("nbdev_clean"), "--fname", project / "nbs", cwd=project)
    changed = [name(path) for path in NOTEBOOKS if (project / "nbs" / name(path)).read_bytes() != path.read_bytes()]
    assert changed == []


@every_notebook
def test_notebook_has_stable_ids_and_a_reasonable_size(notebook):
    content = json.loads(notebook.read_text())
    nbformat.validate(content)
    assert (content["nbformat"], content["nbformat_minor"]) == (4, 5)
    ids = [cell["id"] for cell in content["cells"]]
    assert len(ids) == len(set(ids))
    assert notebook.stat().st_size < 1_000_000


@every_notebook
def test_notebook_was_saved_as_it_ran(notebook):
    outputs = [output for cell in nbformat.read(notebook, 4).cells for output in cell.get("outputs", [])]
    assert [output["evalue"] for output in outputs if output["output_type"] == "error"] == []


@pytest.mark.parametrize("module", sorted(modules()))
def test_imports_point_to_earlier_chapters_only(module):
    order = ["__init__"] + [re.sub(r"^\d+_", "", path.stem) for path in NOTEBOOKS if re.match(r"\d+_", path.name)]
    order += ["_modidx", "__main__"]
    for node in ast.walk(ast.parse(modules()[module])):
        if isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").startswith("bss_gan")):
            imported = (node.module or "").removeprefix("bss_gan").strip(".").split(".")[0]
            assert order.index(imported or "__init__") < order.index(module.removesuffix(".py")), ast.unparse(node)


@pytest.mark.parametrize("module", sorted(modules()))
def test_a_module_needs_no_nbdev(module):
    for node in ast.walk(ast.parse(modules()[module])):
        imported = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom): imported = [node.module or ""]
        assert not {word.split(".")[0] for word in imported} & {"nbdev", "fastcore", "execnb"}


@every_notebook
def test_a_notebook_needs_no_nbdev(notebook):
    code = "\n".join(cell.source for cell in nbformat.read(notebook, 4).cells if cell.cell_type == "code")
    assert re.findall(r"^\s*(?:from|import)\s+(?:nbdev|fastcore|execnb)\b.*", code, re.M) == []


@every_notebook
def test_imports_stand_in_cells_of_their_own(notebook):
    # To document a module, nbdev runs the exported cells and those with an import: nothing else may stand in them.
    mixed = []
    for cell in nbformat.read(notebook, 4).cells:
        if cell.cell_type != "code" or re.match(r"#\|\s*export", cell.source) or "find_spec" in cell.source: continue
        kinds = {type(node) for node in ast.walk(ast.parse(re.sub(r"^\s*[%!].*", "", cell.source, flags=re.M)))}
        if kinds & {ast.Import, ast.ImportFrom} and kinds & {ast.Expr, ast.Assign}: mixed.append(cell.source)
    assert mixed == []


@every_notebook
def test_exported_cells_stay_small(notebook):
    cells = [cell.source for cell in nbformat.read(notebook, 4).cells if re.match(r"#\|\s*export", cell.source)]
    assert [source.splitlines()[1] for source in cells if len(source.splitlines()) > 40] == []


def test_the_library_keeps_the_house_rules():
    found = python(ROOT / ".ci/measures.py").stdout.partition("against the house rules: ")[2].splitlines()
    assert found[0] == "0", found[1:]


# Light imports

def loaded(code):
    "The heavy packages that a fresh Python holds after running some code."
    heavy = ["tensorflow", "keras", "matplotlib", "numpy", "cv2", "PIL", "ipywidgets"]
    done = python("-c", f"{code}\nimport sys\nprint('LOADED', *[name for name in {heavy} if name in sys.modules])")
    return set(done.stdout.splitlines()[-1].split()[1:])


@pytest.mark.parametrize("module", LIGHT)
def test_import_is_light(module):
    assert not loaded(f"import {module}") & {"tensorflow", "keras", "matplotlib", "ipywidgets"}


def test_help_loads_nothing_heavy():
    assert loaded("from bss_gan.cli import main\nmain(['--help'], standalone_mode=False)") == set()
    assert loaded("import bss_gan") == set()


def test_suppress_needs_no_tensorflow_and_reports_to_nobody(tmp_path):
    code = f"""
from bss_gan.cli import main
from bss_gan.images import example_film
main(["suppress", str(example_film()), "--out", {str(tmp_path / "out")!r}], standalone_mode=False)
import sys
print("TELEMETRY", [name for name in sys.modules if "telemetry" in name and "openvino_" in name and sys.modules[name]])
print("LOADED", *{{"tensorflow", "keras", "matplotlib"}} & {{*sys.modules}})"""
    said = python("-c", code, env={"HOME": str(tmp_path)}).stdout.splitlines()
    assert said[-2:] == ["TELEMETRY []", "LOADED"], said
    assert (tmp_path / "out/chest.png").is_file() and not (tmp_path / "intel").exists()  # OpenVINO's note to itself whom to report as


# Metadata and links

def test_settings_and_pyproject_agree():
    extra = PROJECT["optional-dependencies"]["dev"]
    assert PROJECT["name"] == SETTINGS["lib_name"]
    assert PROJECT["description"] == SETTINGS["description"]
    assert PROJECT["keywords"] == SETTINGS["keywords"].split()
    assert PROJECT["dependencies"] == SETTINGS["requirements"].split()
    assert extra == SETTINGS["dev_requirements"].split()
    assert PROJECT["requires-python"].split(",")[0] == f">={SETTINGS['min_python']}"
    assert [f"{name}={target}" for name, target in PROJECT["scripts"].items()] == SETTINGS["console_scripts"].split()
    assert PROJECT["authors"] == [{"name": SETTINGS["author"], "email": SETTINGS["author_email"]}]
    assert (PROJECT["license"], SETTINGS["license"]) == ("Apache-2.0", "apache2")
    assert PROJECT["urls"] == {"Repository": SETTINGS["git_url"], "Documentation": SETTINGS["doc_host"] + SETTINGS["doc_baseurl"]}
    assert PROJECT["classifiers"][0].startswith(f"Development Status :: {SETTINGS['status']} -")


def test_one_version():
    assert PROJECT["dynamic"] == ["version"]
    assert python("-c", "import bss_gan; print(bss_gan.__version__)").stdout.split() == [SETTINGS["version"]]
    assert f"## [{SETTINGS['version']}]" in (ROOT / "CHANGELOG.md").read_text()
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == SETTINGS["version"]


def test_nbdev_2_and_3_are_told_the_same():
    told = {key: str(value).lower() if isinstance(value, bool) else value for key, value in PYPROJECT["tool"]["nbdev"].items()}
    assert told == {key: SETTINGS[key].lower() if told[key] in ("true", "false") else SETTINGS[key] for key in told}


def test_python_versions_agree():
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    tested = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert named == tested == ["3.11", "3.12", "3.13"]
    assert PROJECT["requires-python"] == ">=3.11,<3.14"


def test_site_description_comes_from_settings(tmp_path):
    project = copy_project(tmp_path)
    python("-c", "from nbdev.quarto import refresh_quarto_yml; refresh_quarto_yml()", cwd=project)
    for page in ("nbdev.yml", "_quarto.yml"): assert (project / "nbs" / page).read_text() == (NBS / page).read_text()


def test_readme_is_made_from_the_index():
    fresh = python(ROOT / ".ci/readme.py").stdout
    assert fresh == (ROOT / "README.md").read_text(), "run: python .ci/readme.py > README.md"


def test_readme_links_are_absolute():
    links = re.findall(r"\]\(([^)]+)\)", (ROOT / "README.md").read_text())
    assert links and [link for link in links if not re.match(r"https?:|#", link)] == []


def test_a_change_of_a_chapter_goes_as_contributing_says(tmp_path):
    lines = re.sub("^nbdev_test.*", "", documented_lines("tests/course/test_project.py"), flags=re.M)  # tests/course/test_notebooks.py does this for every chapter
    project = copy_project(tmp_path)
    for part in (".ci", ".gitignore", "README.md"):
        if (ROOT / part).is_dir(): shutil.copytree(ROOT / part, project / part)
        else: shutil.copy(ROOT / part, project / part)
    git = ["git", "-c", "user.name=somebody", "-c", "user.email=somebody@example.org"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "before"]): run(*git, *command, cwd=project)
    chapter = project / "nbs/11_metrics.ipynb"
    before = chapter.read_text()
    chapter.write_text(before.replace("Peak signal-to-noise ratio", "Peak ratio of signal to noise"))
    assert chapter.read_text() != before
    done = run("bash", "-euc", lines, cwd=project, env={"PATH": f"{tool('python').parent}:{os.environ['PATH']}", "PYTHONPATH": str(project)})
    assert done.stdout.splitlines()[-2:] == [" M bss_gan/metrics.py", " M nbs/11_metrics.ipynb"]


@every_notebook
def test_colab_badge_and_install_line_name_this_repository(notebook):
    text = "\n".join(cell.source for cell in nbformat.read(notebook, 4).cells)
    target = f"https://colab.research.google.com/github/{REPOSITORY}/blob/{SETTINGS['branch']}/nbs/{name(notebook)}"
    opened = re.findall(r"https://colab\.research\.google\.com/github/[^\s)\"]+", text)
    assert set(opened) <= {target} or notebook.name == SETTINGS["readme_nb"]
    assert set(re.findall(r"git\+(https://\S+?)[\"']", text)) <= {SETTINGS["git_url"]}
    if opened: assert f'%pip install -q "bss_gan @ git+{SETTINGS["git_url"]}"' in text or notebook.name == SETTINGS["readme_nb"]


def texts():
    "Every file in which a link to the own repository may stand."
    files = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "CITATION.cff", "pyproject.toml")]
    return files + [NBS / "_quarto.yml", *sorted((ROOT / ".github").rglob("*.*"))] + NOTEBOOKS


@pytest.mark.parametrize("path", texts(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_to_this_repository_match_settings(path):
    own = re.findall(r"(?:github\.com|githubusercontent\.com|colab\.research\.google\.com/github)/([\w.-]+/[\w.-]+)", path.read_text())
    assert {repository for repository in own if re.search("bss.?gan", repository)} <= {REPOSITORY, f"YOU/{SETTINGS['repo']}"}
    assert set(re.findall(r"https://([\w-]+)\.github\.io/bss", path.read_text())) <= {SETTINGS["user"]}


@every_notebook
def test_relative_links_lead_somewhere(notebook):
    text = "\n".join(cell.source for cell in nbformat.read(notebook, 4).cells if cell.cell_type == "markdown")
    links = re.findall(r"\]\((?![a-z]+:|#)([^)#\s]+)", text)
    assert [link for link in links if not (notebook.parent / link).exists()] == []
