"""Hooks of mkdocs: add the pages that are made from the code, and put pictures where pages name them."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))  # the site documents this checkout, whatever version is installed

from mkdocs.config.defaults import MkDocsConfig  # noqa: E402
from mkdocs.structure.files import File, Files  # noqa: E402

from docs._code import benchmark_page, command_page, error_page, pictures, python_pages, sweep_page  # noqa: E402

PICTURE = re.compile(r"^<!-- picture: (\w+) -->$", flags=re.MULTILINE)


def generated() -> dict[str, str]:
    """Return the pages that are made from the code, by their paths in the site."""
    return {
        "reference/sweep_file.md": sweep_page.page(),
        "reference/commands.md": command_page.page(),
        "reference/errors.md": error_page.page(),
        "benchmarks.md": benchmark_page.page(ROOT / "benchmarks" / "results"),
        **python_pages.pages(),
    }


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    for path, content in generated().items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Put every picture in the place of its name."""
    return PICTURE.sub(lambda found: pictures.figure(found[1]), markdown)
