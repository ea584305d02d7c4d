"""One trial, from its configuration to its points: search, genotype, training, ladder, points.

Every epoch leaves a progress row and a checkpoint on storage before anybody is told of it; whoever is stopped or
killed there continues at that epoch, bit for bit on the CPU. Only rank 0 writes.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch

from search_space import Genotype, Network
from trials.checkpointing import checkpoint, shared_search
from trials.checkpointing.record import Phase, Record, TrialContext
from trials.config import Rung, TrialConfig
from trials.data.loading import Images, load_images
from trials.device.compute import Compute
from trials.device.memory import giving_back_memory
from trials.device.parallel import Mesh, joined, local_device
from trials.points import measure_points, numbered, trial_columns
from trials.search.feasibility import check_cost, check_reach
from trials.search.search import Search
from trials.train.training import Training, build_network

__all__ = ["TrialContext", "evaluate_ladder", "run_trial"]


@giving_back_memory
def run_trial(config: TrialConfig, context: TrialContext) -> None:
    """Run one trial to its points, from its newest checkpoint if there is one.

    Raises:
        SpaceError: the images are too small for the networks.
        TrialError: the trial cannot go on.
        InfeasibleError: no architecture can keep a constraint on what it costs, and nothing is searched; or the one
            that was found does not, and it is not trained.
        CheckpointError: what is stored under its key belongs to another trial.
    """
    key = config.trial_key()
    if context.directory.has_points(key):
        return
    device = local_device()
    compute = Compute.of(config.device, device)
    images = load_images(config.data, config.seed, device)
    config.check_images(images.shape)
    with joined(context.rank, context.world_size, context.address, device) as mesh:
        mesh.require_agreement("images", images.identity)
        record = Record.open(config, context, mesh)
        check_reach(config, images.shape, images.classes, context.constraints)
        genotype = _search(config, images, compute, mesh, record)
        check_cost(config, genotype, images, context.constraints)
        network = _train(config, genotype, images, compute, mesh, record)
    if context.rank == 0:
        context.directory.write_network(key, checkpoint.pack(_stored(network)))
        shared = trial_columns(config, context, record, network)
        rungs = config.ladder.rungs()
        rows = measure_points(config, rungs, network, images, compute)
        context.directory.write_points(key, numbered(config, _by_rung(rungs, [shared | row for row in rows])))
        context.directory.delete_checkpoints(key)


@giving_back_memory
def evaluate_ladder(config: TrialConfig, context: TrialContext) -> None:
    """Bring a finished trial's points to the ladder of ``config``: missing rungs are evaluated on the stored network.

    Rungs that were there stay as they are; rungs that the ladder no longer has are dropped. Nothing is retrained.
    """
    key, device = config.trial_key(), local_device()
    compute = Compute.of(config.device, device)
    old = context.directory.read_points(key).to_pylist()
    rungs = config.ladder.rungs()
    rows = {Rung.model_validate({name: row[name] for name in Rung.model_fields}): row for row in old}
    missing = [rung for rung in rungs if rung not in rows]
    if missing:
        images = load_images(config.data, config.seed, device)
        network = load_network(config, checkpoint.unpack(context.directory.read_network(key)), images)
        compute.place(network)
        measured = measure_points(config, missing, network, images, compute)
        rows |= _by_rung(missing, [old[0] | row for row in measured])
    context.directory.write_points(key, numbered(config, rows))


def load_network(config: TrialConfig, stored: dict[str, Any], images: Images) -> Network:
    """Return the trained network that a trial stored."""
    network = build_network(config, Genotype.from_json(stored["genotype"]), images)
    network.load_state_dict(stored["network"])
    return network.eval()


def _search(config: TrialConfig, images: Images, compute: Compute, mesh: Mesh, record: Record) -> Genotype:
    """Search, or take the genotype that the record already holds, or that another trial has found for all."""
    if record.state is not None and record.state["phase"] == Training.name:
        return Genotype.from_json(record.state[Training.name]["genotype"])
    if (found := shared_search.take_over(record)) is not None:
        return found
    torch.manual_seed(config.seed)
    search = Search(config, images, compute, mesh)
    _run_epochs(search, record, compute)
    genotype = search.genotype()
    shared_search.leave(record, genotype)
    return genotype


def _train(
    config: TrialConfig, genotype: Genotype, images: Images, compute: Compute, mesh: Mesh, record: Record
) -> Network:
    """Train the discrete network from scratch; its weights have a seed of their own."""
    torch.manual_seed(config.seed + 1)
    training = Training(config, genotype, images, compute, mesh)
    _run_epochs(training, record, compute)
    return training.network


def _run_epochs(phase: Phase, record: Record, compute: Compute) -> None:
    done = record.restore(phase)
    if compute.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(compute.device)
    for epoch in range(done, phase.epochs):
        if phase.stopped:
            return
        start = time.perf_counter()
        measured = phase.run_epoch(epoch)
        measured["epoch_s"] = time.perf_counter() - start
        record.add(phase, epoch, measured, compute.peak_bytes())


def _by_rung(rungs: Sequence[Rung], rows: Sequence[dict[str, Any]]) -> dict[Rung, dict[str, Any]]:
    return dict(zip(rungs, rows, strict=True))


def _stored(network: Network) -> dict[str, Any]:
    return {"genotype": network.genotype.to_json(), "network": network.state_dict()}
