"""Checks of the data of a sweep: what its files and their headers tell about the images, against what is configured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from orchestrator.errors import SweepError
from orchestrator.preflight.checks import assignments
from orchestrator.sweep.combinations import apply_assignment
from orchestrator.sweep.sweep import Sweep
from results import RunDirectory
from results.errors import one_line
from search_space.space import SpaceError
from search_space.splitting import SplittingError
from trials.config import DataConfig, TrialConfig
from trials.config.data import STANDARD_COLUMNS
from trials.data import sources
from trials.data.sources.surveys import Survey

_SOURCE_FIELDS = {"name", "path", "columns", "channels", "image_size"}
"""Fields of ``data`` that decide on the images themselves."""


@dataclass(frozen=True)
class DataCheck:
    """What a sweep's data sets are, and whether its trials can use them."""

    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    fingerprints: dict[str, str] = field(default_factory=dict)
    """Digest of images and labels by name and path of the data set; those that are not on disk yet are left out."""


def check_data(sweep: Sweep) -> DataCheck:
    """Look at every data set of a sweep, and at every trial that it could feed."""
    surveys: dict[str, Survey | None] = {}
    faults: list[str] = []
    notes: list[str] = []
    fingerprints: dict[str, str] = {}
    for assignment in assignments(sweep, ("data.", "train.batch_size", "train.validation_share")):
        config = apply_assignment(sweep.trial, assignment)
        source = config.data.model_dump_json(include=_SOURCE_FIELDS)
        if source not in surveys:
            survey = _survey(config.data, faults)
            surveys[source] = survey
            if survey is not None:
                faults += _shape_faults(sweep, survey.shape)
                notes += survey.notes
                if survey.fingerprint is not None:
                    fingerprints[data_set_name(config.data)] = survey.fingerprint
        found = surveys[source]
        if found is not None:
            faults += _faults(config, found, sweep.resources.workers)
            notes += _notes(config, found)
    return DataCheck(list(dict.fromkeys(faults)), list(dict.fromkeys(notes)), fingerprints)


def data_faults(sweep: Sweep, fingerprints: Mapping[str, str]) -> list[str]:
    """Return why the trials of a sweep cannot run on this node, whose data should have these fingerprints."""
    check = check_data(sweep)
    others = [name for name, value in check.fingerprints.items() if fingerprints.get(name, value) != value]
    return [
        *check.faults,
        *(
            f"all nodes must have the same images and labels, but those of {name} are others"
            for name in others
        ),
    ]


def refuse_changed_data(directory: RunDirectory, fingerprints: Mapping[str, str]) -> None:
    """Check that a run directory holds no trials on other images than those with ``fingerprints``.

    Raises:
        SweepError: one line for each data set that has changed.
    """
    if faults := changed_data(directory, fingerprints):
        raise SweepError(faults)


def changed_data(directory: RunDirectory | None, fingerprints: Mapping[str, str]) -> list[str]:
    """Return one line for each data set that is not the one on which the trials of a run have been trained."""
    recorded = recorded_fingerprints(directory)
    if directory is None or not recorded or not _has_trained(directory):
        return []
    return [
        f"{directory.uri} holds trials on other images or labels: {name} has changed since (fingerprint "
        f"{recorded[name]} there, {value} here); restore it, or launch into another run directory"
        for name, value in fingerprints.items()
        if recorded.get(name, value) != value
    ]


def unknown_data(directory: RunDirectory | None, fingerprints: Mapping[str, str]) -> list[str]:
    """Return a note for each data set of which a run's trials have been trained without its fingerprint."""
    if directory is None or not _has_trained(directory):
        return []
    recorded = recorded_fingerprints(directory)
    return [
        f"{directory.uri} has trials of a version that stored no fingerprint of {name}: nothing tells whether its "
        "images have changed since"
        for name in fingerprints
        if name not in recorded
    ]


def recorded_fingerprints(directory: RunDirectory | None) -> dict[str, str]:
    """Return the fingerprints of the data sets of a run; empty if a version without them has started it."""
    found = directory.read_versions().get("data") if directory is not None else None
    return {str(name): str(value) for name, value in found.items()} if isinstance(found, Mapping) else {}


def data_set_name(data: DataConfig) -> str:
    """Return the name of a data set in the record of a run: its source, and what it reads."""
    read = [data.path, *(data.columns.model_dump().values() if data.columns != STANDARD_COLUMNS else ())]
    return " ".join([data.name, *(str(part) for part in read if part is not None)])


def _has_trained(directory: RunDirectory) -> bool:
    return bool(directory.finished_keys() or directory.progress_keys())


def _survey(data: DataConfig, faults: list[str]) -> Survey | None:
    """Return what is known of a data set; None if it cannot be used, which is added to the faults."""
    try:
        sources.locate(data)
        return sources.survey(data)
    except (ValueError, OSError) as error:
        faults.append(one_line(error))
        return None


def _shape_faults(sweep: Sweep, shape: tuple[int, int, int]) -> list[str]:
    """Return the first fault of a network on images of ``shape`` [C, H, W]."""
    for assignment in assignments(
        sweep, ("space.name", "space.cells", "space.patch_size", "space.stem", "train.cells")
    ):
        config = apply_assignment(sweep.trial, assignment)
        try:
            config.check_images(shape)
        except (SpaceError, SplittingError) as error:
            return [str(error)]
    return []


def _faults(config: TrialConfig, survey: Survey, workers: int) -> Iterator[str]:
    """Yield why there are not enough images for a trial."""
    data, train, available = config.data, config.train, survey.counts["train"]
    for name, wanted, there in (
        ("train_images", data.train_images, available),
        ("test_images", data.test_images, survey.counts["test"]),
    ):
        if wanted is not None and wanted > there:
            yield f"`data.{name}` must be at most the {there} there are, but got {wanted}"
    for name, size in (("data.batch_size", data.batch_size), ("train.batch_size", train.batch_size)):
        if size is not None and size % workers:
            yield f"`{name}` must be a multiple of `resources.workers`, {workers}, but got {size}"
    images = min(data.train_images or available, available)
    own = survey.counts["validation"] > 0  # images for validation, which need no share
    shares = (("data", 0.0 if own else data.validation_share), ("train", train.validation_share))
    for block, share in shares:
        left = images - round(images * share)
        if share and left < workers:
            yield (
                f"`{block}.validation_share` must leave a training image for every worker ({workers}), but "
                f"{share:g} of {images} leaves {left}"
            )
            return
        images = left if block == "data" else images
    if images // 2 < workers:
        yield f"every worker ({workers}) needs two training images, but there are {images}"


def _notes(config: TrialConfig, survey: Survey) -> Iterator[str]:
    """Yield what augmentation does that nobody can have meant."""
    side = max(survey.shape[1:])
    if config.data.cutout >= 2 * side:
        yield f"`data.cutout` is {config.data.cutout}: it blanks the whole of every image, which is {side} pixels wide"
