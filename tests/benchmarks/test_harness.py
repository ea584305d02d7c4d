"""The harness: targets, interleaving, the form of a report, and the run of all benchmarks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import pytest
import torch

from benchmarks import harness
from benchmarks.__main__ import benchmark_names
from benchmarks.harness import Figure, Measured, Report, Table, Timings, interleaved


@pytest.mark.parametrize(
    ("value", "target", "better", "met"),
    [
        (100.0, 100.0, "higher", True),
        (99.0, 100.0, "higher", False),
        (0.8, 0.8, "lower", True),
        (0.9, 0.8, "lower", False),
        (5.0, None, "higher", None),
        (None, 100.0, "higher", None),
    ],
)
def test_met_follows_target_and_direction(
    value: float | None, target: float | None, better: Literal["higher", "lower"], met: bool | None
) -> None:
    assert Figure("f", value, "MB/s", target, better).met is met


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_figure_that_is_not_finite_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="must be finite"):
        Figure("f", value, "s")


def test_interleaved_takes_turns_and_drops_the_warmup() -> None:
    calls: list[str] = []
    timings = interleaved(
        {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=3, warmup=1
    )
    assert "".join(calls) == "ab" + "ba" + "ab" + "ba"
    assert {name: len(times) for name, times in timings.seconds.items()} == {"a": 3, "b": 3}


def test_median_ratio_is_the_median_of_ratios_and_not_the_ratio_of_medians() -> None:
    timings = Timings({"plain": [1.0, 4.0, 6.0], "ours": [1.0, 1.0, 3.0]})
    assert timings.median_ratio("plain", "ours") == 2.0
    assert timings.median("plain") / timings.median("ours") == 4.0


def test_one_thread_restores_the_former_number() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with harness.one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_the_command_line_writes_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def measure(quick: bool) -> Measured:
        figures = [Figure("encode_MBps", 120.0, "MB/s", 100.0), Figure("peak_MB", None, "MB", 5.0, "lower")]
        return Measured(
            figures, {"size": 3 if quick else 5}, [Table("sizes", ["codec", "bits"], [["eg", 2.5]])]
        )

    harness.main("sample", measure, ["--quick", "--json", str(tmp_path / "out" / "sample.json")])
    content = json.loads((tmp_path / "out" / "sample.json").read_text())
    assert list(content) == ["benchmark", "machine", "versions", "configuration", "figures", "tables"]
    assert content["figures"][0] == {
        "name": "encode_MBps",
        "value": 120.0,
        "unit": "MB/s",
        "target": 100.0,
        "met": True,
    }
    assert content["figures"][1]["value"] is None
    assert content["figures"][1]["met"] is None
    assert content["configuration"] == {"quick": True, "size": 3}
    assert {"cpu", "cores", "python", "os", "date"} <= set(content["machine"])
    assert "encode_MBps" in capsys.readouterr().out


def test_saved_report_is_named_by_theme_hardware_and_date(tmp_path: Path) -> None:
    content: Report = {
        "benchmark": "coding",
        "machine": {
            "cpu": "AMD EPYC (tm)", "cores": 2, "python": "3.11", "os": "Linux", "date": "2026-01-02T03:04:05",
        },
        "versions": {},
        "configuration": {},
        "figures": [],
    }  # fmt: skip
    assert harness.save(content, folder=tmp_path).name == "coding-amd-epyc-tm-2-cores-2026-01-02.json"
    content["machine"]["gpu"] = "NVIDIA H100"
    assert harness.save(content, theme="speed", folder=tmp_path).name == "speed-nvidia-h100-2026-01-02.json"


def test_only_modules_that_run_as_a_script_are_benchmarks(tmp_path: Path) -> None:
    (tmp_path / "fronts.py").write_text('x = 1\nif __name__ == "__main__":\n    pass\n')
    (tmp_path / "helper.py").write_text("x = 1\n")
    (tmp_path / "__main__.py").write_text('\nif __name__ == "__main__":\n    pass\n')
    assert benchmark_names(tmp_path) == ["fronts"]
    assert "harness" not in benchmark_names(Path(harness.__file__).parent)
