"""Everything that uses Ray: the session, gangs of workers, checks of the nodes, adapters for Ray Tune.

Here: the only imports of ray, besides ``orchestrator/launch.py``. Not here: decisions; the conductor makes them. Read
first: ``tune_adapters.py``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
