"""What the text goldens share: versions and output under core/text/tests/goldens. Needs no weights and no torch."""

import argparse
import json
import os
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = ROOT / "core" / "text" / "tests" / "goldens"


def data_folder(description):
    """The data folder from `--data`, else `SOTTO_DATA`, else `../shared/data` beside the repository."""
    parser = argparse.ArgumentParser(description=description)
    default = os.environ.get("SOTTO_DATA", ROOT.parent / "shared" / "data")
    parser.add_argument("--data", type=Path, default=Path(default), help="folder with speech/")
    return parser.parse_args().data


def write(name, script, packages, **content):
    """One golden file: where it comes from, then one line per entry so that differences can be read."""
    content = {"script": f"scripts/goldens/{Path(script).name}", **{p: version(p) for p in packages}, **content}
    lines = []
    for key, value in content.items():
        if isinstance(value, list) and value and isinstance(value[0], (list, dict)):
            rows = ",\n".join(json.dumps(row, ensure_ascii=True) for row in value)
            lines.append(f"{json.dumps(key)}: [\n{rows}\n]")
        else:
            lines.append(f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=True)}")
    OUTPUT.mkdir(parents=True, exist_ok=True)
    path = OUTPUT / name
    path.write_text("{" + ",\n".join(lines) + "}\n", encoding="utf-8")
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size} bytes")
