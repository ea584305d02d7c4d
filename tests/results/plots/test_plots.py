from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from results import ResultsError, Run, RunDirectory, UnknownColumnError
from results.plots.fronts import MAX_POINTS, front_figure
from results.plots.genotype_layout import lay_out, read_cells
from results.plots.parallel import parallel_figure
from results.plots.plots import genotype_svg
from results.plots.style import (
    MAX_SVG_POINTS,
    PALETTE,
    SYMBOLS,
    color_scale,
    escape,
    marker_style,
    number_text,
    with_robust_y,
)
from tests.results.pictures import GENOTYPES, night
from tests.results.rows import point_rows

SVG = "{http://www.w3.org/2000/svg}"
PICTURES: dict[str, Callable[[Run], go.Figure]] = {
    "front": lambda run: run.plot_front(),
    "front against memory by tau": lambda run: run.plot_front("memory_bytes", color="threshold"),
    "fronts": lambda run: run.plot_fronts(by="regularization"),
    "attainment": lambda run: run.plot_attainment(),
    "sparsity": lambda run: run.plot_sparsity(),
    "hypervolume": lambda run: run.plot_hypervolume("wall_s"),
    "learning curves": lambda run: run.plot_learning_curves(by="space.splitting"),
    "learning curves of all": lambda run: run.plot_learning_curves("loss"),
    "parallel": lambda run: run.plot_parallel(),
}


@pytest.fixture
def run(local: RunDirectory) -> Run:
    return night(local)


def test_results_is_imported_without_plotly() -> None:
    code = "import sys, results; sys.exit(bool({'plotly', 'torch', 'ray'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", PICTURES)
def test_every_figure_has_traces_a_transparent_background_and_titles(name: str, run: Run) -> None:
    figure = PICTURES[name](run)
    assert len(figure.data) > 0
    assert figure.layout.template.layout.paper_bgcolor == "rgba(0,0,0,0)"
    assert json.loads(figure.to_json())
    if name != "parallel":
        assert figure.layout.xaxis.title.text
        assert figure.layout.yaxis.title.text


@pytest.mark.parametrize("name", PICTURES)
def test_figures_of_an_empty_run_are_empty(name: str, local: RunDirectory) -> None:
    figure = PICTURES[name](night(local, trials=0))
    assert all(not len(trace.x if trace.type != "parcoords" else trace.dimensions) for trace in figure.data)


@pytest.mark.parametrize("name", PICTURES)
def test_figures_of_one_trial(name: str, local: RunDirectory) -> None:
    assert json.loads(PICTURES[name](night(local, trials=1)).to_json())


def test_every_point_is_in_the_front_figure_once(run: Run) -> None:
    figure = run.plot_front()
    dots = [trace for trace in figure.data if trace.mode == "markers"]
    labels = [row[0] for trace in dots for row in trace.customdata]
    assert sorted(labels) == sorted(run.points()["point"])
    large = [row[0] for trace in dots if trace.marker.size == 11 for row in trace.customdata]
    assert sorted(large) == sorted(run.front()["point"])


def test_each_value_is_named_once_in_the_legend(run: Run) -> None:
    shown = [trace.name for trace in run.plot_front().data if trace.showlegend]
    assert shown == ["front of the two axes", "s = 1", "s = 2", "s = 4"]


def test_many_distinct_numbers_get_a_colour_scale(local: RunDirectory) -> None:
    points = pd.concat([pd.DataFrame(point_rows(index)) for index in range(20)], ignore_index=True)
    points["regularization"] = np.geomspace(1e-6, 1e-2, len(points))
    figure = front_figure(points, np.zeros(len(points), dtype=bool), {}, color="regularization")
    marker = figure.data[-1].marker
    assert (marker.cmin, marker.cmax) == (-6.0, -2.0)
    assert marker.colorbar.ticktext[0] == "1e-6"


def test_large_figures_use_webgl_and_keep_the_whole_front() -> None:
    count = 2 * MAX_POINTS
    points = pd.DataFrame(point_rows(0)).iloc[np.arange(count) % 2].reset_index(drop=True)
    front = np.zeros(count, dtype=bool)
    front[::100] = True
    figure = front_figure(points, front, {})
    assert {trace.type for trace in figure.data if trace.mode == "markers"} == {"scattergl"}
    drawn = [len(trace.x) for trace in figure.data if trace.mode == "markers"]
    assert MAX_POINTS / 2 < sum(drawn) <= MAX_POINTS + front.sum()
    assert drawn[-1] == front.sum()
    assert count > MAX_SVG_POINTS


