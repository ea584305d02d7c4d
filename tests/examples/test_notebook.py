"""The example notebook, run like a reader does."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]


# Jupyter raises deprecation warnings, and leaves sockets to the garbage collector.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_notebook_runs_from_a_launch_to_an_exported_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHRINKSWEEP_RUN", str(tmp_path / "runs/analysis"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(ROOT / "examples/analysis.ipynb", as_version=4)
    assert all(not cell.outputs for cell in notebook.cells if cell.cell_type == "code")
    NotebookClient(notebook, timeout=280, resources={"metadata": {"path": str(tmp_path)}}).execute()
    *_, last = (cell for cell in notebook.cells if cell.cell_type == "code")
    measured, stored = last.outputs[0].text.split("stored accuracy")
    assert f"{float(stored):.4f}" in measured
    assert float(stored) > 0.8  # a tenth would be chance
    assert (tmp_path / "runs/network/load.py").exists()
    assert (tmp_path / "runs/report.html").exists()
