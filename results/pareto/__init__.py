"""Multi-objective analysis of data frames: dominance, hypervolume, attainment, knees, effects, constraints.

Here: functions from data frames to data frames and numbers. Not here: files, figures. Read first: ``pareto.py``,
which says how a front is computed.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
