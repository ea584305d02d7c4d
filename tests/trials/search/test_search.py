"""The search: alpha gradients, expected macs, regularization, and the measurements of an epoch."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call

from search_space import SPACES, Network, SearchSpace, Skeleton, Supernet, register
from search_space.feature_map import Listener, listening, taps
from search_space.primitives import primitive
from search_space.space import StemName
from tests.trials.tiny import CPU, compute_of, images_of, network_of, tiny_config
from trials import TrialConfig, TrialError
from trials.cost.cost import count_cost, count_layers
from trials.data.batches import Batch
from trials.device.compute import Compute
from trials.device.parallel import Mesh
from trials.feature_maps.measures import FUSED, MEASURES, hoyer, l1
from trials.feature_maps.regularization import Regularizer, TapStatistics
from trials.feature_maps.schedule import share_of_lambda
from trials.search.darts import AlphaStep, FirstOrder
from trials.search.darts_second_order import SecondOrder
from trials.search.expected_macs import ExpectedMacs
from trials.search.search import Search
from trials.train.objective import Objective
from trials.train.optimizers import cosine
from trials.train.training import Training

Choice = tuple[int, int]
"""Index of an edge, and index of its primitive."""


def small_supernet(space: str = "darts", **options: int | str) -> Supernet:
    arguments: dict[str, Any] = {"cells": 3, "channels": 4, "nodes": 1, "classes": 3, **options}
    supernet = Supernet(space, **arguments).double()
    with torch.no_grad():
        for alpha in supernet.architecture_parameters():
            alpha.normal_()
    return supernet


def batch(count: int = 4) -> Batch:
    return torch.randn(count, 3, 8, 8, dtype=torch.float64), torch.randint(0, 3, (count,))


def alpha_step(supernet: Supernet, learning_rate: float) -> AlphaStep:
    def loss(batch: Batch) -> Tensor:
        return F.cross_entropy(supernet(batch[0]), batch[1])

    return AlphaStep(
        supernet=supernet, alpha_loss=loss, weight_loss=loss, training=batch(), validation=batch(),
        learning_rate=learning_rate,
    )  # fmt: skip


# --- alpha gradients ---


def test_first_order_gradients_are_those_of_the_validation_loss_and_weights_are_unchanged() -> None:
    supernet = small_supernet()
    step = alpha_step(supernet, learning_rate=0.1)
    expected = torch.autograd.grad(step.alpha_loss(step.validation), supernet.architecture_parameters())
    before = [weight.detach().clone() for weight in supernet.weight_parameters()]
    FirstOrder().alpha_gradients(step)
    for alpha, gradient in zip(supernet.architecture_parameters(), expected, strict=True):
        torch.testing.assert_close(alpha.grad, gradient, rtol=0, atol=1e-12)
    for weight, expected_weight in zip(supernet.weight_parameters(), before, strict=True):
        assert weight.requires_grad
        assert weight.grad is None
        assert torch.equal(weight, expected_weight)


def unrolled(supernet: Supernet, training: Batch, validation: Batch, learning_rate: float) -> list[Tensor]:
    """Return the gradient of the validation loss through one gradient step of the weights, by autograd."""
    alphas = supernet.architecture_parameters()
    architecture = {id(alpha) for alpha in alphas}
    weights = {name: p for name, p in supernet.named_parameters() if id(p) not in architecture}
    gradients = torch.autograd.grad(
        F.cross_entropy(supernet(training[0]), training[1]), list(weights.values()), create_graph=True
    )
    stepped = {name: p - learning_rate * g for (name, p), g in zip(weights.items(), gradients, strict=True)}
    logits = functional_call(supernet, stepped, (validation[0],))
    return list(torch.autograd.grad(F.cross_entropy(logits, validation[1]), alphas))


@pytest.fixture
def twice_differentiable() -> Iterator[None]:
    """Register a space of smooth primitives, whose modules autograd can differentiate twice."""
    register(SearchSpace("smooth", ("none", "mlp_2x", "self_attention_2h"), Skeleton(stem="patch")))
    yield
    del SPACES["smooth"]


@pytest.mark.usefixtures("twice_differentiable")
def test_second_order_gradients_are_those_of_autograd_through_the_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("search_space.supernet.mixed._WeightedSum.apply", _plain_weighted_sum)
    supernet = small_supernet("smooth", cells=1)
    step = alpha_step(supernet, learning_rate=0.05)
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        expected = unrolled(supernet, step.training, step.validation, float(step.learning_rate))
        direct = torch.autograd.grad(step.alpha_loss(step.validation), supernet.architecture_parameters())
        before = {name: value.clone() for name, value in supernet.state_dict().items()}
        SecondOrder(radius=1e-4).alpha_gradients(step)
    for alpha, gradient, first in zip(supernet.architecture_parameters(), expected, direct, strict=True):
        assert (gradient - first).abs().max() > 1e-4  # the second term matters here
        # the error of a central difference with step 1e-4 is of the order of 1e-8
        torch.testing.assert_close(alpha.grad, gradient, rtol=1e-5, atol=1e-7)
    assert all(torch.equal(value, before[name]) for name, value in supernet.state_dict().items())


def _plain_weighted_sum(gamma: Tensor, *maps: Tensor) -> Tensor:
    return torch.stack([weight * x for weight, x in zip(gamma, maps, strict=True)]).sum(0)


def test_second_order_with_learning_rate_zero_is_first_order_and_restores_everything() -> None:
    supernet = small_supernet()
    step = alpha_step(supernet, learning_rate=0.0)
    expected = torch.autograd.grad(step.alpha_loss(step.validation), supernet.architecture_parameters())
    before = {name: value.clone() for name, value in supernet.state_dict().items()}
    SecondOrder().alpha_gradients(step)
    for alpha, gradient in zip(supernet.architecture_parameters(), expected, strict=True):
        torch.testing.assert_close(alpha.grad, gradient, rtol=0, atol=1e-12)
    assert all(torch.equal(value, before[name]) for name, value in supernet.state_dict().items())


# --- expected macs ---


@pytest.mark.parametrize("space", ["darts", "attention"])
def test_expected_macs_are_the_weighted_mean_over_all_architectures(space: str) -> None:
    supernet = small_supernet(space, cells=2 if space == "attention" else 3)
    choices = itertools.product(range(len(supernet.space.primitives)), repeat=2)
    assert_expected_macs_are_the_mean_over(supernet, [tuple(enumerate(choice)) for choice in choices])


def test_expected_macs_of_pc_darts_are_the_weighted_mean_over_all_draws_of_two_edges() -> None:
    supernet = small_supernet(channels=8, partial_channels=4, edge_normalization=True)
    draws = itertools.product(range(2), range(len(supernet.space.primitives)))
    assert_expected_macs_are_the_mean_over(supernet, list(itertools.product(draws, repeat=2)))


def assert_expected_macs_are_the_mean_over(supernet: Supernet, choices: list[tuple[Choice, ...]]) -> None:
    """Compare the closed form with the sum over ``choices``, (edge, primitive) pairs of both edges of a node."""
    expected = ExpectedMacs(supernet, (3, 8, 8))
    total = 0.0
    for kind in supernet.alphas:
        weights = supernet.edge_weights(kind).detach()
        for choice in choices:
            total += float(torch.stack([weights[pair] for pair in choice]).prod()) * sum(
                macs_on_edge(supernet, index, supernet.space.primitives[primitive])
                for index, cell_kind in enumerate(supernet.kinds)
                if cell_kind == kind
                for _, primitive in choice
            )
    assert expected().item() == pytest.approx(expected.fixed + total, rel=1e-12)


@pytest.mark.parametrize(
    ("partial_channels", "stem", "side"), [(1, "cifar", 8), (4, "cifar", 8), (1, "imagenet", 64)]
)
def test_expected_macs_of_one_hot_alphas_are_those_of_the_derived_network(
    partial_channels: int, stem: StemName, side: int
) -> None:
    supernet = small_supernet(
        channels=8,
        nodes=2,
        partial_channels=partial_channels,
        edge_normalization=partial_channels > 1,
        stem=stem,
    )
    make_one_hot(supernet)
    network = Network(supernet.genotype(), channels=8, cells=3, classes=3, stem=stem)
    shape = (3, side, side)
    assert ExpectedMacs(supernet, shape)().item() == pytest.approx(count_cost(network, shape).macs)


def test_a_supernet_with_the_imagenet_stem_learns() -> None:
    supernet = small_supernet(stem="imagenet")
    supernet(torch.randn(2, 3, 64, 64, dtype=torch.float64)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in supernet.parameters())


@torch.no_grad()
def make_one_hot(supernet: Supernet) -> None:
    """Give one primitive of every edge all the weight: ``none`` for all but two edges of each node."""
    names = supernet.space.primitives
    for kind, alpha in supernet.alphas.items():
        for edge, choice in enumerate(torch.randint(1, len(names), (len(alpha),))):
            removed = edge == 3  # one of the three edges into the second node
            alpha[edge, names.index("none") if removed else choice] = 500.0
            if kind in supernet.betas:
                supernet.betas[kind][edge] = -500.0 if removed else 0.0


def macs_on_edge(supernet: Supernet, index: int, name: str) -> int:
    """Return the macs of a primitive on either edge of cell ``index``, which has one node."""
    reductions = sum(kind == "reduce" for kind in supernet.kinds[:index])
    side = 8 // 2**reductions if supernet.space.name == "darts" else 4
    width = supernet.cell(0).output.channels * 2 ** (reductions + (supernet.kinds[index] == "reduce"))
    if name == "none":
        return 0
    stride = 2 if supernet.kinds[index] == "reduce" else 1
    return count_layers(primitive(name, width, stride), torch.empty(1, width, side, side, device="meta"))[0]


def test_gradient_of_the_expected_macs_by_finite_differences() -> None:
    supernet = small_supernet()
    expected = ExpectedMacs(supernet, (3, 8, 8))
    alpha = supernet.alphas["normal"]
    (gradient,) = torch.autograd.grad(expected(), alpha)
    for index in ((0, 0), (0, 4), (1, 7)):
        values = []
        for change in (1e-4, -2e-4):
            with torch.no_grad():
                alpha[index] += change
            values.append(expected().item())
        with torch.no_grad():
            alpha[index] += 1e-4
        assert float(gradient[index]) == pytest.approx((values[0] - values[1]) / 2e-4, rel=1e-5)


def test_cost_pressure_lowers_the_expected_macs() -> None:
    found = []
    for pressure in (0.0, 5.0):
        config = tiny_config(search={"cost_pressure": pressure, "epochs": 1})
        torch.manual_seed(0)
        found.append(
            Search(config, images_of(config), compute_of(config), Mesh()).run_epoch(0)["expected_macs"]
        )
    assert found[1] < 0.95 * found[0]


# --- regularization ---


def test_measures_agree_with_their_formulas() -> None:
    x = torch.tensor([[0.0, -3.0], [4.0, 1.0]], dtype=torch.float64)
    assert float(l1(x)) == 2.0
    assert float(hoyer(x)) == pytest.approx((9 / 9 / 2 + 25 / 17 / 2) / 2)
    assert float(hoyer(torch.tensor([[5.0, 0.0, 0.0, 0.0]]))) == pytest.approx(1 / 4)
    assert float(hoyer(torch.full((3, 4), -2.0))) == pytest.approx(1.0)
    assert float(hoyer(torch.zeros(3, 4))) == 0.0


def test_hoyer_of_a_batch_is_the_mean_over_its_images() -> None:
    x = torch.randn(6, 3, 4, 4, dtype=torch.float64).relu() * torch.arange(1, 7).view(6, 1, 1, 1)
    each = torch.stack([one.abs().sum() ** 2 / (one**2).sum() / one.numel() for one in x])
    torch.testing.assert_close(hoyer(x), each.mean())
    torch.testing.assert_close((hoyer(x[:3]) + hoyer(x[3:])) / 2, hoyer(x))


def test_gradients_of_the_measures_by_finite_differences() -> None:
    x = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(l1, (x,))
    assert torch.autograd.gradcheck(hoyer, (x,))
    zero = torch.zeros(1, 4, requires_grad=True)
    hoyer(zero).backward()
    assert torch.equal(zero.grad, torch.zeros(1, 4))  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("measure", MEASURES)
def test_hand_written_gradients_are_those_of_the_formula(measure: str, dtype: torch.dtype) -> None:
    wide = torch.randn(3, 12, 5, 4, dtype=torch.float64)
    wide[:, :3] = 0.0
    maps = {
        "channels first": wide,
        "channels last": wide.contiguous(memory_format=torch.channels_last),
        "rectified": wide.relu(),
        "part of a map": wide.chunk(3, dim=1)[1],
        "tokens": wide.flatten(2).mT,
    }
    rtol, atol = (1e-5, 1e-7) if dtype == torch.float32 else (1e-12, 1e-15)
    for name, x in maps.items():
        exact = x.clone().requires_grad_()
        (3 * MEASURES[measure](exact) + exact.sin().sum()).backward()
        fast = x.to(dtype).detach().requires_grad_()
        out, measured = FUSED[measure].apply(fast, name == "rectified")
        (3 * measured + out.sin().sum()).backward()
        torch.testing.assert_close(measured.double(), MEASURES[measure](x), rtol=rtol, atol=atol)
        assert exact.grad is not None
        assert fast.grad is not None
        reached = x != 0 if name == "rectified" else torch.ones_like(x, dtype=torch.bool)
        torch.testing.assert_close(
            fast.grad.double()[reached], exact.grad[reached], rtol=rtol, atol=atol, msg=name
        )


def test_tl1_is_l1_for_small_features_and_saturates() -> None:
    x = torch.tensor([1e-9, -1e-9, 1e9, -1.0], dtype=torch.float64)
    assert [float(MEASURES["tl1"](one)) for one in x] == pytest.approx([2e-9, 2e-9, 2.0, 1.0])


@pytest.mark.parametrize("measure", ["l1", "hoyer", "tl1"])
def test_the_term_is_the_sum_over_the_matching_taps(measure: str) -> None:
    network = network_of("attention")
    images = torch.randn(3, 1, 8, 8)
    regularizer = Regularizer(network, measure, ["*.query", "cell0.preprocess*"])
    seen: list[Tensor] = []
    with regularizer.collecting():
        network(images)
        term = regularizer.term()
    names = [name for name in taps(network) if name.endswith(".query") or name.startswith("cell0.preprocess")]
    assert regularizer.names == names
    for name in names:
        taps(network)[name].listener = recording(seen)
    network(images)
    formula: dict[str, Callable[[Tensor], Tensor]] = {
        "l1": lambda x: x.abs().mean(),
        "hoyer": lambda x: torch.stack([m.abs().sum() ** 2 / (m**2).sum() / m.numel() for m in x]).mean(),
        "tl1": lambda x: (2 * x.abs() / (1 + x.abs())).mean(),
    }
    torch.testing.assert_close(term, sum(formula[measure](x) for x in seen))


def recording(seen: list[Tensor]) -> Listener:
    def listen(x: Tensor) -> Tensor:
        seen.append(x)
        return x

    return listen


def test_the_term_of_a_pass_does_not_include_the_previous_pass() -> None:
    network = network_of()
    regularizer = Regularizer(network, "l1", ["*"])
    objective = Objective(network, Compute(CPU, "float32"), regularizer, 0.5)
    images, labels = torch.randn(3, 1, 8, 8), torch.tensor([0, 1, 2])
    with regularizer.collecting():
        assert objective((images, labels)).item() == objective((images, labels)).item()
        cross_entropy = F.cross_entropy(network(images), labels)
        torch.testing.assert_close(objective((images, labels)), cross_entropy + 0.5 * regularizer.term())


def test_macs_do_not_weight_the_term_of_a_search() -> None:
    for blocks in (
        {"feature_maps": {"weighting": "macs", "in_search": True}},
        {"feature_maps": {"weighting": "macs"}, "search": {"regularize_alphas": True}},
    ):
        with pytest.raises(ValueError, match=r"`feature_maps\.weighting` must be equal if the search"):
            tiny_config(**blocks)


def test_lambda_follows_its_schedule_in_every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    maps = {"regularization": 0.4, "schedule": "linear", "warm_up": 0.5}
    config = tiny_config(feature_maps=maps, train={"epochs": 4})
    training = Training(config, network_of().genotype, images_of(config), compute_of(config), Mesh())
    weights = []
    for epoch in range(4):
        training.run_epoch(epoch)
        weights.append(training.objective.weight)
    assert weights == pytest.approx([0.0, 0.0, 0.2, 0.4])
    assert training.regularizer is not None


@pytest.mark.parametrize(
    ("schedule", "warm_up", "shares"),
    [
        ("constant", 0.0, [1.0, 1.0, 1.0, 1.0, 1.0]),
        ("constant", 0.4, [0.0, 0.0, 1.0, 1.0, 1.0]),
        ("linear", 0.0, [0.2, 0.4, 0.6, 0.8, 1.0]),
        ("sine", 0.2, [0.0, 0.146447, 0.5, 0.853553, 1.0]),
        ("stages", 0.0, [0.25, 0.5, 0.75, 1.0, 1.0]),
    ],
)
def test_schedules_rise_from_the_warm_up_to_all_of_lambda(
    schedule: str, warm_up: float, shares: list[float]
) -> None:
    found = [share_of_lambda(schedule, warm_up, epoch, 5) for epoch in range(5)]
    assert found == pytest.approx(shares, abs=1e-6)


@pytest.mark.parametrize("phase", ["search", "train"])
def test_lambda_zero_is_bit_identical_to_no_term(phase: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny_config(
        feature_maps={"regularization": 0.0, "in_search": True, "taps": ["*.input"]},
        search={"regularize_alphas": True},
    )
    states = [state_after_an_epoch(config, phase)]
    for module in ("trials.search.search", "trials.train.training"):
        monkeypatch.setattr(f"{module}.Regularizer", None)
    monkeypatch.setattr("trials.train.objective.Regularizer", None)
    states.append(state_after_an_epoch(config, phase))
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    changed = config.model_copy(
        update={"feature_maps": config.feature_maps.model_copy(update={"regularization": 0.1})}
    )
    monkeypatch.undo()
    other = state_after_an_epoch(changed, phase)
    assert any(not torch.equal(value, states[0][name]) for name, value in other.items())


def state_after_an_epoch(config: TrialConfig, phase: str) -> dict[str, Tensor]:
    torch.manual_seed(0)
    arguments = (images_of(config), compute_of(config), Mesh())
    if phase == "search":
        search = Search(config, *arguments)
        search.run_epoch(0)
        return search.supernet.state_dict()
    training = Training(config, network_of().genotype, *arguments)
    training.run_epoch(0)
    return training.network.state_dict()


def test_regularization_reduces_the_magnitude_of_the_maps() -> None:
    magnitudes = []
    for strength in (0.0, 1.0):
        config = tiny_config(feature_maps={"regularization": strength}, train={"learning_rate": 0.1})
        torch.manual_seed(0)
        training = Training(config, network_of().genotype, images_of(config), compute_of(config), Mesh())
        rows = [training.run_epoch(epoch) for epoch in range(2)]
        known = taps(training.network)
        magnitudes.append(
            sum(tap["mean_magnitude"] for tap in rows[-1]["taps"] if not known[tap["tap"]].waiting)
        )
        assert ("regularization_term" in rows[-1]) == (strength > 0)
    assert magnitudes[1] < 0.9 * magnitudes[0]


@pytest.mark.parametrize(
    "blocks",
    [
        {"feature_maps": {"regularization": 0.1, "in_search": True}},
        {"feature_maps": {"regularization": 0.1}, "search": {"regularize_alphas": True}},
        {
            "feature_maps": {"regularization": 0.1, "in_search": True, "measure": "hoyer"},
            "search": {"regularize_alphas": True},
        },
    ],
    ids=["weights", "alphas", "both"],
)  # fmt: skip
def test_recomputation_gives_the_same_regularized_search(blocks: dict[str, dict[str, object]]) -> None:
    states = []
    for recompute in (False, True):
        search = {**blocks.get("search", {}), "recompute": recompute, "epochs": 1}
        config = tiny_config(**blocks | {"search": search}, device={"precision": "float64"})
        states.append(state_after_an_epoch(config, "search"))
    for name, value in states[0].items():
        torch.testing.assert_close(states[1][name], value, rtol=0, atol=1e-10)


def test_the_regularizer_does_not_keep_recomputed_maps() -> None:
    supernet = small_supernet(recompute=True)
    regularizer = Regularizer(supernet, "l1", ["*"])
    objective = Objective(supernet, Compute(CPU, "float64"), regularizer, 1.0)
    with regularizer.collecting():
        objective(batch()).backward()
    assert len(regularizer._terms) == len(regularizer.names)


def test_tap_statistics_count_zeros_and_magnitudes() -> None:
    network = network_of()
    statistics = TapStatistics(network)
    seen: dict[str, Tensor] = {}
    images = torch.randn(3, 1, 8, 8)
    with listening(network, statistics.listeners()):
        network(images)
        network(images)
    for name, tap in taps(network).items():
        tap.listener = lambda x, name=name: seen.setdefault(name, x)
    network(images)
    for row in statistics.rows(Mesh()):
        x = seen[str(row["tap"])]
        assert row["sparsity"] == pytest.approx(float((x == 0).double().mean()))
        assert row["mean_magnitude"] == pytest.approx(x.abs().mean().item(), rel=1e-5)


# --- an epoch ---


def test_a_search_epoch_measures_the_columns_of_the_progress_table() -> None:
    config = tiny_config(feature_maps={"regularization": 0.1, "in_search": True})
    search = Search(config, images_of(config), compute_of(config), Mesh())
    row = search.run_epoch(0)
    assert 0 <= row["accuracy"] <= 1
    assert 0 < row["alpha_entropy"] <= torch.log(torch.tensor(8.0))
    assert row["learning_rate"] == config.search.learning_rate
    assert row["images"] == 128
    assert row["genotype"] == search.genotype().to_json()
    assert row["skip_share"] == search.genotype().skip_share()
    assert row["regularization_term"] > 0
    assert len(row["taps"]) == len(taps(search.supernet))


def test_alphas_are_fixed_during_the_warmup() -> None:
    config = tiny_config(search={"alpha_warmup_epochs": 1})
    search = Search(config, images_of(config), compute_of(config), Mesh())
    before = [alpha.detach().clone() for alpha in search.supernet.architecture_parameters()]
    row = search.run_epoch(0)
    assert "validation_loss" not in row
    assert all(
        torch.equal(a, b) for a, b in zip(search.supernet.architecture_parameters(), before, strict=True)
    )
    search.run_epoch(1)
    assert not all(
        torch.equal(a, b) for a, b in zip(search.supernet.architecture_parameters(), before, strict=True)
    )


def test_the_search_stops_early_when_skip_connections_exceed_their_share() -> None:
    config = tiny_config(search={"stop_when_skips_exceed": 0.5})
    search = Search(config, images_of(config), compute_of(config), Mesh())
    search.run_epoch(0)
    assert not search.stopped
    with torch.no_grad():
        for alpha in search.supernet.alphas.values():
            alpha[:, search.supernet.space.primitives.index("skip_connect")] = 9.0
    row = search.run_epoch(1)
    assert row["skip_share"] == 1.0
    assert search.stopped


def test_the_learning_rate_follows_half_a_cosine() -> None:
    assert cosine(1.0, 0.2, 0, 10) == 1.0
    assert cosine(1.0, 0.2, 5, 10) == pytest.approx(0.6)
    assert cosine(1.0, 0.2, 10, 10) == pytest.approx(0.2)


@pytest.mark.parametrize("space", ["darts", "hybrid", "attention"])
@pytest.mark.parametrize("algorithm", ["darts", "pc_darts"])
def test_bf16_searches_and_trains(space: str, algorithm: str) -> None:
    search_block = {"algorithm": algorithm, "partial_channels": 2, "epochs": 1}
    config = tiny_config(
        space, space={"channels": 8}, search=search_block, device={"precision": "bf16"}, train={"epochs": 1},
        feature_maps={"regularization": 0.01, "in_search": True},
    )  # fmt: skip
    arguments = (images_of(config), compute_of(config), Mesh())
    search = Search(config, *arguments)
    search_row = search.run_epoch(0)
    training = Training(config, search.genotype(), *arguments)
    for row in (search_row, training.run_epoch(0)):
        assert torch.isfinite(torch.tensor([row["loss"], row["regularization_term"]])).all()
    assert all(p.dtype == torch.float32 for p in training.network.parameters())


def test_a_loss_that_is_not_finite_is_a_trial_error() -> None:
    config = tiny_config()
    search = Search(config, images_of(config), compute_of(config), Mesh())
    with torch.no_grad():
        search.supernet.classifier.linear.bias[0] = float("nan")
    with pytest.raises(TrialError, match="the training loss must be finite, but got nan"):
        search.run_epoch(0)


def test_validation_sees_every_held_out_image() -> None:
    config = tiny_config(train={"validation_share": 0.3, "batch_size": 25, "learning_rate": 1e-9})
    training = Training(config, network_of().genotype, images_of(config), compute_of(config), Mesh())
    row = training.run_epoch(0)
    validation = training.validation_batches
    assert validation is not None
    assert len(validation.indices) == 38
    assert (row["validation_accuracy"] * 38) == pytest.approx(round(row["validation_accuracy"] * 38))
    assert not set(validation.indices.tolist()) & set(training.batches.indices.tolist())
