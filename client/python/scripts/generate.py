"""Generates models.py and events.py from the contract, the document that `courier contract export` prints.

python scripts/generate.py                 # from src/contract/snapshot.json
python scripts/generate.py --contract -    # from standard input, or a path
python scripts/generate.py --check         # change nothing; exit code 1 when a file is stale
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from contract import Contract
from event_source import events_source
from model_source import models_source

PYTHON_FOLDER = Path(__file__).resolve().parent.parent
PACKAGE = PYTHON_FOLDER / "courier_client"
SNAPSHOT = PYTHON_FOLDER.parent.parent / "src" / "contracts" / "lumiere" / "contract.snapshot.json"


def formatted(name: str, source: str) -> str:
    """The source, formatted by Ruff and without unused imports."""
    for command in (["check", "--fix-only", "--select", "F401,I"], ["format"]):
        ruff = [
            sys.executable,
            "-m",
            "ruff",
            *command,
            "--quiet",
            "--stdin-filename",
            str(PACKAGE / name),
            "-",
        ]
        source = subprocess.run(
            ruff, input=source, capture_output=True, text=True, check=True, cwd=PYTHON_FOLDER
        ).stdout
    return source


def main() -> int:
    parser = argparse.ArgumentParser(description="Generates the models, events and builders of courier_client.")
    parser.add_argument("--contract", default=str(SNAPSHOT), help="the document; - reads standard input")
    parser.add_argument("--check", action="store_true", help="change nothing; exit code 1 when files are stale")
    arguments = parser.parse_args()
    text = sys.stdin.read() if arguments.contract == "-" else Path(arguments.contract).read_text("utf-8")
    contract = Contract(json.loads(text))
    stale = []
    for name, source in (
        ("models.py", models_source(contract)),
        ("events.py", events_source(contract)),
    ):
        new = formatted(name, source)
        path = PACKAGE / name
        if path.exists() and path.read_text("utf-8") == new:
            continue
        stale.append(name)
        if not arguments.check:
            path.write_text(new, "utf-8")
    if stale and arguments.check:
        print(
            f"{', '.join(stale)}: not what the contract says: run client/python/scripts/generate.py",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
