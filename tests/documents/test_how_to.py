"""The how-to pages work: their files and edits are applied to a copy of the code, and their examples run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from tests.documents.snippets import HOW_TO, ROOT, snippets

CODE = ("orchestrator", "results", "search_space", "trials", "shrinksweep.py")
NO_CACHES = shutil.ignore_patterns("__pycache__")
RUN = """
import sys
from pathlib import Path
for file in map(Path, sys.argv[1:]):
    exec(compile(file.read_text(), file, "exec"), {})
"""
"""One process runs the examples of all pages, because each would have to load torch."""


@pytest.mark.slow
def test_every_how_to_page_works(tmp_path: Path) -> None:
    for name in CODE:
        copy = shutil.copy if name.endswith(".py") else partial(shutil.copytree, ignore=NO_CACHES)
        copy(ROOT / name, tmp_path / name)
    examples = []
    for page in sorted(HOW_TO.glob("*.md")):
        for snippet in snippets(page):
            if snippet.language == "diff":
                command = ["git", "apply", "--recount", "--unidiff-zero", "-"]
                applied = subprocess.run(
                    command, input=snippet.text, cwd=tmp_path, text=True, capture_output=True
                )
                assert not applied.returncode, f"{snippet.position} does not apply:\n{applied.stderr}"
            elif snippet.title:
                (tmp_path / snippet.title).write_text(snippet.text)
            else:
                examples.append(snippet.position.replace(":", "-"))
                (tmp_path / examples[-1]).write_text(snippet.text)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    subprocess.run([sys.executable, "-c", RUN, *examples], cwd=tmp_path, env=environment, check=True)
