"""Genotypes: the primitive on every edge of a cell, and the nodes that the cell concatenates at its output.

Nodes are numbered as in the DARTS papers: 0 and 1 are the cell's inputs, 2, 3, ... its intermediate nodes. Every
intermediate node has two incoming edges, so a cell of N nodes is a list of 2 N pairs (primitive, source node).
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeGuard

from shrinksweep import ShrinksweepError

EDGES_PER_NODE = 2
MOST_NODES = 64
"""Longest ``range`` that :meth:`Genotype.parse` expands: short text must not allocate large lists."""


class GenotypeError(ShrinksweepError, ValueError):
    """Text, JSON or lists that do not describe a genotype."""


@dataclass(frozen=True)
class CellGenotype:
    """One kind of cell.

    Attributes:
        edges: (primitive, source node) pairs; ``edges[2 n]`` and ``edges[2 n + 1]`` enter node n + 2.
        concat: the nodes that are joined at the cell's output.
    """

    edges: tuple[tuple[str, int], ...]
    concat: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.edges or len(self.edges) % EDGES_PER_NODE:
            raise GenotypeError(
                f"a cell needs {EDGES_PER_NODE} edges for every node, but got {len(self.edges)} edges"
            )
        for index, (_, source) in enumerate(self.edges):
            node = index // EDGES_PER_NODE + 2
            if not 0 <= source < node:
                raise GenotypeError(f"an edge into node {node} must leave a node before it, but got {source}")
        if not self.concat or any(not 2 <= node < self.nodes + 2 for node in self.concat):
            raise GenotypeError(
                f"`concat` must list nodes from 2 to {self.nodes + 1}, but got {list(self.concat)}"
            )

    @property
    def nodes(self) -> int:
        """Number of intermediate nodes."""
        return len(self.edges) // EDGES_PER_NODE

    def incoming(self, node: int) -> tuple[tuple[str, int], ...]:
        """Return the (primitive, source) pairs that enter intermediate node ``node``, counted from 0."""
        return self.edges[EDGES_PER_NODE * node : EDGES_PER_NODE * (node + 1)]


@dataclass(frozen=True)
class Genotype:
    """The architecture that a search derives.

    Attributes:
        normal: the normal cell.
        reduce: the reduction cell; None in a space without reductions.
    """

    normal: CellGenotype
    reduce: CellGenotype | None = field(default=None)

    @classmethod
    def parse(cls, text: str) -> Genotype:
        """Parse the text form that the DARTS papers publish: ``Genotype(normal=[...], normal_concat=...)``.

        The text is parsed as literals and never evaluated. A leading ``NAME =`` is ignored, and ``range(2, 6)`` is
        accepted as a list of nodes.

        Raises:
            GenotypeError: the text has another form, or its content is not a valid genotype.
        """
        expected = "a genotype must read `Genotype(normal=[...], ...)`"
        try:
            call = ast.parse(re.sub(r"^\s*\w+\s*=(?!=)", "", text).strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise GenotypeError(f"{expected}, but got {text[:60]!r}") from error
        if not _is_call(call, "Genotype") or call.args:
            raise GenotypeError(f"{expected}, but got {text[:60]!r}")
        return cls.from_dict(
            {str(keyword.arg): _literal(str(keyword.arg), keyword.value) for keyword in call.keywords}
        )

    @classmethod
    def from_json(cls, text: str) -> Genotype:
        """Read the JSON that :meth:`to_json` writes.

        Raises:
            GenotypeError: the text is not JSON, or its content is not a valid genotype.
        """
        try:
            return cls.from_dict(json.loads(text))
        except (json.JSONDecodeError, RecursionError) as error:
            raise GenotypeError(f"a genotype must be a JSON object, but got {text[:60]!r}") from error

    @classmethod
    def from_dict(cls, content: object) -> Genotype:
        """Build a genotype from a mapping that holds the four published lists.

        ``reduce`` and ``reduce_concat`` are optional, but only together.

        Raises:
            GenotypeError: a list is missing, or the lists do not describe valid cells.
        """
        keys = {"normal", "normal_concat", "reduce", "reduce_concat"}
        if not isinstance(content, Mapping) or not {"normal", "normal_concat"} <= set(content) <= keys:
            raise GenotypeError(
                f"a genotype must hold {', '.join(sorted(keys))}, but got {str(content)[:60]!r}"
            )
        if ("reduce" in content) != ("reduce_concat" in content):
            raise GenotypeError(
                f"`reduce` and `reduce_concat` must come together, but got {', '.join(content)}"
            )
        reduce = _cell(content["reduce"], content["reduce_concat"]) if "reduce" in content else None
        return cls(normal=_cell(content["normal"], content["normal_concat"]), reduce=reduce)

    def to_dict(self) -> dict[str, object]:
        """Return the published lists as JSON types."""
        content: dict[str, object] = {}
        for kind, cell in self.cells().items():
            content[kind] = [list(edge) for edge in cell.edges]
            content[f"{kind}_concat"] = list(cell.concat)
        return content

    def to_json(self) -> str:
        """Return the genotype as one line of JSON; equal genotypes give equal text."""
        return json.dumps(self.to_dict(), separators=(",", ":"))

    def __str__(self) -> str:
        """Return the published text form, which :meth:`parse` reads."""
        parts = []
        for kind, cell in self.cells().items():
            parts += [f"{kind}={list(cell.edges)}", f"{kind}_concat={list(cell.concat)}"]
        return f"Genotype({', '.join(parts)})"

    def cells(self) -> dict[str, CellGenotype]:
        """Return the cells by kind, ``normal`` first."""
        return {"normal": self.normal} | ({"reduce": self.reduce} if self.reduce else {})

    def skip_share(self) -> float:
        """Return the fraction of edges, over all kinds of cell, that are skip connections."""
        edges = [primitive for cell in self.cells().values() for primitive, _ in cell.edges]
        return edges.count("skip_connect") / len(edges)


def derive_cell(weights: Sequence[Sequence[float]], primitives: Sequence[str], nodes: int) -> CellGenotype:
    """Derive one kind of cell from its edge weights, as in DARTS (Liu et al., ICLR 2019, section 2.4).

    The strength of an edge is the weight of its strongest primitive other than ``none``. Each node keeps its two
    strongest edges, each with that primitive. Ties are broken by the order of the primitives and of the sources.

    Args:
        weights: [E, P], softmax of the alphas, times the edge weights in PC-DARTS; edges are ordered by node, then
            by source.
        primitives: the names of the P primitives.
        nodes: intermediate nodes N; E = 2 + 3 + ... + (N + 1).
    """
    usable = [index for index, primitive in enumerate(primitives) if primitive != "none"]
    edges: list[tuple[str, int]] = []
    first = 0
    for node in range(nodes):
        incoming = weights[first : first + node + 2]
        best = [max(usable, key=row.__getitem__) for row in incoming]
        strongest = sorted(range(len(incoming)), key=lambda source: -incoming[source][best[source]])
        edges += [(primitives[best[source]], source) for source in strongest[:EDGES_PER_NODE]]
        first += node + 2
    return CellGenotype(tuple(edges), tuple(range(2, nodes + 2)))


def _cell(edges: object, concat: object) -> CellGenotype:
    if not (_are_edges(edges) and _are_nodes(concat)):
        raise GenotypeError(
            f"a cell must be pairs (primitive, source) and a list of nodes, but got {str(edges)[:60]} "
            f"and {str(concat)[:60]}"
        )
    return CellGenotype(tuple((name, source) for name, source in edges), tuple(concat))


def _are_edges(content: object) -> TypeGuard[Sequence[tuple[str, int]]]:
    return (
        isinstance(content, list | tuple)
        and all(isinstance(edge, list | tuple) and len(edge) == 2 for edge in content)
        and all(isinstance(name, str) and type(source) is int for name, source in content)
    )


def _are_nodes(content: object) -> TypeGuard[Sequence[int]]:
    return isinstance(content, list | tuple) and all(type(node) is int for node in content)


def _is_call(node: ast.expr, name: str) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name


def _literal(name: str, node: ast.expr) -> object:
    """Return the value of one keyword argument.

    Raises:
        GenotypeError: the expression is not a literal.
    """
    try:
        if _is_call(node, "range") and not node.keywords:
            nodes = range(*(ast.literal_eval(argument) for argument in node.args))
            if len(nodes) <= MOST_NODES:
                return list(nodes)
        return ast.literal_eval(node)
    except (ValueError, TypeError, OverflowError, RecursionError, MemoryError) as error:
        raise GenotypeError(
            f"a genotype holds only lists, names and numbers, but `{name}` holds something else"
        ) from error
