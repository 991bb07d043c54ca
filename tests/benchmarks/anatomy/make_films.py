"""Draws the simulated films that the network behind `bss_gan.anatomy` learns from, and others to test it with.

    python make_films.py --data DATA --out SIM
    python make_films.py --data DATA --out FRESH --fresh

DATA/ct holds CTs with their labels. A sub-folder for each source: the drawn thorax, the CT of the package, other CTs.
"""
import argparse
from pathlib import Path

import cv2
from bss_gan.ct import example_scan, read_scan
from bss_gan.simulation import write_pairs

SIDE = 160
SCANS = "C3N-00249", "Lung_Dx-A0001", "Lung_Dx-A0002"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder with the data sets")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--fresh", action="store_true", help="films of other seeds, to test with")
    parser.add_argument("--limit", type=int, default=1000, help="films of one source at most")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)

    def write(name, count, seed, source, wide=True):
        write_pairs(arguments.out / name, min(count, arguments.limit), SIDE, seed=seed, source=source, wide=wide)

    if arguments.fresh:
        write("thorax", 60, 50000, "thorax")
        write("thorax_plain", 30, 60000, "thorax", wide=False)
        write("ct0", 60, 50000, example_scan())
        return
    write("thorax", 500, 1000, "thorax")
    write("ct0", 60, 1000, example_scan())
    for number, name in enumerate(SCANS):
        path = arguments.data / "ct" / name
        write(f"ct{number + 1}", 40, 2000 + 1000 * number, read_scan(f"{path}.nii.gz", f"{path}_labels.nii.gz"))


if __name__ == "__main__": main()
