from .objective import Meter as Meter
from .objective import Objective as Objective
from .training import Training as Training
from .training import build_network as build_network
