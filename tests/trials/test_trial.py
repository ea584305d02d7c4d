"""A whole trial: its points, how it resumes after any epoch, updates of its ladder, and its errors."""

from __future__ import annotations

import io
import json
import socket
from collections import Counter
from dataclasses import replace
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import pyarrow as pa
import pytest
import torch
from scipy.stats import chisquare

from results import RunDirectory
from results.pareto.constraints import parse_all
from results.record_types import JsonObject
from results.schema import POINTS, PROGRESS, volatile_columns
from search_space import Genotype, SpaceError
from search_space.published import DARTS_V2
from tests.doubles.stopped import StoppedError
from tests.trials.tiny import compute_of, context_in, images_of, tiny_config
from trials import TrialConfig, TrialError, count_cost, run_trial
from trials.checkpointing import checkpoint
from trials.context import Report
from trials.data.image_set import ImageSet
from trials.errors import CheckpointError, InfeasibleError
from trials.search.no_search import given_genotype
from trials.trial import evaluate_ladder, load_network


def points_of(directory: RunDirectory, config: TrialConfig) -> list[JsonObject]:
    """Return the points of a trial without the columns that may differ between two identical runs."""
    return _without_volatile_columns(directory.read_points(config.trial_key()), POINTS)


def progress_of(directory: RunDirectory, config: TrialConfig) -> list[JsonObject]:
    return _without_volatile_columns(directory.read_progress(config.trial_key()), PROGRESS)


def _without_volatile_columns(table: pa.Table, schema: pa.Schema) -> list[JsonObject]:
    rows: list[JsonObject] = table.drop_columns(volatile_columns(schema)).to_pylist()
    return rows


def weights_of(directory: RunDirectory, config: TrialConfig) -> dict[str, torch.Tensor]:
    network: dict[str, torch.Tensor] = checkpoint.unpack(directory.read_network(config.trial_key()))[
        "network"
    ]
    return network


def assert_same_trial(one: RunDirectory, other: RunDirectory, config: TrialConfig) -> None:
    assert points_of(one, config) == points_of(other, config)
    assert progress_of(one, config) == progress_of(other, config)
    left, right = weights_of(one, config), weights_of(other, config)
    assert left.keys() == right.keys()
    assert all(torch.equal(value, right[name]) for name, value in left.items())


def stopping_at(step: int) -> Report:
    def report(row: JsonObject) -> None:
        if row["step"] == step:
            raise StoppedError

    return report


CONFIG = tiny_config(
    data={"crop_padding": 1, "flip": True, "cutout": 2},
    train={"epochs": 3, "drop_path": 0.5, "validation_share": 0.25},
    feature_maps={"regularization": 0.01, "in_search": True},
)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    context = context_in(tmp_path_factory.mktemp("undisturbed"))
    run_trial(CONFIG, context)
    return context.directory


def test_points_hold_a_row_for_every_rung_with_all_that_was_measured(undisturbed: RunDirectory) -> None:
    rows = undisturbed.read_points(CONFIG.trial_key()).to_pylist()
    rungs = CONFIG.ladder.rungs()
    assert [row["rung"] for row in rows] == list(range(len(rungs)))
    for row, rung in zip(rows, rungs, strict=True):
        for name, value in rung.model_dump().items():
            assert row[name] == value
        for field in POINTS:
            assert field.nullable or row[field.name] is not None, field.name
        assert row["point"] == f"{CONFIG.trial_key()}-{row['rung']:02d}"
        assert (row["space"], row["trial_index"], row["sweep"], row["seed"]) == ("darts", 7, "tiny", 3)
        assert TrialConfig.model_validate_json(row["config"]) == CONFIG
        assert 0 <= row["accuracy"] <= 1
        assert row["memory_bytes"] >= row["weight_bytes"]
        assert row["search_peak_bytes"] is None
        assert row["search_s"] > 0
        assert "torch" in json.loads(row["versions"])
        assert row["data_fingerprint"] == images_of(CONFIG).fingerprint is not None
    network = load_network(
        CONFIG, checkpoint.unpack(undisturbed.read_network(CONFIG.trial_key())), images_of(CONFIG)
    )
    cost = count_cost(network, (1, 8, 8))
    assert {(row["params"], row["macs"], row["flops"]) for row in rows} == {
        (cost.params, cost.macs, cost.flops)
    }
    assert {row["genotype"] for row in rows} == {network.genotype.to_json()}
    assert rows[0]["effective_macs"] < cost.macs


