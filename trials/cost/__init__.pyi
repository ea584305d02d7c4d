from .cost import Cost as Cost
from .cost import count_cost as count_cost
from .effective import EffectiveMacs as EffectiveMacs
from .liveness import LiveSet as LiveSet
from .liveness import live_sets as live_sets
