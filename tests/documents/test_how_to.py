"""The how-to pages are done as they say: files written, edits applied to a copy of the code, and the result tried."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documents.snippets import HOW_TO, ROOT, snippets

PACKAGES = ("orchestrator", "results", "search_space", "trials")


@pytest.mark.slow
@pytest.mark.parametrize("page", sorted(HOW_TO.glob("*.md")), ids=lambda page: page.stem)
def test_what_a_page_says_works(page: Path, tmp_path: Path) -> None:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    for snippet in snippets(page):
        if snippet.language == "diff":
            command = ["git", "apply", "--recount", "-"]
            applied = subprocess.run(
                command, input=snippet.text, cwd=tmp_path, text=True, capture_output=True
            )
            assert not applied.returncode, f"the code has changed under {snippet.place}:\n{applied.stderr}"
        elif snippet.title:
            (tmp_path / snippet.title).write_text(snippet.text)
        else:
            environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
            command = [sys.executable, "-c", snippet.text]
            subprocess.run(command, cwd=tmp_path, env=environment, check=True)
