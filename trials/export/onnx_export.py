"""ONNX, where torch can do it, checked with onnxruntime before anybody relies on it."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from results import ResultsError
from trials.data.batches import Batch
from trials.export.portable import as_program

NEEDED = ("onnx", "onnxscript", "onnxruntime")
TOLERANCE = 1e-4
"""How far a logit may be from torch's, in units of the logits' standard deviation or 1, whichever is more."""


class OnnxError(ResultsError):
    """A network that cannot be written as ONNX, or one that would not compute the same there."""


def require_onnx() -> None:
    """Check that the packages are there. Error: ``OnnxError``."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise OnnxError(f"--onnx needs {', '.join(missing)}: pip install 'shrinksweep[onnx]'")


def write_onnx(network: nn.Module, batches: Iterable[Batch], path: Path) -> dict[str, Any]:
    """Write ``network`` (in evaluation mode, on the CPU) and compare it with torch on ``batches``.

    Returns:
        ``accuracy`` by onnxruntime, ``largest_difference`` of a logit from torch's, and ``differing``: the share of
        images of which a logit is farther off than ``TOLERANCE``. Where maps are pruned or quantized, the last digit
        of a sum may carry a feature across a step, so a few may differ; their share and the accuracy are what counts.

    Raises:
        OnnxError: torch has no ONNX for an operation, or onnxruntime computes something else.
    """
    batches = [(images.float().cpu().contiguous(), labels.cpu()) for images, labels in batches]
    path.unlink(missing_ok=True)
    try:
        _write(network, batches[0][0][:2], path)
    except Exception as error:  # torch raises whatever its exporter met
        raise OnnxError(
            f"torch must have ONNX for every operation, but cannot write this network: {_core(error)}"
        ) from error
    measured = _compare(network, batches, path)
    if measured["differing"] > 0.05:
        path.unlink()
        raise OnnxError(
            f"onnxruntime must compute the logits of torch within {TOLERANCE:g}, but for "
            f"{measured['differing']:.1%} of the images they differ, by up to {measured['largest_difference']:.2g}"
        )
    return measured


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
def _compare(network: nn.Module, batches: list[Batch], path: Path) -> dict[str, Any]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    theirs = torch.cat([torch.from_numpy(session.run(None, {"images": x.numpy()})[0]) for x, _ in batches])
    ours = torch.cat([network(x) for x, _ in batches])
    labels = torch.cat([labels for _, labels in batches])
    off = (theirs - ours).abs().amax(1)
    return {
        "accuracy": (theirs.argmax(1) == labels).double().mean().item(),
        "largest_difference": off.max().item(),
        "differing": (off > TOLERANCE * max(1.0, ours.std().item())).double().mean().item(),
    }


def _core(error: BaseException) -> str:
    """Return the first line of what lies at the bottom of an error."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
