"""Hooks of mkdocs: add the pages made from the code, and put pictures and benchmark reports where pages name them."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
sys.path.insert(0, str(ROOT))  # the site documents this checkout, whatever version is installed

from mkdocs.config.defaults import MkDocsConfig  # noqa: E402
from mkdocs.structure.files import File, Files  # noqa: E402

from docs._code import benchmark_page, command_page, error_page, pictures, python_pages, sweep_page  # noqa: E402

PICTURE = re.compile(r"^<!-- picture: (\w+) -->$", flags=re.MULTILINE)

BENCHMARK = re.compile(r"^<!-- benchmark: (\w+) -->$", flags=re.MULTILINE)


def generated() -> dict[str, str]:
    """Return the pages that are made from the code, by their paths in the site."""
    return {
        "reference/sweep_file.md": sweep_page.page(),
        "reference/commands.md": command_page.page(),
        "reference/errors.md": error_page.page(),
        "benchmarks.md": benchmark_page.page(RESULTS),
        **python_pages.pages(),
    }


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    for path, content in generated().items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Put every picture, and the kept reports of every benchmark, in the place of their names."""
    with_pictures = PICTURE.sub(lambda found: pictures.figure(found[1]), markdown)
    return BENCHMARK.sub(lambda found: benchmark_page.kept(found[1], RESULTS), with_pictures)
