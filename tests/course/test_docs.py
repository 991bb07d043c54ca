"""The pages say what was measured."""
import csv, json

from helpers.project import NBS, ROOT


def test_the_lesson_on_each_part_shows_the_figures_that_were_measured():
    lesson = (NBS / "tutorials/what_each_part_earns.ipynb").read_text()
    with open(NBS / "results/ablation.csv", newline="") as file: rows = list(csv.DictReader(file))[1:]
    assert len(rows) == 27
    for row in rows:
        figures = [f"{float(row['PSNR']):.2f}", f"{float(row['fitted PSNR']):.2f}", f"{float(row['SSIM']):.4f}", f"{float(row['suppression']):+.3f}"]
        assert " | ".join(figures).replace(" 0.", " .").replace("+0.", "+.").replace("-0.", "-.") in lesson, row["row"]


def test_the_readme_shows_the_figures_of_the_results():
    readme = (ROOT / "README.md").read_text()
    short = lambda value: f"{value:.3f}".replace("0.", ".", 1)

    def figures(name):
        report = json.loads((NBS / "results" / f"{name}.json").read_text())
        return report["identity"], report["model"]

    for name in ("baseline", "residual", "residual_1024", "chest-v1_1024"):
        nothing, model = figures(f"jsrt_{name}")
        low, high = model["interval"]["suppression"]
        row = (f"{nothing['psnr']:.2f} dB | {model['psnr']:.2f} dB | {short(nothing['ssim'])} | {short(model['ssim'])} | "
               f"{short(model['suppression'])} ({short(low)} to {short(high)}) |")
        assert row in readme, f"{name}: {row}"
    for name in ("residual", "chest-sim-v1", "chest-v1"):
        nothing, model = figures(f"des_{name}")
        row = f"{nothing['psnr_fit']:.2f} dB | {model['psnr_fit']:.2f} dB | {short(model['suppression'])} |"
        assert row in readme, f"{name}: {row}"
