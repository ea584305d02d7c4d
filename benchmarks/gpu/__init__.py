"""The sections of ``benchmarks.gpu_day``, and what they share: one run of nine minutes that measures a GPU.

Here: ``plan.py`` (order and time limits), ``process.py`` (a process with a limit), ``day.py`` (what a section sees and
writes), ``figures.py``, ``report.py``, and the work that is measured: ``workload.py``, ``plain_search.py``. Each file
of ``sections/`` is one section, a function ``measure(day)``. Read first: ``plan.py``.
"""
