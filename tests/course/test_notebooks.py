"""The cells of the notebooks pass as tests, and every lesson has its frame.

A lesson runs once, as Colab runs it (tests/course/test_colab.py). Here nbdev runs what does not open in Colab, and one chapter to
show that its own way works as well; with FULL=1 it runs them all."""
import re

import nbformat, pytest
from helpers.project import FULL, NBS, NOTEBOOKS, ROOT, answers, blocks, name, run, tool

CHAPTERS = [path for path in NOTEBOOKS if re.match(r"\d\d_", path.name)]
LESSONS = [*CHAPTERS, *(path for path in NOTEBOOKS if path.parent.name == "tutorials")]
every_notebook = pytest.mark.parametrize("notebook", NOTEBOOKS, ids=name)
every_lesson = pytest.mark.parametrize("notebook", LESSONS, ids=name)


IN_COLAB = [path for path in LESSONS if path.name != "03_files.ipynb"]


@pytest.mark.notebook
@pytest.mark.parametrize("notebook", [path for path in NOTEBOOKS if FULL or path not in IN_COLAB], ids=name)
def test_cells_pass(notebook):
    before = set(NBS.rglob("*"))
    done = run(tool("nbdev_test"), "--n_workers", "1", "--do_print", "--path", notebook, cwd=ROOT)
    assert f"Completed {notebook}" in done.stdout, "nbdev_test did not run this notebook"
    left = {path for path in set(NBS.rglob("*")) - before if "__pycache__" not in path.parts}
    assert left == set(), "the notebook leaves files behind"


@every_notebook
def test_no_notebook_switches_its_tests_off(notebook):
    text = "\n".join(cell.source for cell in nbformat.read(notebook, 4).cells)
    assert re.findall(r"skip_exec|#\|\s*eval:\s*false", text) == []


# The frame of a lesson

def texts(notebook):
    "The Markdown of a notebook, cell by cell."
    return [cell.source for cell in nbformat.read(notebook, 4).cells if cell.cell_type == "markdown"]


@every_lesson
def test_a_lesson_opens_with_what_it_teaches_needs_and_takes(notebook):
    opening = texts(notebook)[1]
    taught, needed = opening.split("**You need**")
    assert 3 <= len(re.findall(r"^- .+[;.]$", taught.split("**You will learn**")[1], re.M)) <= 5
    minutes, seconds = re.search(r"\*\*It takes\*\* an estimated (\d+) minutes to read and about (\d+) seconds to run on two cores", needed).groups()
    assert int(minutes) <= 60 and int(seconds) < 180


@every_lesson
def test_a_lesson_closes_with_what_was_built_and_what_to_try(notebook):
    built, rest = texts(notebook)[-1].split("## What you built")[1].split("## Try changing")
    exercises, hidden, way_on = re.split(r"<details><summary>Answers</summary>|</details>", rest)
    numbers = [re.findall(r"^(\d)\. ", text, re.M) for text in (exercises, hidden)]
    assert numbers[0] == numbers[1] == ["1", "2", "3", "4"][:len(numbers[0])] and len(numbers[0]) > 1
    assert "`" in built and "?" in exercises and "```python" in hidden
    linked = re.findall(r"\]\(([^)]+\.ipynb)\)", way_on)
    last = notebook not in CHAPTERS[:-1]
    assert "?" in way_on and (linked if last else linked[0] == CHAPTERS[CHAPTERS.index(notebook) + 1].name)


@every_notebook
def test_code_in_the_text_is_python(notebook):
    for text in texts(notebook):
        for code in blocks(text): compile(code, name(notebook), "exec")


def test_answers_are_found():
    cell = nbformat.v4.new_markdown_cell("```python\n0\n```\n<details><summary>Answers</summary>\n\n1. Look:\n\n   ```python\n   if 1:\n       2\n   ```\n\n</details>")
    assert answers(cell) == ["if 1:\n    2\n"] and answers(nbformat.v4.new_code_cell(cell.source)) == []