def test_progress_holds_a_row_for_every_epoch_of_both_phases(undisturbed: RunDirectory) -> None:
    fingerprints = set(undisturbed.read_progress(CONFIG.trial_key())["data_fingerprint"].to_pylist())
    assert fingerprints == {images_of(CONFIG).fingerprint}
    rows = undisturbed.read_progress(CONFIG.trial_key()).to_pylist()
    assert [(row["step"], row["phase"], row["epoch"]) for row in rows] == [
        (1, "search", 1), (2, "search", 2), (3, "train", 1), (4, "train", 2), (5, "train", 3),
    ]  # fmt: skip
    for row in rows:
        assert row["images_per_s"] > 0
        assert row["taps"]
        assert (row["alpha_entropy"] is None) == (row["phase"] == "train")
        assert (row["effective_macs"] is None) == (row["phase"] == "search")
        assert row["validation_accuracy"] is not None


def test_the_last_epoch_and_the_first_rung_agree_on_effective_macs(undisturbed: RunDirectory) -> None:
    last = undisturbed.read_progress(CONFIG.trial_key()).to_pylist()[-1]
    rung = undisturbed.read_points(CONFIG.trial_key()).to_pylist()[0]
    assert last["effective_macs"] == pytest.approx(rung["effective_macs"], rel=0.05)  # the images differ


def test_the_stored_network_has_the_accuracy_of_its_first_rung(undisturbed: RunDirectory) -> None:
    images = images_of(CONFIG)
    network = load_network(CONFIG, checkpoint.unpack(undisturbed.read_network(CONFIG.trial_key())), images)
    compute_of(CONFIG).place(network)
    assert isinstance(images.test, ImageSet)
    pixels = (images.test.pixels / 255 - images.test.mean.view(-1, 1, 1)) / images.test.std.view(-1, 1, 1)
    with torch.no_grad():
        correct = network(pixels.float()).argmax(1) == images.test.labels
    row = undisturbed.read_points(CONFIG.trial_key()).to_pylist()[0]
    assert float(correct.double().mean()) == pytest.approx(row["test_accuracy"], abs=1.5 / 64)


def test_the_same_configuration_and_seed_give_the_same_trial(
    undisturbed: RunDirectory, tmp_path: Path
) -> None:
    again = context_in(tmp_path)
    run_trial(CONFIG, again)
    assert_same_trial(again.directory, undisturbed, CONFIG)


@pytest.mark.parametrize("step", [1, 2, 3, 4, 5])
def test_a_trial_stopped_after_any_epoch_resumes_bit_for_bit(
    undisturbed: RunDirectory, tmp_path: Path, step: int
) -> None:
    with pytest.raises(StoppedError):
        run_trial(CONFIG, context_in(tmp_path, stopping_at(step)))
    assert not RunDirectory(tmp_path).has_points(CONFIG.trial_key())
    steps: list[int] = []
    torch.manual_seed(999)  # results must not depend on earlier random numbers of the process
    run_trial(CONFIG, context_in(tmp_path, lambda row: steps.append(row["step"])))
    assert steps == list(range(step + 1, 6))
    assert_same_trial(RunDirectory(tmp_path), undisturbed, CONFIG)
    assert not list(RunDirectory(tmp_path).read_checkpoints(CONFIG.trial_key()))


def test_a_corrupt_newest_checkpoint_falls_back_to_the_one_before(
    undisturbed: RunDirectory, tmp_path: Path
) -> None:
    with pytest.raises(StoppedError):
        run_trial(CONFIG, context_in(tmp_path, stopping_at(3)))
    newest = max(path for path in tmp_path.joinpath("checkpoints", CONFIG.trial_key()).iterdir())
    newest.write_bytes(newest.read_bytes()[:-100])
    steps: list[int] = []
    run_trial(CONFIG, context_in(tmp_path, lambda row: steps.append(row["step"])))
    assert steps == [3, 4, 5]
    assert_same_trial(RunDirectory(tmp_path), undisturbed, CONFIG)


