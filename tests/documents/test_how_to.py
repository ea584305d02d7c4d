"""The how-to pages are done as they say, one after the other: files written, edits applied to a copy of the code, and
the result of each tried."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documents.snippets import HOW_TO, ROOT, snippets

PACKAGES = ("orchestrator", "results", "search_space", "trials")
TRY = """
import sys
from pathlib import Path
for file in map(Path, sys.argv[1:]):
    exec(compile(file.read_text(), file, "exec"), {})
"""
"""One process for all pages: each has to load torch."""


@pytest.mark.slow
def test_what_the_pages_say_works(tmp_path: Path) -> None:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    tried = []
    for page in sorted(HOW_TO.glob("*.md")):
        for snippet in snippets(page):
            if snippet.language == "diff":
                command = ["git", "apply", "--recount", "-"]
                applied = subprocess.run(
                    command, input=snippet.text, cwd=tmp_path, text=True, capture_output=True
                )
                assert not applied.returncode, (
                    f"the code has changed under {snippet.place}:\n{applied.stderr}"
                )
            elif snippet.title:
                (tmp_path / snippet.title).write_text(snippet.text)
            else:
                tried.append(snippet.place.replace(":", "-"))
                (tmp_path / tried[-1]).write_text(snippet.text)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    subprocess.run([sys.executable, "-c", TRY, *tried], cwd=tmp_path, env=environment, check=True)
