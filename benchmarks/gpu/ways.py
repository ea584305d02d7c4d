"""The two ways in which a supernet can be evaluated: fused stages in Triton, and operations of torch.

Fused stages are not used unless they are asked for, until they were measured on a GPU. Here a choice is forced.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from unittest import mock


def why_not_fused() -> str | None:
    """Return why there are no fused stages; None if there are."""
    if find_spec("search_space.supernet.fused") is None:
        return "search_space.supernet.fused is not there"
    if find_spec("triton") is None:
        return "Triton is not there"
    return None


@contextmanager
def way(fused: bool) -> Iterator[None]:
    """Force the fused stages, or torch's operations, within the ``with`` block.

    Without fused stages there is nothing to force.
    """
    if why_not_fused():
        yield
        return
    with import_module("search_space.supernet.fused").fusing(fused):
        yield


def fused_nodes(run: Callable[[], object]) -> int:
    """Return how many nodes ``run`` evaluates by the fused stages, where they are forced.

    A comparison says something on them only if this is not 0.
    """
    nodes = import_module("search_space.supernet.fused").FusedNodes
    with way(True), mock.patch.object(nodes, "node", autospec=True, side_effect=nodes.node) as called:
        run()
    return called.call_count


def interpret_kernels() -> None:
    """Let the kernels run on the CPU, in Triton's interpreter; possible before Triton is imported.

    Raises:
        RuntimeError: it is too late.
    """
    if "triton" in sys.modules:
        raise RuntimeError("Triton is imported already: its kernels cannot be interpreted any more")
    os.environ["TRITON_INTERPRET"] = "1"
