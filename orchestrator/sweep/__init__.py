"""The sweep file: its fields, its dimensions, and the checks that need neither data nor a cluster.

Here: reading, overriding and validating a sweep file. Not here: checks against data, nodes and a run directory
(``orchestrator.preflight``). Read first: ``sweep.py``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
