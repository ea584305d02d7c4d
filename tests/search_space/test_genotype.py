"""Genotypes: published text, JSON, hostile text, and derivation by the rule of the DARTS paper."""

from __future__ import annotations

import json
import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_space import Genotype, GenotypeError, published
from search_space.genotype import CellGenotype, derive_cell


def pairs_in(text: str) -> list[tuple[str, int]]:
    """Return all ('name', number) pairs of a published text, in order."""
    return [(name, int(source)) for name, source in re.findall(r"\('(\w+)', (\d)\)", text)]


@pytest.mark.parametrize("name", published.PUBLISHED)
def test_published_text_is_read_edge_by_edge(name: str) -> None:
    text = published.PUBLISHED[name]
    genotype = Genotype.parse(text)
    assert genotype.reduce is not None
    assert [*genotype.normal.edges, *genotype.reduce.edges] == pairs_in(text)


def test_concat_lists_are_read_as_lists_and_as_ranges() -> None:
    pc_darts = Genotype.parse(published.PC_DARTS_CIFAR)
    assert pc_darts.normal.concat == (2, 3, 4, 5)
    amoeba = Genotype.parse(published.AMOEBANET)
    assert amoeba.reduce is not None
    assert (amoeba.normal.concat, amoeba.reduce.concat) == ((4, 5, 6), (3, 4, 6))
    assert amoeba.normal.nodes == 5


@pytest.mark.parametrize("name", published.PUBLISHED)
def test_text_and_json_come_back_as_the_same_genotype(name: str) -> None:
    genotype = Genotype.parse(published.PUBLISHED[name])
    assert Genotype.parse(str(genotype)) == genotype
    assert Genotype.from_json(genotype.to_json()) == genotype
    assert Genotype.from_dict(json.loads(genotype.to_json())) == genotype
    assert "\n" not in genotype.to_json()


def test_a_genotype_of_normal_cells_only_comes_back() -> None:
    genotype = Genotype(CellGenotype((("mlp_2x", 0), ("dw_conv_3x3", 1)), (2,)))
    assert Genotype.from_json(genotype.to_json()) == Genotype.parse(str(genotype)) == genotype


CELL = "normal=[('skip_connect', 0), ('skip_connect', 1)]"
HOSTILE = {
    "no genotype": "42",
    "nothing": "",
    "another call": "exit()",
    "a call inside": f"Genotype({CELL}, normal_concat=__import__('os').system('touch evaluated'))",
    "a comprehension": f"Genotype({CELL}, normal_concat=[i for i in (2,)])",
    "an attribute": f"Genotype({CELL}, normal_concat=().__class__)",
    "an operation": f"Genotype({CELL}, normal_concat=[2] * 10**10)",
    "a walrus": f"Genotype({CELL}, normal_concat=(x := [2]))",
    "positional arguments": "Genotype([('skip_connect', 0), ('skip_connect', 1)], [2])",
    "unpacking": "Genotype(**{'normal': [], 'normal_concat': []})",
    "an unknown field": f"Genotype({CELL}, normal_concat=[2], other=3)",
    "a missing concat": f"Genotype({CELL})",
    "half a reduction cell": f"Genotype({CELL}, normal_concat=[2], reduce_concat=[2])",
    "an endless range": f"Genotype({CELL}, normal_concat=range(2, 10**15))",
    "a huge range": f"Genotype({CELL}, normal_concat=range(2, 1000000000000))",
    "a range that is larger than any": f"Genotype({CELL}, normal_concat=range(2, {10**30}))",
    "a range of nothing": f"Genotype({CELL}, normal_concat=range())",
    "a range without step": f"Genotype({CELL}, normal_concat=range(2, 3, 0))",
    "a range of text": f"Genotype({CELL}, normal_concat=range('2'))",
    "a range of a range": f"Genotype({CELL}, normal_concat=range(range(3)))",
    "a method": f"Genotype.parse({CELL}, normal_concat=[2])",
    "two statements": f"Genotype({CELL}, normal_concat=[2]); print()",
    "deep nesting": "Genotype(normal=" + "[" * 5000 + "]" * 5000 + ", normal_concat=[2])",
    "deep sums": "Genotype(normal=" + "1+" * 50_000 + "1, normal_concat=[2])",
    "an unhashable key": "Genotype(normal={[]: 1}, normal_concat=[2])",
    "a null byte": "Genotype(\0)",
    "text for a source": "Genotype(normal=[('skip_connect', '0'), ('skip_connect', 1)], normal_concat=[2])",
    "a fraction for a source": "Genotype(normal=[('skip_connect', 0.5), ('skip_connect', 1)], normal_concat=[2])",
    "a truth value": "Genotype(normal=[('skip_connect', True), ('skip_connect', 1)], normal_concat=[2])",
    "a number for a name": "Genotype(normal=[(3, 0), ('skip_connect', 1)], normal_concat=[2])",
    "infinity for a node": f"Genotype({CELL}, normal_concat=[1e999])",
    "an edge backwards": "Genotype(normal=[('skip_connect', 0), ('skip_connect', 2)], normal_concat=[2])",
    "one edge for a node": "Genotype(normal=[('skip_connect', 0)], normal_concat=[2])",
    "no edges": "Genotype(normal=[], normal_concat=[2])",
    "no joined node": f"Genotype({CELL}, normal_concat=[])",
    "a joined input": f"Genotype({CELL}, normal_concat=[1])",
    "a joined node that does not exist": f"Genotype({CELL}, normal_concat=[3])",
}


