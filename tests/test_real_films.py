"""Real radiographs, where they are at hand: they cannot be redistributed, so these tests skip elsewhere."""
import cv2, pytest
from project import COMMAND, run

from bss_gan.core import find_images, read_film
from bss_gan.data import find_pairs


def test_jsrt_pairs_are_all_found(shared_data):
    report = find_pairs(shared_data / "jsrt")
    assert (len(report.pairs), len({pair.case for pair in report.pairs}), report.problems) == (126, 126, ())


@pytest.mark.parametrize("folder, bone_dark", [("jsrt/source", True), ("des/source", False), ("cxr", False)])
def test_polarity_is_recognised_on_every_film(shared_data, folder, bone_dark):
    films, _ = find_images(shared_data / folder)
    assert films and [film.name for film in films if read_film(film).bone_dark != bone_dark] == []


def test_real_films_come_back_in_their_own_size(shared_data, trained, tmp_path):
    films = find_images(shared_data / "cxr")[0][:3]
    run(*COMMAND, "suppress", *films, "--out", tmp_path, "--weights", trained)
    for film in films:
        before, after = (cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in (film, tmp_path / f"{film.stem}.png"))
        assert (after.shape, after.dtype) == (before.shape[:2], before.dtype)
