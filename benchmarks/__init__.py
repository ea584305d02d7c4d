"""Benchmarks: ``python -m benchmarks.NAME [--quick] [--json FILE] [--save]``; all: ``python -m benchmarks``.

A benchmark is a module of this folder whose ``if __name__ == "__main__":`` block calls ``harness.main``.
"""
