"""Saves the pictures in notebooks with 52 shades instead of 256, for pages that a reviewer can open: python .ci/pictures.py NOTEBOOK..."""
import base64, io, json, sys

import numpy as np
from PIL import Image


def smaller(png):
    "The same picture with fewer shades of each colour, grey if it has none, as text like the one given."
    levels = np.asarray(Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")).astype(np.uint16)
    levels = ((levels + 2) // 5 * 5).astype(np.uint8)
    grey = (levels == levels[..., :1]).all()
    packed = io.BytesIO()
    Image.fromarray(levels[..., 0] if grey else levels).save(packed, "PNG", optimize=True)
    return min(png, base64.b64encode(packed.getvalue()).decode(), key=len)


for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as file: notebook = json.load(file)
    for output in (output for cell in notebook["cells"] for output in cell.get("outputs", [])):
        data = output.get("data", {})
        if "image/png" in data: data["image/png"] = smaller(data["image/png"])
    with open(path, "w", encoding="utf-8") as file: file.write(json.dumps(notebook, sort_keys=True, indent=1, ensure_ascii=False) + "\n")