@pytest.mark.parametrize("case", HOSTILE)
def test_text_that_is_not_a_genotype_is_refused_and_never_evaluated(
    case: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("cwd")
    monkeypatch.chdir(folder)
    with pytest.raises(GenotypeError):
        Genotype.parse(HOSTILE[case])
    assert not list(folder.iterdir())


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"normal": 3, "normal_concat": [2]}',
     '{"normal": [["a", Infinity], ["b", 0]], "normal_concat": [2]}',
     '{"normal": [["a", 0], ["b", 0]]}', "[" * 100_000],
)  # fmt: skip
def test_json_that_is_not_a_genotype_is_refused(text: str) -> None:
    with pytest.raises(GenotypeError):
        Genotype.from_json(text)


@settings(max_examples=60)
@given(st.text())
def test_any_text_gives_a_genotype_or_a_genotype_error(text: str) -> None:
    with pytest.raises(GenotypeError):
        Genotype.parse(f"Genotype({text}")


PRIMITIVES = ("none", "max_pool_3x3", "skip_connect", "sep_conv_3x3")


def by_the_paper(weights: list[list[float]], nodes: int) -> list[tuple[str, int]]:
    """Return the two strongest edges of every node; the strongest primitive other than ``none`` decides."""
    edges: list[tuple[str, int]] = []
    row = 0
    for node in range(nodes):
        strengths = []
        for source in range(node + 2):
            usable = {
                name: weight for name, weight in zip(PRIMITIVES, weights[row], strict=True) if name != "none"
            }
            name = max(usable, key=usable.__getitem__)
            strengths.append((usable[name], name, source))
            row += 1
        strengths.sort(key=lambda strength: strength[0], reverse=True)
        edges += [(name, source) for _, name, source in strengths[:2]]
    return edges


@settings(max_examples=60)
@given(st.integers(1, 4), st.randoms(use_true_random=False))
def test_derived_cells_follow_the_papers_rule(nodes: int, generator: random.Random) -> None:
    edges = nodes * (nodes + 3) // 2
    weights = [[generator.random() for _ in PRIMITIVES] for _ in range(edges)]
    cell = derive_cell(weights, PRIMITIVES, nodes)
    assert list(cell.edges) == by_the_paper(weights, nodes)
    assert cell.concat == tuple(range(2, nodes + 2))


def test_none_is_never_chosen_however_strong() -> None:
    weights = [[0.97, 0.01, 0.02, 0.0], [0.97, 0.0, 0.01, 0.02]]
    assert derive_cell(weights, PRIMITIVES, 1).edges == (("skip_connect", 0), ("sep_conv_3x3", 1))


def test_equal_strengths_keep_the_order_of_primitives_and_sources() -> None:
    weights = [[0.25] * 4] * 5
    assert derive_cell(weights, PRIMITIVES, 2).edges == (("max_pool_3x3", 0), ("max_pool_3x3", 1)) * 2


def test_skip_share_counts_the_edges_of_all_cells() -> None:
    assert Genotype.parse(published.DARTS_V2).skip_share() == 5 / 16
