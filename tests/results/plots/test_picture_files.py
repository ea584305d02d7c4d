"""Figures are written by the ending of their file."""

from __future__ import annotations

from pathlib import Path

import plotly.graph_objects as go
import pytest

from results import ResultsError
from results.plots import picture_files
from results.plots.picture_files import write_picture


def test_a_page_needs_no_other_package(tmp_path: Path) -> None:
    path = write_picture(go.Figure(go.Scatter(x=[1], y=[2])), str(tmp_path / "new" / "front.html"))
    assert "plotly" in path.read_text()


@pytest.mark.parametrize("ending", ["svg", "pdf", "png"])
def test_a_picture_is_drawn_by_kaleido(ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_files, "find_spec", lambda name: None)
    with pytest.raises(ResultsError, match=r"needs shrinksweep\[pictures\], which is not installed"):
        write_picture(go.Figure(), tmp_path / f"front.{ending}")
    drawn: list[Path] = []
    monkeypatch.setattr(picture_files, "find_spec", lambda name: name)
    monkeypatch.setattr(go.Figure, "write_image", lambda figure, path, width, height: drawn.append(path))
    assert (
        write_picture(go.Figure(), tmp_path / f"front.{ending}") == tmp_path / f"front.{ending}" == drawn[0]
    )


def test_what_cannot_be_drawn_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ResultsError, match=r"must end in .svg, .pdf, .png, .html, but got 'front.gif'"):
        write_picture(go.Figure(), "front.gif")
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match="must be drawn and written"):
        write_picture(go.Figure(), tmp_path / "file" / "front.html")

    def no_browser(*_: object, **__: object) -> None:
        raise RuntimeError("Kaleido requires\n\nGoogle Chrome to be installed.")

    monkeypatch.setattr(picture_files, "find_spec", lambda name: name)
    monkeypatch.setattr(go.Figure, "write_image", no_browser)
    with pytest.raises(ResultsError, match="Kaleido requires Google Chrome to be installed"):
        write_picture(go.Figure(), tmp_path / "front.svg")