def test_a_finished_trial_is_not_run_again(
    undisturbed: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trials.trial.load_images", None)
    run_trial(CONFIG, context_in(Path(undisturbed.uri)))


def test_a_longer_ladder_adds_rungs_and_retrains_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(ladder={"threshold": [0.0, 0.1], "weight_bits": [32], "feature_map_bits": [32]})
    context = context_in(tmp_path)
    run_trial(config, context)
    key = config.trial_key()
    before = context.directory.read_points(key).to_pylist()

    longer = tiny_config(
        ladder={"threshold": [0.0, 0.05, 0.1], "weight_bits": [32, 8], "feature_map_bits": [32]}
    )
    assert longer.trial_key() == key
    for name in ("Search", "Training"):
        monkeypatch.setattr(f"trials.trial.{name}", None)
    evaluate_ladder(longer, context)
    after = {
        (row["threshold"], row["weight_bits"]): row for row in context.directory.read_points(key).to_pylist()
    }
    assert list(after) == [(t, b) for t in (0.0, 0.05, 0.1) for b in (32, 8)]
    for old in before:
        new = after[old["threshold"], old["weight_bits"]]
        assert {n: v for n, v in new.items() if n not in ("rung", "point", "config")} == {
            n: v for n, v in old.items() if n not in ("rung", "point", "config")
        }
    assert after[0.05, 32]["accuracy"] is not None

    monkeypatch.undo()
    whole = context_in(tmp_path / "whole")
    run_trial(longer, whole)
    assert points_of(whole.directory, longer) == points_of(context.directory, longer)

    monkeypatch.setattr("trials.trial.load_images", None)  # a shorter ladder needs no evaluation at all
    evaluate_ladder(config, context)
    assert len(context.directory.read_points(key)) == 2


def test_all_rungs_of_a_trial_are_timed_on_one_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def config_of(*thresholds: float) -> TrialConfig:
        ladder = {"threshold": thresholds, "weight_bits": [32], "feature_map_bits": [32], "latency": True}
        return tiny_config(ladder=ladder, search={"epochs": 0}, train={"epochs": 1})

    def hosts(config: TrialConfig) -> list[str | None]:
        rows = context.directory.read_points(config.trial_key()).to_pylist()
        assert all(row["latency_1_ms"] > 0 < row["latency_64_ms"] for row in rows)
        return [row["latency_host"] for row in rows]

    monkeypatch.setattr("trials.ladder.latency.RUNS", 1)
    context = context_in(tmp_path)
    run_trial(config_of(0.0), context)
    assert hosts(config_of(0.0)) == [socket.gethostname()]
    monkeypatch.setattr("socket.gethostname", lambda: "another")
    evaluate_ladder(config_of(0.0, 0.1), context)
    assert hosts(config_of(0.0, 0.1)) == ["another", "another"]


SPACES: dict[str, dict[str, object]] = {
    "darts": {"algorithm": "darts_second_order"},
    "hybrid": {"algorithm": "darts"},
    "attention": {"algorithm": "pc_darts", "partial_channels": 2},
}


@pytest.mark.parametrize("space", SPACES)
def test_every_space_searches_trains_resumes_and_evaluates(space: str, tmp_path: Path) -> None:
    config = tiny_config(
        space, space={"channels": 8}, search=SPACES[space] | {"epochs": 1}, train={"epochs": 1},
        ladder={"threshold": [0.0, 0.1], "weight_bits": [8], "feature_map_bits": [8]},
    )  # fmt: skip
    whole = context_in(tmp_path / "whole")
    run_trial(config, whole)
    for step in (1, 2):
        part = tmp_path / f"stopped{step}"
        with pytest.raises(StoppedError):
            run_trial(config, context_in(part, stopping_at(step)))
        run_trial(config, context_in(part))
        assert_same_trial(RunDirectory(part), whole.directory, config)
    rows = points_of(whole.directory, config)
    genotype = Genotype.from_json(rows[0]["genotype"])
    assert (genotype.reduce is None) == (space == "attention")
    assert all(0 < row["effective_macs"] <= row["macs"] for row in rows)


def test_without_search_epochs_the_seed_determines_the_architecture(tmp_path: Path) -> None:
    config = tiny_config(search={"epochs": 0}, train={"epochs": 1})
    run_trial(config, context_in(tmp_path / "one"))
    run_trial(config, context_in(tmp_path / "two"))
    assert_same_trial(RunDirectory(tmp_path / "one"), RunDirectory(tmp_path / "two"), config)


def test_a_trial_without_a_search_trains_the_given_architecture(tmp_path: Path) -> None:
    search = {"algorithm": "none", "genotype": "DARTS_V2"}
    config = tiny_config(space={"nodes": 4}, search=search, train={"epochs": 1}, ladder={"threshold": [0.0]})
    directory = context_in(tmp_path).directory
    run_trial(config, context_in(tmp_path))
    rows = directory.read_points(config.trial_key()).to_pylist()
    assert Genotype.from_json(rows[0]["genotype"]) == Genotype.parse(DARTS_V2)
    assert {(row["algorithm"], row["search_epochs"], row["train_epochs"]) for row in rows} == {("none", 0, 1)}
    progress = directory.read_progress(config.trial_key()).to_pylist()
    assert [(row["phase"], row["step"]) for row in progress] == [("train", 1)]


def test_a_random_architecture_depends_on_the_seed_and_nothing_else() -> None:
    def drawn(seed: int, **blocks: dict[str, object]) -> Genotype | None:
        config = tiny_config(search={"algorithm": "none", "genotype": "random"}, **blocks)
        return given_genotype(config.model_copy(update={"seed": seed}))

    assert given_genotype(tiny_config()) is None
    assert drawn(1) == drawn(1, train={"epochs": 9}, feature_maps={"regularization": 0.1})
    many = [genotype for seed in range(300) if (genotype := drawn(seed)) is not None]
    assert len({str(genotype) for genotype in many}) > 295
    edges = Counter(
        edge for genotype in many for edge in genotype.normal.edges[2:]
    )  # of 7 primitives, 3 sources
    assert len(edges) == 21
    assert chisquare(list(edges.values())).pvalue > 1e-4


@pytest.mark.parametrize("phase", ["search", "train"])
def test_a_loss_that_is_not_finite_ends_the_trial_with_an_error(phase: str, tmp_path: Path) -> None:
    block = {"learning_rate": 1e30, "gradient_clip": 1e30}
    config = tiny_config(**{phase: block})
    with pytest.raises(TrialError, match="loss must be finite, but got"):
        run_trial(config, context_in(tmp_path))
    assert not RunDirectory(tmp_path).has_points(config.trial_key())


def test_a_checkpoint_of_another_trial_is_refused(tmp_path: Path) -> None:
    context = context_in(tmp_path)
    key = CONFIG.trial_key()
    context.directory.write_checkpoint(
        key, 1, checkpoint.pack({"trial_key": "0" * 16, "step": 1, "rows": []})
    )
    with pytest.raises(CheckpointError, match=f"must be of trial {key}, but got one of 0000000000000000"):
        run_trial(CONFIG, context)


def test_a_checkpoint_and_a_network_of_other_images_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, context = tiny_config(), context_in(tmp_path, stopping_at(1))
    with pytest.raises(StoppedError):
        run_trial(config, context)
    finished = context_in(tmp_path / "finished")
    run_trial(config, finished)
    changed = replace(images_of(config), fingerprint="0123456789abcdef")
    monkeypatch.setattr("trials.trial.load_images", lambda *_: changed)
    with pytest.raises(
        CheckpointError, match="must go on with its images, but they or their labels have changed"
    ):
        run_trial(config, context)
    longer = config.model_copy(
        update={"ladder": config.ladder.model_copy(update={"threshold": (0.0, 0.1, 0.2)})}
    )
    with pytest.raises(TrialError, match="must be used with the images of its training"):
        evaluate_ladder(longer, finished)


def test_a_search_on_other_images_is_not_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, context = tiny_config(), context_in(tmp_path)
    run_trial(config, context)
    changed = replace(images_of(config), fingerprint="0123456789abcdef")
    monkeypatch.setattr("trials.trial.load_images", lambda *_: changed)
    monkeypatch.setattr("trials.trial.Search", None)
    sibling = tiny_config(feature_maps={"regularization": 0.01})
    with pytest.raises(TypeError):  # it would search again
        run_trial(sibling, context)


def test_a_checkpoint_of_another_shape_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        run_trial(CONFIG, context_in(tmp_path, stopping_at(1)))
    directory, key = RunDirectory(tmp_path), CONFIG.trial_key()
    state = checkpoint.newest(directory, key)
    assert state is not None
    state["search"]["supernet"]["stem.0.weight"] = torch.zeros(1)
    directory.write_checkpoint(key, 2, checkpoint.pack(state))
    with pytest.raises(CheckpointError, match=r"must fit the trial's network, but got: .*stem\.0\.weight.*$"):
        run_trial(CONFIG, context_in(tmp_path))


def test_a_checkpoint_of_another_space_is_refused_in_one_line(tmp_path: Path) -> None:
    other = tiny_config("attention", space={"channels": 8}, search={"epochs": 1})
    with pytest.raises(StoppedError):
        run_trial(other, context_in(tmp_path, stopping_at(1)))
    state = checkpoint.newest(RunDirectory(tmp_path), other.trial_key())
    assert state is not None
    key = CONFIG.trial_key()
    RunDirectory(tmp_path).write_checkpoint(key, 1, checkpoint.pack(state | {"trial_key": key}))
    steps: list[int] = []
    with pytest.raises(CheckpointError, match="must fit the trial's network, but got: ") as caught:
        run_trial(CONFIG, context_in(tmp_path, lambda row: steps.append(row["step"])))
    assert len(str(caught.value).splitlines()) == 1
    assert steps == []


def test_images_too_small_for_the_reductions_are_refused_before_the_first_step(tmp_path: Path) -> None:
    config = tiny_config(data={"image_size": 4})
    with pytest.raises(SpaceError, match="2 reductions need images of at least 8 pixels a side, but got 4x4"):
        run_trial(config, context_in(tmp_path))
    assert RunDirectory(tmp_path).read_progress().num_rows == 0


def test_a_state_is_unpacked_as_it_was_packed() -> None:
    state = {"tensor": torch.arange(3), "rows": [{"loss": 0.5, "taps": None}], "name": "x"}
    back = checkpoint.unpack(checkpoint.pack(state))
    assert torch.equal(back["tensor"], state["tensor"])  # type: ignore[arg-type]
    assert (back["rows"], back["name"]) == (state["rows"], "x")


class Hostile:
    def __reduce__(self) -> tuple[object, ...]:
        return (Path("executed").touch, ())


@pytest.mark.parametrize(
    "case", ["code", "empty", "noise", "truncated", "no dictionary", "another format", "not an archive"]
)
def test_invalid_checkpoints_are_refused_and_never_executed(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def saved(content: object, **options: bool) -> bytes:
        buffer = io.BytesIO()
        torch.save(content, buffer, **options)
        return buffer.getvalue()

    payload = {
        "code": lambda: saved({"format": 1, "x": Hostile()}),
        "empty": lambda: b"",
        "noise": lambda: bytes(range(256)) * 10,
        "truncated": lambda: checkpoint.pack({"x": torch.zeros(100)})[:-50],
        "no dictionary": lambda: saved([1, 2]),
        "another format": lambda: saved({"format": 2}),
        "not an archive": lambda: saved({"format": 1}, _use_new_zipfile_serialization=False),
    }[case]()
    with pytest.raises(CheckpointError):
        checkpoint.unpack(payload)
    assert not (tmp_path / "executed").exists()


def test_a_state_that_unfolds_is_refused_before_it_takes_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    unfolded = checkpoint.pack({"x": torch.zeros(1_000_000)})
    buffer = io.BytesIO()
    with ZipFile(io.BytesIO(unfolded)) as parts, ZipFile(buffer, "w", ZIP_DEFLATED) as archive:
        for part in parts.infolist():
            archive.writestr(part.filename, parts.read(part))
    assert len(buffer.getvalue()) < 10_000
    with monkeypatch.context() as patch:
        patch.setattr(torch, "load", None)
        with pytest.raises(CheckpointError, match=r"must not unfold, but its .* bytes claim to hold 4,00"):
            checkpoint.unpack(buffer.getvalue())
    assert checkpoint.unpack(unfolded)["x"].numel() == 1_000_000


def test_the_random_state_is_restored() -> None:
    state = checkpoint.random_state()
    first = torch.rand(3)
    checkpoint.restore_random_state(state)
    assert torch.equal(torch.rand(3), first)


def test_an_architecture_that_breaks_a_constraint_is_not_trained(tmp_path: Path) -> None:
    context = replace(context_in(tmp_path), constraints=parse_all(["accuracy >= 0.1", "params <= 10"]))
    config = tiny_config("darts")
    with pytest.raises(InfeasibleError, match=r"the architecture must have params <= 10, but got [\d,]+"):
        run_trial(config, context)
    progress = context.directory.read_progress(config.trial_key()).to_pylist()
    assert {row["phase"] for row in progress} == {"search"}
    assert len(progress) == config.search.epochs
    assert not context.directory.has_points(config.trial_key())
    wide = replace(context, constraints=parse_all(["macs <= 1e9", "params >= 10"]))
    run_trial(config, wide)
    assert context.directory.has_points(config.trial_key())
