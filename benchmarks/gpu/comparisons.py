"""Comparisons of the supernet with the plain formula, in every number format.

In float64, logits, gradients and running statistics agree to 1e-10. In float32 without TF32, the logits agree to 1e-5;
what TF32 does to them is recorded. In bf16 both round, so both are compared with the plain formula in float64: the
error of the supernet should not be larger than that of the plain formula.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from benchmarks.gpu.day import Day
from benchmarks.gpu.numerics import largest_difference, relative_error, tf32
from benchmarks.gpu.pairs import Variant, architecture_gradients, backward, batch, largest_error, pair
from benchmarks.harness import Cell

FLOAT64_LIMIT, FLOAT32_LIMIT = 1e-10, 1e-5
BF16_LIMIT = 2.0
"""Largest error in bf16, as a multiple of that of the plain formula."""


def compare_float64(day: Day, variants: Sequence[Variant], figure: str) -> None:
    """Check everything that a step computes; ``figure`` is the name of the largest difference."""
    worst = 0.0
    for variant in variants:
        name = f"float64, {variant.name}"
        with day.attempt(name, check=True):
            images, labels = batch(variant, torch.float64, day.device)
            error = largest_error(*pair(variant, torch.float64, day.device), images, labels)
            worst = max(worst, error)
            day.check(name, error <= FLOAT64_LIMIT, f"largest difference {error:.2g}")
            day.figure(figure, worst)


def compare_float32(day: Day, variants: Sequence[Variant], figure: str, tf32_figure: str | None) -> None:
    """Check the logits without TF32; record those with TF32 if ``tf32_figure`` names their difference."""
    rows: list[list[Cell]] = []
    allowed = (False, True) if tf32_figure else (False,)
    worst = dict.fromkeys(allowed, 0.0)
    for variant in variants:
        name = f"float32, {variant.name}"
        with day.attempt(name, check=True):
            exact = _logits(variant, torch.float64, day)[1]
            row: list[float] = []
            for rounded in allowed:
                with tf32(rounded):
                    fast, plain = _logits(variant, torch.float32, day)
                row += [largest_difference(*both) for both in ((fast, plain), (fast, exact), (plain, exact))]
                worst[rounded] = max(worst[rounded], row[-3])
            rows.append([variant.name, *row])
            day.check(name, row[0] <= FLOAT32_LIMIT, f"largest difference {row[0]:.2g}")
    columns = ["difference", "error", "error of plain"]
    columns += [f"{column}, TF32" for column in columns] if tf32_figure else []
    day.table("float32 logits: difference from plain, errors against float64", ["supernet", *columns], rows)
    if rows:
        day.figure(figure, worst[False])
    if rows and tf32_figure:
        day.figure(tf32_figure, worst[True])


@torch.no_grad()
def _logits(variant: Variant, dtype: torch.dtype, day: Day) -> tuple[Tensor, Tensor]:
    """Return the logits of both in training mode. The parameters are float32 numbers in every dtype."""
    fast, plain = pair(variant, torch.float32, day.device)
    images, _ = batch(variant, torch.float32, day.device)
    return fast.to(dtype)(images.to(dtype)), plain.to(dtype)(images.to(dtype))


def compare_bf16(day: Day, variants: Sequence[Variant], figure: str) -> None:
    """Check the errors of logits and of architecture gradients; ``figure`` is the largest ratio to those of plain."""
    rows: list[list[Cell]] = []
    worst = 0.0
    for variant in variants:
        name = f"bf16, {variant.name}"
        with day.attempt(name, check=True):
            errors = _bf16_errors(variant, day)
            rows.append([variant.name, *errors])
            ratio = max(errors[0] / errors[1], errors[2] / errors[3])
            worst = max(worst, ratio)
            day.check(name, ratio <= BF16_LIMIT, f"{ratio:.2f} x the error of the plain formula")
            day.figure(figure, worst)
    columns = ("supernet", "logits", "logits, plain", "alpha gradients", "alpha gradients, plain")
    day.table("bf16: relative error against plain in float64", columns, rows)


def _bf16_errors(variant: Variant, day: Day) -> tuple[float, float, float, float]:
    """Return relative errors of logits, then of architecture gradients: of the supernet, and of the plain formula."""
    fast, plain = pair(variant, torch.float32, day.device)
    images, labels = batch(variant, torch.float32, day.device)
    logits = [backward(network, images, labels, bf16=True) for network in (fast, plain)]
    gradients = architecture_gradients(fast, plain)
    exact_fast, exact = pair(variant, torch.float32, day.device)
    exact_fast.double()
    exact.double()
    expected_logits = backward(exact, images.double(), labels)
    backward(exact_fast, images.double(), labels)
    _, expected = architecture_gradients(exact_fast, exact)
    errors = [relative_error([one], [expected_logits]) for one in logits]
    errors += [relative_error(one, expected) for one in gradients]
    return errors[0], errors[1], errors[2], errors[3]
