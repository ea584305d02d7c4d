"""What can be built: spaces, primitives, cells, output node, supernet, genotype, discrete network.

Names are handed on when first asked for, so that ``search_space.space`` can check a sweep file without torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from search_space.feature_map import FeatureMap as FeatureMap
    from search_space.feature_map import taps as taps
    from search_space.genotype import Genotype as Genotype
    from search_space.genotype import GenotypeError as GenotypeError
    from search_space.network import Network as Network
    from search_space.output_node import OutputNode as OutputNode
    from search_space.space import SPACES as SPACES
    from search_space.space import SearchSpace as SearchSpace
    from search_space.space import Skeleton as Skeleton
    from search_space.space import SpaceError as SpaceError
    from search_space.space import register as register
    from search_space.splitting import SplittingError as SplittingError
    from search_space.supernet import Supernet as Supernet

_HOMES = {
    "FeatureMap": "feature_map",
    "taps": "feature_map",
    "Genotype": "genotype",
    "GenotypeError": "genotype",
    "Network": "network",
    "OutputNode": "output_node",
    "SPACES": "space",
    "SearchSpace": "space",
    "Skeleton": "space",
    "SpaceError": "space",
    "register": "space",
    "SplittingError": "splitting",
    "Supernet": "supernet",
}
__all__ = sorted(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"search_space.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'search_space' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
