from .nodes import FusedNodes as FusedNodes
from .selection import can_fuse as can_fuse
from .selection import fusing as fusing
