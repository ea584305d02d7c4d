"""What one trial is: every number that decides its result, checked where it is made. One file a block of a sweep file.

Here: blocks and their checks, the keys that name trials. Not here: anything that needs torch, images or a cluster.
Read first: ``trial.py``. Every leaf can be swept by its dotted path (``space.splitting``, ``train.epochs``, ``seed``).
"""

from trials.config.base import Config
from trials.config.data import DataConfig
from trials.config.device import DeviceConfig
from trials.config.feature_maps import FeatureMapsConfig
from trials.config.ladder import LADDER_LISTS, LadderConfig, Rung
from trials.config.search import SearchConfig
from trials.config.space import SpaceConfig
from trials.config.train import TrainConfig
from trials.config.trial import TrialConfig

__all__ = [
    "LADDER_LISTS",
    "Config",
    "DataConfig",
    "DeviceConfig",
    "FeatureMapsConfig",
    "LadderConfig",
    "Rung",
    "SearchConfig",
    "SpaceConfig",
    "TrainConfig",
    "TrialConfig",
]
