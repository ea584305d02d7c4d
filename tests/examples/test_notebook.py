"""The example notebook, from launch to a chosen network, as its reader runs it."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]


# Jupyter warns of its own future and leaves sockets to the garbage collector.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_notebook_goes_from_launch_to_a_chosen_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHRINKSWEEP_RUN", str(tmp_path / "runs/analysis"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(ROOT / "examples/analysis.ipynb", as_version=4)
    assert all(not cell.outputs for cell in notebook.cells if cell.cell_type == "code")
    NotebookClient(notebook, timeout=280, resources={"metadata": {"path": str(tmp_path)}}).execute()
    *_, last = (cell for cell in notebook.cells if cell.cell_type == "code")
    measured, stored = last.outputs[0].text.split("the row says")
    assert f"{float(stored):.4f}" in measured
    assert (tmp_path / "runs/network/load.py").exists()
