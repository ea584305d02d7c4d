"""The configuration of a trial: one file per block of a sweep file's ``trial:``.

Here: fields, defaults, validation, and the keys that identify trials. Not here: anything that needs torch, images or
a cluster. Read first: ``trial.py``. Every field can be swept by its dotted path (``space.splitting``, ``seed``).
"""

from trials.config.base import Config
from trials.config.data import DataConfig
from trials.config.device import DeviceConfig
from trials.config.feature_maps import FeatureMapsConfig
from trials.config.finetune import FinetuneConfig
from trials.config.ladder import LADDER_LISTS, SHARE_MODES, LadderConfig, Rung
from trials.config.search import SearchConfig
from trials.config.space import SpaceConfig
from trials.config.train import TrainConfig
from trials.config.trial import TrialConfig
from trials.config.younger_fields import Added, continuing, of_record, with_younger_fields

__all__ = [
    "LADDER_LISTS",
    "SHARE_MODES",
    "Added",
    "Config",
    "DataConfig",
    "DeviceConfig",
    "FeatureMapsConfig",
    "FinetuneConfig",
    "LadderConfig",
    "Rung",
    "SearchConfig",
    "SpaceConfig",
    "TrainConfig",
    "TrialConfig",
    "continuing",
    "of_record",
    "with_younger_fields",
]
