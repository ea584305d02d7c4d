"""What mkdocs calls while it builds: pages made from the code, and pictures in the place of their names."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))  # the site is that of this checkout, whatever is installed

from mkdocs.structure.files import File, Files  # noqa: E402

from docs._code import benchmark_page, command_page, pictures, python_pages, sweep_page  # noqa: E402

PICTURE = re.compile(r"^<!-- picture: (\w+) -->$", flags=re.MULTILINE)


def generated() -> dict[str, str]:
    """Return the pages that are made from the code, by their path in the site."""
    return {
        "reference/sweep_file.md": sweep_page.page(),
        "reference/commands.md": command_page.page(),
        "benchmarks.md": benchmark_page.page(ROOT / "benchmarks" / "results"),
        **python_pages.pages(),
    }


def on_files(files: Files, config: Any) -> Files:
    for path, content in generated().items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    return PICTURE.sub(lambda found: pictures.figure(found[1]), markdown)