def test_points_without_a_value_on_an_axis_are_left_out(run: Run) -> None:
    figure = run.plot_front("latency_1_ms")
    assert [len(trace.x) for trace in figure.data] in ([], [0])


def test_the_band_is_between_the_levels(run: Run) -> None:
    band, median, dots = run.plot_attainment().data
    assert band.fill == "toself"
    assert min(band.y) <= min(median.y)
    assert max(band.y) >= max(median.y)
    assert set(dots.x) <= set(median.x)


def test_hypervolume_ends_at_its_final_value(run: Run) -> None:
    (trace,) = run.plot_hypervolume().data
    assert trace.y[-1] == 1.0
    assert list(trace.x) == list(range(1, 13))


def test_sparsity_has_a_mean_for_each_lambda_and_its_networks(run: Run) -> None:
    thin, bold = (
        [trace for trace in run.plot_sparsity().data if bool(trace.name) == named] for named in (False, True)
    )
    assert [trace.name for trace in bold] == ["λ = 0", "λ = 0.001"]
    assert [len(trace.x) for trace in bold] == [3, 3]
    assert [int(np.isnan(trace.x).sum()) for trace in thin] == [6, 6]  # a gap after each network


def test_costs_over_decades_are_on_a_logarithmic_axis(local: RunDirectory) -> None:
    points = pd.concat([pd.DataFrame(point_rows(i, macs=10 ** (3 + i))) for i in range(4)], ignore_index=True)
    front = np.zeros(len(points), dtype=bool)
    assert front_figure(points, front, {}).layout.xaxis.type == "log"
    assert front_figure(points, front, {}, x="memory_bytes").layout.xaxis.type is None


def test_unknown_columns_are_errors_with_the_nearest_name(run: Run) -> None:
    for draw in (
        lambda: run.plot_front("mac"),
        lambda: run.plot_front(color="spliting"),
        lambda: run.plot_fronts(by="spliting"),
        lambda: run.plot_learning_curves("acuracy"),
        lambda: run.plot_learning_curves(by="spliting"),
        lambda: run.plot_parallel("acuracy"),
        lambda: run.plot_hypervolume("trial"),
    ):
        with pytest.raises(UnknownColumnError, match="did you mean"):
            draw()


def test_where_filters_points(run: Run) -> None:
    figure = run.plot_front(where="splitting == 2")
    assert [trace.name for trace in figure.data if trace.showlegend] == ["front of the two axes", "s = 2"]


def test_several_runs_have_separate_lines(local: RunDirectory) -> None:
    run = Run([night(local).directory, local], ["a", "b"])
    first = run.plot_sparsity().data[0]
    assert {row[1].split("/")[0] for row in first.customdata if row[1]} == {"a", "b"}
    assert len(run.plot_hypervolume().data) == 2


def test_each_series_has_its_own_colour_and_symbol() -> None:
    assert len(set(PALETTE)) == len(set(SYMBOLS)) == len(PALETTE)
    assert len({tuple(marker_style(index).values()) for index in range(len(PALETTE))}) == len(PALETTE)


def test_text_is_escaped_for_plotly() -> None:
    assert escape("<b>%{x}</b> & more") == "&lt;b&gt;&#37;{x}&lt;/b&gt; &amp; more"


@pytest.mark.parametrize(
    ("value", "column", "expected"),
    [(0.5, "accuracy", "50.0 %"), (1_234_567, "macs", "1.23M"), (9_999, "macs", "9999"), (12_345, "", "12.3k"),
     (-2.5e9, "", "-2.5G"), (pd.NA, "", "not measured"), ("best", "codec", "best"), (float("inf"), "", "inf")],
)  # fmt: skip
def test_numbers_are_short(value: object, column: str, expected: str) -> None:
    assert number_text(value, column) == expected


# --- genotypes ---


@pytest.mark.parametrize("genotype", GENOTYPES)
def test_a_genotype_is_well_formed_svg_with_each_operation_and_a_text_alternative(
    genotype: Mapping[str, object],
) -> None:
    root = ElementTree.fromstring(genotype_svg(json.dumps(genotype)))
    assert root.tag == f"{SVG}svg"
    assert root.get("role") == "img"
    words = root.get("aria-label") or ""
    titles = [title.text for title in root.iter(f"{SVG}title")]
    edges = [edge for cell in read_cells(genotype).values() for edge in cell.edges]
    assert sorted(str(title).split(" of ")[0] for title in titles) == sorted(name for name, _ in edges)
    assert words.startswith("normal cell: node 0 = ")
    description = root.find(f"{SVG}desc")
    assert description is not None
    assert words == description.text


