"""Plotly figures as SVG, drawn by an installed Chromium; kaleido is not needed."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import plotly.graph_objects as go

PAGE = """<!DOCTYPE html><meta charset="utf-8"><div id="figure"></div><pre id="drawn"></pre>
<script>{plotly}</script>
<script>
(async () => {{
  const drawn = {{}};
  for (const [name, figure] of Object.entries({figures})) {{
    await Plotly.newPlot("figure", figure.data, figure.layout);
    const image = await Plotly.toImage("figure", {{format: "svg", width: {width}, height: {height}}});
    drawn[name] = decodeURIComponent(image.slice(image.indexOf(",") + 1));
  }}
  const bytes = new TextEncoder().encode(JSON.stringify(drawn));
  document.getElementById("figure").remove();
  document.getElementById("drawn").textContent =
    btoa(Array.from(bytes, byte => String.fromCharCode(byte)).join(""));
}})();
</script>
"""
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=60000", "--dump-dom")


def as_svg(figures: Mapping[str, go.Figure], *, width: int = 760, height: int = 420) -> dict[str, str]:
    """Return each figure as the text of an SVG file; sizes in pixels.

    Raises:
        RuntimeError: no Chromium is installed, or it drew nothing.
    """
    from plotly.offline import get_plotlyjs

    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        raise RuntimeError("the pictures need an installed Chromium, but none was found")
    data = {name: json.loads(figure.to_json()) for name, figure in figures.items()}
    text = json.dumps(data).replace("</", "<\\/")
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        page.write_text(PAGE.format(plotly=get_plotlyjs(), figures=text, width=width, height=height))
        profile = f"--user-data-dir={folder}/profile"
        done = subprocess.run(
            [browser, *FLAGS, profile, page.as_uri()],
            env=os.environ | {"TMPDIR": folder},
            capture_output=True,
            text=True,
            timeout=180,
            check=True,
        )
    found = re.search(r'<pre id="drawn">([^<]+)</pre>', done.stdout)
    if found is None:
        raise RuntimeError(f"Chromium drew nothing: {done.stderr[-500:]}")
    drawn: dict[str, str] = json.loads(base64.b64decode(found[1]))
    return {name: _with_fixed_names(text) for name, text in drawn.items()}


def _with_fixed_names(svg: str) -> str:
    """Replace the random names that plotly gives to parts, so that the same figure gives the same file."""
    found = dict.fromkeys(re.findall(r'id="(?:defs-|topdefs-|clip)([0-9a-f]{6})', svg))
    found |= dict.fromkeys(re.findall(r'class="trace scatter trace([0-9a-f]{6})"', svg))
    for number, name in enumerate(found):
        svg = svg.replace(name, f"part{number}")
    return svg
