"""Questions about sets of points: dominance, hypervolume, attainment, knees, effects, constraints.

Here: functions of data frames. Not here: files, pictures. Read first: ``pareto.py``, which says how a front is
computed.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
