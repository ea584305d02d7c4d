from .base import Searcher as Searcher
from .grid_searcher import GridSearcher as GridSearcher
from .optuna_searcher import OptunaSearcher as OptunaSearcher
from .proposals import Proposals as Proposals
from .proposals import make_searcher as make_searcher
from .random_searcher import RandomSearcher as RandomSearcher
