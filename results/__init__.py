"""What a sweep leaves behind, and how to read it: files, tables, fronts, pictures, reports.

Here: everything that can be done with a run's files. Not here: torch, ray, anything that trains. Read first:
``run.py``, ``schema.py``, ``storage/run_directory.py``. Names are loaded on first use: plotly only for the first
picture.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