def test_items_of_a_layout_neither_overlap_nor_leave_it() -> None:
    edges = [[f"sep_conv_{i}x{i}", max(0, i - back)] for i in range(2, 12) for back in (1, 4)]
    (cell,) = read_cells({"normal": edges, "normal_concat": [2, 5, 8, 11]}).values()
    layout = lay_out(cell, dict.fromkeys(range(2, cell.output), 120.0))
    rows: dict[int, list[tuple[float, float]]] = {}
    for (node, layer), x in layout.x.items():
        half = layout.widths[node] / 2 if layout.layer[node] == layer else 1.0
        rows.setdefault(layer, []).append((x - half, x + half))
    for spans in rows.values():
        spans.sort()
        assert all(left[1] < right[0] for left, right in itertools.pairwise(spans))
        assert spans[0][0] > 0
        assert spans[-1][1] < layout.width
    assert all(
        layout.layer[node] > layout.layer[source] for node in range(2, 13) for source in cell.sources(node)
    )


def test_one_cell_can_be_drawn_alone() -> None:
    assert "reduce cell" not in genotype_svg(GENOTYPES[0], "normal")
    with pytest.raises(ResultsError, match="must have the cell"):
        genotype_svg(GENOTYPES[1], "reduce")


def test_hostile_names_are_escaped() -> None:
    edges = [["<script>alert(1)</script>", 0], ["\"'><b>", 1]]
    root = ElementTree.fromstring(genotype_svg({"normal": edges, "normal_concat": [2]}))
    assert {element.tag.removeprefix(SVG) for element in root.iter()} == {
        "svg",
        "desc",
        "g",
        "path",
        "rect",
        "title",
        "text",
    }


@pytest.mark.parametrize(
    "genotype",
    [
        "", "{}", "[]", "null", "{", '{"normal": [], "normal_concat": [2]}', "[" * 100_000,
        {"normal": [["skip_connect", 0]], "normal_concat": [2]},
        {"normal": [["skip_connect", 0], ["skip_connect", 2]], "normal_concat": [2]},
        {"normal": [["skip_connect", 0], ["skip_connect", -1]], "normal_concat": [2]},
        {"normal": [["skip_connect", 0], ["skip_connect", 1]], "normal_concat": [3]},
        {"normal": [["skip_connect", 0], ["skip_connect", 1]], "normal_concat": []},
        {"normal": [["skip_connect", 0], ["skip_connect", 1]] * 100, "normal_concat": [2]},
    ],
)  # fmt: skip
def test_invalid_genotypes_give_one_clear_line(genotype: str | Mapping[str, object]) -> None:
    with pytest.raises(ResultsError) as caught:
        genotype_svg(genotype)
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 300


def test_a_single_bad_point_does_not_flatten_the_axis() -> None:
    values = np.array([0.90, 0.91, 0.92, 0.93, 0.94, 0.95, 0.96, 0.97, 0.1])
    made = with_robust_y(go.Figure(), values, np.array([0.97]))
    low, high = made.layout.yaxis.range
    assert 0.85 < low < 0.9
    assert 0.97 < high < 1
    assert made.layout.annotations[0].text.startswith("1 points are outside")
    kept = with_robust_y(go.Figure(), values, np.array([0.1]))  # a point of the front stays in sight
    assert kept.layout.yaxis.range is None
    even = with_robust_y(go.Figure(), np.linspace(0, 1, 20), np.array([]))
    assert even.layout.yaxis.range is None


def test_what_was_swept_on_a_logarithmic_scale_is_shown_on_one() -> None:
    column = pd.Series([0.001, 0.002, 0.004], name="regularization")  # no two decades apart
    points = pd.DataFrame({"regularization": column, "accuracy": [0.7, 0.8, 0.9]})
    shown = np.ones(3, dtype=bool)
    linear, log = (
        parallel_figure(points, shown, ["regularization", "accuracy"], "accuracy", names)
        .data[0]
        .dimensions[0]
        for names in ((), ("regularization",))
    )
    assert list(linear["values"]) == column.tolist()
    np.testing.assert_allclose(log["values"], np.log10(column))
    scale = color_scale(column, column, log=True)
    np.testing.assert_allclose(np.array(scale["color"], dtype=np.float64), np.log10(column))
