"""The output node, compared with its definition channel by channel."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from search_space import OutputNode, SplittingError
from search_space.splitting import OUTPUT_NODES, output_channels

pytestmark = pytest.mark.device


def mean(channels: list[Tensor]) -> Tensor:
    return sum(channels) / len(channels)  # type: ignore[return-value]


def by_definition(output_node: str, s: int, maps: list[Tensor]) -> list[Tensor]:
    """Return the channels of the output, each by its definition."""
    n, c = len(maps), maps[0].shape[1]
    joined = [x[:, channel] for x in maps for channel in range(c)]  # N C channels
    if output_node == "concat":
        return joined
    if output_node == "node_groups":
        size = n // s
        groups = [range(g * size, (g + 1) * size) for g in range(s)]
        return [mean([maps[node][:, j] for node in group]) for group in groups for j in range(c)]
    if output_node == "channel_groups":
        out = []
        for g in range(s):
            group = joined[g * n * c // s : (g + 1) * n * c // s]
            out += [mean([group[j + i * c // s] for i in range(n)]) for j in range(c // s)]
        return out
    if s == 1:
        return joined
    kept = [x[:, j] for x in maps for j in range(c // s)]
    return kept + [mean([x[:, j] for x in maps]) for j in range(c // s, c)]


@st.composite
def cases(draw: st.DrawFn) -> tuple[str, int, int, int]:
    output_node = draw(st.sampled_from(OUTPUT_NODES))
    nodes, channels = draw(st.integers(1, 6)), draw(st.integers(1, 12))
    divided = {"node_groups": nodes, "channel_groups": channels, "partial": channels}.get(output_node, 4)
    splitting = draw(st.sampled_from([s for s in range(1, divided + 1) if divided % s == 0]))
    return output_node, splitting, nodes, channels


@settings(max_examples=60)
@given(cases())
def test_every_channel_equals_its_definition(case: tuple[str, int, int, int]) -> None:
    output_node, splitting, nodes, channels = case
    maps = [torch.randn(2, channels, 3, 2, dtype=torch.float64) for _ in range(nodes)]
    node = OutputNode(output_node, splitting, nodes, channels)
    expected = torch.stack(by_definition(output_node, splitting, maps), dim=1)
    torch.testing.assert_close(node(maps), expected, rtol=0, atol=1e-14)
    assert node.channels_out == expected.shape[1] == output_channels(output_node, splitting, nodes, channels)
    channels_last = [x.contiguous(memory_format=torch.channels_last) for x in maps]
    torch.testing.assert_close(node(channels_last), expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("output_node", "splitting", "channels_out"),
    [("concat", 3, 48), ("node_groups", 1, 12), ("node_groups", 2, 24), ("node_groups", 4, 48),
     ("channel_groups", 1, 12), ("channel_groups", 4, 12), ("partial", 1, 48), ("partial", 2, 30), ("partial", 12, 15)],
)  # fmt: skip
def test_channels_out_of_four_nodes_of_twelve(output_node: str, splitting: int, channels_out: int) -> None:
    assert output_channels(output_node, splitting, 4, 12) == channels_out


def test_extreme_splitting_parameters_are_concatenation_and_means() -> None:
    maps = [torch.randn(2, 4, 3, 3, dtype=torch.float64) for _ in range(4)]
    concatenated = torch.cat(maps, dim=1)
    assert torch.equal(OutputNode("node_groups", 4, 4, 4)(maps), concatenated)
    assert torch.equal(OutputNode("partial", 1, 4, 4)(maps), concatenated)
    one_fourth = torch.stack(maps).mean(0)
    torch.testing.assert_close(OutputNode("node_groups", 1, 4, 4)(maps), one_fourth)
    torch.testing.assert_close(OutputNode("channel_groups", 1, 4, 4)(maps), one_fourth)
    channel_means = torch.cat([x.mean(1, keepdim=True) for x in maps], dim=1)
    torch.testing.assert_close(OutputNode("channel_groups", 4, 4, 4)(maps), channel_means)


@pytest.mark.parametrize(
    ("output_node", "splitting", "message"),
    [("node_groups", 3, "must divide the 4 concatenated nodes, but got splitting=3"),
     ("channel_groups", 5, "must divide the node width of 12 channels, but got splitting=5"),
     ("partial", 8, "must divide the node width of 12 channels, but got splitting=8"),
     ("node_groups", 0, "at least 1, but got splitting=0"),
     ("mean", 1, "must be one of concat, node_groups, channel_groups, partial, but got 'mean'")],
)  # fmt: skip
def test_a_splitting_that_does_not_fit_is_one_clear_error(
    output_node: str, splitting: int, message: str
) -> None:
    with pytest.raises(SplittingError, match=message):
        OutputNode(output_node, splitting, 4, 12)
