"""Benchmarks: ``python -m benchmarks.NAME [--quick] [--json FILE] [--save]``; all: ``python -m benchmarks``.

A benchmark is a module of this folder that ends in an ``if __name__ == "__main__":`` with ``harness.main``.
"""
