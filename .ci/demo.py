"""Builds the page on which the generator can be tried, as a folder that any server of plain files can show.

    python .ci/demo.py FOLDER          # needs npm, and the package with its extra `onnx`
    python -m http.server --directory FOLDER
"""
import gzip, hashlib, json, shutil, subprocess, sys, tempfile
from importlib.resources import files
from pathlib import Path

import numpy as np

from bss_gan import dicom
from bss_gan.images import OUTPUTS, example_film, resize, write_film
from bss_gan.dicom import open_film
from bss_gan.files import ModelConfig, write_json
from bss_gan.export import find_weights
from bss_gan.simulation import simulate

SOURCE = Path(__file__).resolve().parent.parent / "nbs" / "demo"
WEIGHTS = "chest-v1"
BUNDLED = ("dicom-parser", "fast-png", "fflate", "jpeg-lossless-decoder-js")  # packages that are scripts
DECODERS = {"codec-charls": "charlswasm", "codec-libjpeg-turbo-8bit": "libjpegturbowasm",
            "codec-openjpeg": "openjpegwasm", "codec-openjph": "openjphjs"}
WORDS = dicom._WORDS
RUNTIMES = {"ort.wasm.bundle.min.mjs": "ort-wasm-simd-threaded.wasm", "ort.webgpu.bundle.min.mjs": "ort-wasm-simd-threaded.asyncify.wasm"}
FILMS = {"simulated_1.png": ("Simulated, from a CT", 2, "ct"), "simulated_2.png": ("Simulated, a phantom", 4, "thorax")}


def install(folder):
    "The packages of nbs/demo/package.json, in exactly the versions of its lock file; none of their scripts is run."
    for name in ("package.json", "package-lock.json"): shutil.copy(SOURCE / name, folder)
    subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], cwd=folder, check=True)
    return folder / "node_modules"


def find_decoder(modules, name, ending):
    "The part of a package that only decodes, if it has one, else all of it."
    paths = (modules / "@cornerstonejs" / name / "dist" / f"{DECODERS[name]}{part}.{ending}" for part in ("_decode", ""))
    return filter(Path.exists, paths)


def bundle(modules, vendor):
    "Each package as one JavaScript module of its own."
    entries = list(BUNDLED) + [f"{name}={next(find_decoder(modules, name, 'js'))}" for name in DECODERS]
    options = ["--bundle", "--minify", "--format=esm", "--legal-comments=eof", "--log-level=warning", f"--outdir={vendor}"]
    nodes_own = [f"--external:{name}" for name in ("fs", "path", "crypto", "ws")]
    subprocess.run([modules / ".bin" / "esbuild", *entries, *options, *nodes_own], cwd=modules.parent, check=True)
    for name in DECODERS: shutil.copy(next(find_decoder(modules, name, "wasm")), vendor)


def pack(source, target):
    "Compressed, the same from the same on every day."
    target.write_bytes(gzip.compress(source.read_bytes(), 9, mtime=0))


def copy_runtimes(modules, vendor):
    for script, binary in RUNTIMES.items():
        shutil.copy(modules / "onnxruntime-web/dist" / script, vendor)
        pack(modules / "onnxruntime-web/dist" / binary, vendor / f"{binary}.gz")


def licences(modules):
    "The terms of all that is copied, one after the other."
    packages = json.loads((modules.parent / "package-lock.json").read_text())["packages"]
    texts = []
    for folder in (modules.parent / name for name, facts in packages.items() if name and not facts.get("dev") and not facts.get("optional")):
        facts, found = json.loads((folder / "package.json").read_text()), sorted(folder.glob("LICENSE*"))
        texts.append("\n".join([f"{facts['name']} {facts['version']} ({facts['license']})", *(path.read_text() for path in found)]))
    return "\n\n".join(texts)


def export(folder):
    "The network as the command writes it, packed; its facts."
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / f"{WEIGHTS}.onnx"
        subprocess.run([sys.executable, "-m", "bss_gan", "export", "--weights", WEIGHTS, "--format", "onnx", "--out", path], check=True)
        pack(path, folder / f"{WEIGHTS}.onnx.gz")
    config = ModelConfig(**find_weights(WEIGHTS).card["architecture"])
    return {"weights": WEIGHTS, "file": f"{WEIGHTS}.onnx.gz", "size": config.size, "step": max(2 ** (config.levels - 1), 2**config.d_levels)}


def read_votes():
    "The weights of the network that judges a film: the shape and the values of each kernel and bias."
    with np.load(str(files("bss_gan") / "weights" / "anatomy.npz")) as stored:
        return [{"shape": stored[name].shape, "values": stored[name].ravel().astype(float).tolist()} for name in stored.files]


def write_films(folder):
    "Films to try, each with a small picture of it."
    films = {name: (text, simulate(seed, 1024, source).xray) for name, (text, seed, source) in FILMS.items()}
    films["chest.png"] = ("A real film", open_film(example_film()).xray)
    for name, (_, xray) in films.items():
        write_film(folder / name, xray)
        write_film(folder / "small" / name, resize(xray, 192))
    write_json(folder / "films.json", [{"file": name, "text": text} for name, (text, _) in films.items()])


def fill_in(folder):
    "Tells the service worker which small files it shall fetch at once, and a version that changes with any file."
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "sw.js")
    version = hashlib.sha256(b"".join(path.relative_to(folder).as_posix().encode() + path.read_bytes() for path in files)).hexdigest()
    small = ["./"] + [path.relative_to(folder).as_posix() for path in files if path.parent == folder and path.suffix != ".gz"]
    script = (folder / "sw.js").read_text().replace("VERSION", version[:16]).replace('["FILES"]', json.dumps(small))
    (folder / "sw.js").write_text(script)


def build(folder, modules):
    "Fills a folder that does not exist yet, from our own files and those that were installed."
    vendor = folder / "vendor"
    vendor.mkdir(parents=True)
    for path in SOURCE.iterdir():
        if path.suffix in (".html", ".js", ".css"): shutil.copy(path, folder)
    bundle(modules, vendor)
    copy_runtimes(modules, vendor)
    (vendor / "LICENCES.txt").write_text(licences(modules))
    facts = export(folder)
    packed = {path.relative_to(folder).as_posix(): path.stat().st_size for path in folder.rglob("*.gz")}
    write_json(folder / "model.json", facts | {"bytes": packed})
    write_json(folder / "anatomy.json", read_votes())
    write_json(folder / "words.json", WORDS)
    write_films(folder / "films")
    for path in folder.rglob(OUTPUTS): path.unlink()  # no part of the page, and hosts leave out hidden files
    fill_in(folder)


if __name__ == "__main__":
    target = Path(sys.argv[1]).resolve()  # esbuild runs in another folder
    if target.is_dir() and any(target.iterdir()): sys.exit(f"{target}: is not empty. Remove it first, or choose another folder.")
    with tempfile.TemporaryDirectory() as place: build(target, install(Path(place)))
