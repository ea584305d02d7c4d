"""What all tests share: a folder of their own, nothing of the checkout but its sources, and the device.

``pytest --device cuda`` runs the tests that are marked ``device`` on the GPU, and no others. They create their tensors
on torch's default device.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parents[1]

SESSION = "SHRINKSWEEP_TEST_SESSION"
"""Environment variable: the temporary folder of this session, shared by the processes of pytest-xdist."""

# The time of an example says nothing on a busy machine; failing examples are printed, not stored in the checkout.
settings.register_profile("quiet", deadline=None, database=None)
settings.load_profile("quiet")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--device",
        choices=["cpu", "cuda"],
        default="cpu",
        help="cpu (default): all tests, no GPU is seen; cuda: only the tests marked `device`, on the GPU",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Hide GPUs unless they are asked for, and move caches out of the checkout, before anything is imported."""
    if config.getoption("--device") == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    if SESSION not in os.environ:
        folder = Path(tempfile.mkdtemp(prefix="shrinksweep-"))  # short: Ray's sockets lie below it
        os.environ |= {
            SESSION: str(folder),
            "NUMBA_CACHE_DIR": str(folder / "numba"),
            "RAY_TMPDIR": str(folder),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        }
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


@pytest.fixture(scope="session", autouse=True)
def session_working_directory() -> None:
    """Run fixtures that outlive a test in the session's temporary folder."""
    os.chdir(os.environ[SESSION])  # not earlier: pytest finds the tests from where it was started


@pytest.fixture(autouse=True)
def own_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run each test in its own temporary folder: relative paths never reach the checkout."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def default_device(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let a test that is marked ``device`` create its tensors on that device, without TF32."""
    if request.config.getoption("--device") == "cpu":
        yield
        return
    import torch

    if not torch.cuda.is_available():
        pytest.skip("there is no GPU that torch can use")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.set_default_device("cuda")
    try:
        yield
    finally:
        torch.set_default_device(None)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the files with the most slow tests first: of several workers none is left alone with them at the end."""
    if config.getoption("--device") != "cpu":
        chosen = [item for item in items if item.get_closest_marker("device")]
        config.hook.pytest_deselected(items=[item for item in items if item not in set(chosen)])
        items[:] = chosen
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])
