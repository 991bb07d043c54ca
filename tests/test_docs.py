"""The documentation site: nbdev turns every notebook into a page that Quarto can render."""
import nbformat
from project import NBS, NOTEBOOKS, copy_project, name, python


def test_every_notebook_becomes_a_page(tmp_path):
    project = copy_project(tmp_path)
    python("-c", "from nbdev.serve import proc_nbs; proc_nbs(n_workers=0, force=True)", cwd=project)
    for notebook in NOTEBOOKS:
        page = nbformat.read(project / "_proc" / name(notebook), 4)
        outputs = [output for cell in page.cells for output in cell.get("outputs", [])]
        assert [output for output in outputs if output["output_type"] == "error"] == []
        assert page.cells[0].source.startswith("---"), "without front matter Quarto has no title"
    for page in ("_quarto.yml", "nbdev.yml", "sidebar.yml", "styles.css"):
        assert (project / "_proc" / page).read_text() == (NBS / page).read_text()
