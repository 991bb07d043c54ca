"""Real radiographs: they can't be redistributed, so these tests skip where they are missing."""
import cv2, pytest
from helpers.project import COMMAND, run

from bss_gan.dicom import open_film
from bss_gan.files import find_films
from bss_gan.data import find_pairs, find_same_patients


def test_jsrt_pairs_are_all_found(shared_data):
    report = find_pairs(shared_data / "jsrt")
    assert (len(report.pairs), len({pair.case for pair in report.pairs}), report.problems) == (126, 126, ())


def test_no_two_patients_look_like_one_and_copies_are_found(shared_data):
    films = find_films(shared_data / "jsrt/source")[0][:40] + find_films(shared_data / "cxr")[0][:20]
    copies = [1 - open_film(film).xray[30:-20, 25:-40][:, ::-1] ** 1.5 for film in films[::4]]
    assert [(films[m.first].stem, films[m.second].stem) for m in find_same_patients(films)] == []
    assert [(m.second, m.first) for m in sorted(find_same_patients(copies, films))] == [(4 * i, i) for i in range(len(copies))]


@pytest.mark.parametrize("folder, bone_dark", [("jsrt/source", True), ("des/source", False), ("cxr", False)])
def test_polarity_is_recognised_on_every_film(shared_data, folder, bone_dark):
    films, _ = find_films(shared_data / folder)
    assert films and [film.name for film in films if open_film(film).bone_dark != bone_dark] == []


def test_real_films_come_back_in_their_own_size(shared_data, trained, tmp_path):
    films = find_films(shared_data / "cxr")[0][:3]
    run(*COMMAND, "suppress", *films, "--out", tmp_path, "--weights", trained)
    for film in films:
        before, after = (cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in (film, tmp_path / f"{film.stem}.png"))
        assert (after.shape, after.dtype) == (before.shape[:2], before.dtype)
