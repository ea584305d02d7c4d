from .darts import AlphaStep as AlphaStep
from .darts import FirstOrder as FirstOrder
from .darts import SearchAlgorithm as SearchAlgorithm
from .darts_second_order import SecondOrder as SecondOrder
from .pc_darts import PartialChannels as PartialChannels
from .search import Search as Search
