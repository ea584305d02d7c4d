"""Export to ONNX, verified with onnxruntime."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TypedDict

import torch
from torch import Tensor, nn

from results import ResultsError
from trials.data.batches import Batch
from trials.export.portable import as_program

REQUIRED_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
TOLERANCE = 1e-4
"""Tolerated difference of a logit from torch, in units of the standard deviation of all logits, but at least 1."""


class OnnxError(ResultsError):
    """A network that cannot be written as ONNX, or that computes something else in onnxruntime."""


class OnnxCheck(TypedDict):
    """Comparison of onnxruntime with torch on the test images.

    Attributes:
        accuracy: accuracy with onnxruntime.
        largest_difference: largest absolute difference of a logit.
        differing: fraction of images with a logit that differs by more than :data:`TOLERANCE`.
    """

    accuracy: float
    largest_difference: float
    differing: float


def require_onnx() -> None:
    """Check that the required packages are installed.

    Raises:
        OnnxError: packages are missing.
    """
    missing = [name for name in REQUIRED_PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise OnnxError(f"--onnx needs {', '.join(missing)}: pip install 'shrinksweep[onnx]'")


def write_onnx(network: nn.Module, batches: Iterable[Batch], path: Path) -> OnnxCheck:
    """Write ``network`` (evaluation mode, on the CPU) to ``path`` and compare onnxruntime with torch on ``batches``.

    In a pruned or quantized network, rounding can move a feature across a threshold or to another level. So the logits
    of a few images may differ, up to 5% of them.

    Raises:
        OnnxError: torch cannot express an operation in ONNX, or onnxruntime computes something else.
    """
    batches = [(images.float().cpu().contiguous(), labels.cpu()) for images, labels in batches]
    path.unlink(missing_ok=True)
    try:
        _write(network, batches[0][0][:2], path)
    except Exception as error:  # the exporter of torch raises errors of any type
        raise OnnxError(
            f"torch must have ONNX for every operation, but cannot write this network: {_root_cause(error)}"
        ) from error
    check = _compare(network, batches, path)
    if check["differing"] > 0.05:
        path.unlink()
        raise OnnxError(
            f"onnxruntime must compute the logits of torch within {TOLERANCE:g}, but for "
            f"{check['differing']:.1%} of the images they differ, by up to {check['largest_difference']:.2g}"
        )
    return check


def _write(network: nn.Module, images: Tensor, path: Path) -> None:
    program = as_program(network.float(), images)
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            torch.onnx.export(
                program, (images,), path, dynamo=True, verbose=False, external_data=False,
                input_names=["images"], output_names=["logits"],
            )  # fmt: skip
    finally:
        logging.disable(level)


@torch.no_grad()
def _compare(network: nn.Module, batches: list[Batch], path: Path) -> OnnxCheck:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    by_onnx = torch.cat([torch.from_numpy(session.run(None, {"images": x.numpy()})[0]) for x, _ in batches])
    by_torch = torch.cat([network(x) for x, _ in batches])
    labels = torch.cat([labels for _, labels in batches])
    difference = (by_onnx - by_torch).abs().amax(1)
    return {
        "accuracy": (by_onnx.argmax(1) == labels).double().mean().item(),
        "largest_difference": difference.max().item(),
        "differing": (difference > TOLERANCE * max(1.0, by_torch.std().item())).double().mean().item(),
    }


def _root_cause(error: BaseException) -> str:
    """Return the first line of the innermost cause of an error, or its type if it has no message."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
