#!/usr/bin/env python3
"""Writes an HTML sheet of test photographs with what people and models wrote of them.

    python3 tools/data/caption_sheet.py SOURCE SHEET.html NAME=CAPTIONS.json …

SOURCE is the folder of prepare.py, CAPTIONS.json what `bt-train eval RUN --data captions.npz --captions` wrote. The
photographs are in the sheet: their licences are not ours, so it does not go into the repository. Every twelfth picture
of the test part is shown, 24 of 300, whatever was written of it.
"""
import base64
import html
import json
import sys
import tarfile
from pathlib import Path

SHOWN = 24

STYLE = """body{font:15px/1.4 system-ui,sans-serif;margin:2em auto;max-width:60em}
figure{display:grid;grid-template-columns:160px 1fr;gap:1em;margin:0 0 1.2em}
img{width:160px;height:120px;image-rendering:pixelated}
dl{display:grid;grid-template-columns:8em 1fr;margin:0;align-content:start}dt{color:#666}dd{margin:0}"""


def main():
    if len(sys.argv) < 4 or not all("=" in word for word in sys.argv[3:]):
        sys.exit("usage: caption_sheet.py SOURCE SHEET.html NAME=CAPTIONS.json …")
    folder = Path(sys.argv[1]) / "captions"
    told = {name: json.load(open(path)) for name, path in (word.split("=", 1) for word in sys.argv[3:])}
    lines = [json.loads(line) for line in open(folder / "captions.jsonl")]
    test = [line for line in lines if line["split"] == "test"]
    for name, captions in told.items():
        if len(captions) != len(test):
            sys.exit(f"{name}: has {len(captions)} captions, the test part has {len(test)} pictures")
    chosen = range(0, len(test), max(1, len(test) // SHOWN))
    names = {test[at]["image"] for at in chosen}
    with tarfile.open(folder / "images_80x60_jpeg.tar") as tar:
        members = [member for member in tar if Path(member.name).name in names]
        pictures = {Path(member.name).name: tar.extractfile(member).read() for member in members}
    figures = []
    for at in list(chosen)[:SHOWN]:
        image = base64.b64encode(pictures[test[at]["image"]]).decode()
        rows = [("people", test[at]["captions"][0])]
        rows += [(name, captions[at]["caption"]) for name, captions in told.items()]
        rows = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(text)}</dd>" for name, text in rows)
        figures.append(f'<figure><img alt="" src="data:image/jpeg;base64,{image}"><dl>{rows}</dl></figure>')
    page = f'<!doctype html><html lang="vi"><meta charset="utf-8"><title>Captions</title><style>{STYLE}</style>'
    Path(sys.argv[2]).write_text(page + "".join(figures) + "</html>\n", encoding="utf-8")


if __name__ == "__main__":
    main()
