"""Looks for files that break a reader, guided by the lines of Python that each file reaches.

python tests/fuzz/run.py [--runs 4000] [--readers film weights plan config keras fields same]

Needs atheris (pip install atheris). Says for each reader how many files were tried, and fails where one raised anything but
`BadInput`, took more than 10 seconds or more than 1 GB; atheris writes that file to the folder in which this runs."""
import argparse, subprocess, sys, tempfile, time
from pathlib import Path

HERE = Path(__file__).resolve().parent


def search(name, runs, seed):
    "Searches in its own process, which atheris ends."
    import atheris
    with atheris.instrument_imports(include=["bss_gan", "PIL", "h5py", "json"]):
        import readers
    reader = readers.READERS[name](tempfile.mkdtemp())
    corpus = Path(tempfile.mkdtemp())
    for number, data in enumerate(reader.seeds): (corpus / f"{number:03}").write_bytes(data)
    options = [f"-runs={runs}", f"-seed={seed}", "-timeout=10", "-rss_limit_mb=1024", "-max_len=65536", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], lambda data: readers.read(reader, data) and None)
    atheris.Fuzz()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=4000, help="files for each reader")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--readers", nargs="+", default=["film", "weights", "plan", "config", "keras", "fields", "same"])
    parser.add_argument("--here", help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.here: return search(wanted.here, wanted.runs, wanted.seed)
    failed = []
    for name in wanted.readers:
        begun = time.monotonic()
        done = subprocess.run([sys.executable, __file__, "--here", name, "--runs", str(wanted.runs), "--seed", str(wanted.seed)],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        facts = dict(line.split("::")[1].split(":") for line in done.stdout.splitlines() if line.startswith("stat::"))
        tried, memory = (int(facts.get(fact, 0)) for fact in ("number_of_executed_units", "peak_rss_mb"))
        print(f"{name}: {tried} files, {(time.monotonic() - begun) / 60:.1f} minutes, at most {memory} MB, "
              f"{'no fault' if done.returncode == 0 else 'FAULT'}", flush=True)
        if done.returncode: failed.append(done.stdout[-4000:])
    sys.exit("\n\n".join(failed))


if __name__ == "__main__": main()
