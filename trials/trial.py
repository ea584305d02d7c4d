"""One trial, from its configuration to its points: search, genotype, training, ladder, points.

After every epoch, a progress row and a checkpoint are stored before the epoch is reported. A trial that is stopped or
killed resumes after its last stored epoch; on the CPU, its results are the same bit for bit. Only rank 0 writes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

import torch

from search_space import Genotype, Network
from trials.checkpointing import checkpoint, shared_search, stages
from trials.checkpointing.checkpoint import State
from trials.checkpointing.record import Phase, Record, same_images
from trials.config import Rung, TrialConfig
from trials.context import TrialContext
from trials.data.image_set import Images
from trials.data.loading import load_images
from trials.data.seeds import Purpose, seed_of
from trials.device.compute import Compute
from trials.device.memory import giving_back_memory
from trials.device.parallel import Mesh, local_device, process_group
from trials.errors import TrialError
from trials.finetune.finetuning import Finetuning
from trials.points import (
    Columns,
    calibration_batches,
    measure_latency,
    measure_points,
    point_rows,
    trial_columns,
)
from trials.search.feasibility import check_cost, check_reach
from trials.search.no_search import given_genotype
from trials.search.search import Search
from trials.train.training import Training, build_network

__all__ = ["TrialContext", "evaluate_ladder", "run_trial"]


@giving_back_memory
def run_trial(config: TrialConfig, context: TrialContext) -> None:
    """Run a trial to its points, from its newest checkpoint if there is one. A finished trial returns at once.

    Raises:
        DataError: images are missing or invalid.
        SpaceError: the images are too small for the networks.
        InfeasibleError: a constraint on the cost is broken, by all networks that the search could derive (raised before
            the search) or by the one that it has derived (raised before the training).
        TrialError: the trial cannot continue.
        CheckpointError: the checkpoint belongs to another trial.
    """
    key = config.trial_key()
    if context.directory.has_points(key):
        return
    device = local_device()
    compute = Compute.of(config.device, device)
    images = load_images(config.data, config.seed, device)
    config.check_images(images.shape)
    with process_group(context.rank, context.world_size, context.address, device) as mesh:
        mesh.require_agreement("images", images.identity)
        record = Record.open(config, context, mesh, images.fingerprint)
        check_reach(config, images.shape, images.classes, context.constraints)
        network = _train(config, images, compute, mesh, record)
    if context.rank == 0:
        shared = trial_columns(config, context, record, network)
        rungs = config.ladder.rungs()
        measured = measure_points(config, rungs, network, images, compute)
        timed = measure_latency(config, network, images, compute)
        rows = [{**shared, **row, **times} for row, times in zip(measured, timed, strict=True)]
        points = point_rows(config, _by_rung(rungs, rows))
        context.directory.write_points(key, points)
        context.directory.delete_checkpoints(key)


@giving_back_memory
def evaluate_ladder(config: TrialConfig, context: TrialContext) -> None:
    """Update the points of a finished trial to the ladder of ``config``, without retraining.

    New rungs are evaluated on the stored network; points of rungs that the ladder no longer has are dropped. If there
    are new ones, the latency of all is measured again, so that they were timed together.
    """
    key, device = config.trial_key(), local_device()
    compute = Compute.of(config.device, device)
    old = context.directory.read_points(key).to_pylist()
    rungs = config.ladder.rungs()
    rows = {Rung.of_row(row): row for row in old}
    missing = [rung for rung in rungs if rung not in rows]
    if missing:
        images = load_images(config.data, config.seed, device)
        network = load_network(config, checkpoint.unpack(context.directory.read_network(key)), images)
        compute.place(network)
        measured = measure_points(config, missing, network, images, compute)
        rows |= _by_rung(missing, [{**old[0], **row} for row in measured])
        timed = measure_latency(config, network, images, compute)
        rows |= {rung: {**rows[rung], **times} for rung, times in zip(rungs, timed, strict=True)}
    context.directory.write_points(key, point_rows(config, rows))


def load_network(config: TrialConfig, stored: State, images: Images) -> Network:
    """Return the trained network of a trial from its stored state, in evaluation mode.

    Raises:
        TrialError: it was trained on other images.
    """
    if not same_images(stored, images.fingerprint):
        raise TrialError(
            f"a trained network must be used with the images of its training, but they or their labels have changed: "
            f"fingerprint {images.fingerprint}, and {stored['data']} at the training"
        )
    network = build_network(config, Genotype.from_json(stored["genotype"]), images)
    network.load_state_dict(stored["network"])
    return network.eval()


def _search(config: TrialConfig, images: Images, compute: Compute, mesh: Mesh, record: Record) -> Genotype:
    """Return the genotype: given, of a shared search, or of a new search; of the checkpoint once the search is over."""
    if record.state is not None and record.state["phase"] != Search.stage:
        return Genotype.from_json(record.state[record.state["phase"]]["genotype"])
    if (genotype := given_genotype(config) or shared_search.load(record)) is not None:
        return genotype
    torch.manual_seed(seed_of(config.seed, Purpose.SEARCH, config.streams))
    search = Search(config, images, compute, mesh)
    _run_epochs(search, record, compute, at_end=lambda: shared_search.store(record, search.genotype()))
    return search.genotype()


def _train(config: TrialConfig, images: Images, compute: Compute, mesh: Mesh, record: Record) -> Network:
    """Run the search and the stages after it; return the network. What any trial has stored is not run again.

    Raises:
        InfeasibleError: the architecture breaks a constraint.
    """
    sequence, network, first = config.stages(), None, record.position
    if (found := stages.load_last(record, sequence)) is not None:
        position, stored = found
        network, first = load_network(sequence[position], stored, images), position + 1
        compute.place(network)
    genotype = network.genotype if network else _search(config, images, compute, mesh, record)
    check_cost(config, genotype, images, record.context.constraints)
    for position, stage in enumerate(sequence[first:], first):
        phase = _phase(stage, position, genotype, network, images, compute, mesh)
        _run_epochs(phase, record, compute, at_end=partial(_store, record, stage, phase.network, images))
        network = phase.network
    assert network is not None, "a trial has at least one stage"
    return network


def _phase(
    stage: TrialConfig,
    position: int,
    genotype: Genotype,
    before: Network | None,
    images: Images,
    compute: Compute,
    mesh: Mesh,
) -> Training:
    """Return the phase of a stage. The weights of a training have a seed of their own, so the search may be skipped.

    ``before`` is the network of the stage before; None if that of a checkpoint will be restored.
    """
    purpose = Purpose.FINETUNING if position else Purpose.TRAINING
    torch.manual_seed(seed_of(stage.seed, purpose, stage.streams))
    if not position:
        return Training(stage, genotype, images, compute, mesh)
    network = build_network(stage, genotype, images)
    if before is not None:
        network.load_state_dict(before.state_dict())
    return Finetuning(stage, network, images, compute, mesh, calibration_batches(images, compute))


def _store(record: Record, stage: TrialConfig, network: Network, images: Images) -> None:
    stages.store(record, stage, _network_state(network, images))


def _run_epochs(phase: Phase, record: Record, compute: Compute, at_end: Callable[[], None]) -> None:
    """Run the remaining epochs of a phase, and record each of them.

    ``at_end`` is called after the last, before it is reported: whoever stops the trial there finds the phase complete.
    """
    epochs_done = record.restore(phase)
    if compute.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(compute.device)
    for epoch in range(epochs_done, phase.epochs):
        if phase.stopped:
            break
        start = time.perf_counter()
        measured = phase.run_epoch(epoch)
        is_last = phase.stopped or epoch + 1 == phase.epochs
        before_report = at_end if is_last else lambda: None
        record.add(phase, epoch, measured, time.perf_counter() - start, compute.peak_bytes(), before_report)
        if is_last:
            return
    at_end()


def _by_rung(rungs: Sequence[Rung], rows: Sequence[Columns]) -> dict[Rung, Columns]:
    return dict(zip(rungs, rows, strict=True))


def _network_state(network: Network, images: Images) -> State:
    """Return what a network is, and what using it takes: its input, and the names of its outputs."""
    return {
        "genotype": network.genotype.to_json(),
        "network": network.state_dict(),
        "class_names": list(images.class_names),
        "input": {"shape": list(images.shape), "mean": images.mean.tolist(), "std": images.std.tolist()},
    }
