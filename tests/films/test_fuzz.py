"""A file broken at random ends in `BadInput`, never in another error, a crash, a long wait or full memory. tests/fuzz/run.py searches longer."""
import pytest
from helpers.project import ROOT, python

BREAK = r"""
import faulthandler, random, re, sys, tempfile
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from readers import READERS, mutate, read
reader, draw, slowest = READERS[sys.argv[2]](tempfile.mkdtemp()), random.Random(7), 0
for seed in reader.seeds: read(reader, seed)
n = accepted = 0
while n < int(sys.argv[3]):  # counts files, not seconds, so that a slow machine tries as many
    data = mutate(draw.choice(reader.seeds), draw)
    faulthandler.dump_traceback_later(120, exit=True)  # a file that takes longer ends this process, with the line where it hangs
    try: accepted += read(reader, data)
    except BaseException:
        print("broken by", data, file=sys.stderr)
        raise
    n += 1
faulthandler.cancel_dump_traceback_later()
print(n, accepted, int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) // 1024)  # of this process alone
"""


@pytest.mark.parametrize("reader", ["film", "weights", "plan", "config", "keras", "fields"])
def test_broken_files_are_refused(reader):
    files = {"fields": 40, "plan": 3000, "config": 3000}.get(reader, 120)  # a few seconds each
    tried, accepted, megabytes = map(int, python("-c", BREAK, ROOT / "tests/fuzz", reader, str(files)).stdout.split())
    assert tried == files and 0 < accepted < tried and megabytes < 1000


def test_the_same_chest_in_another_valid_encoding_has_the_same_grey():
    tried, accepted, _ = map(int, python("-c", BREAK, ROOT / "tests/fuzz", "same", "40").stdout.split())
    assert accepted == tried == 40
