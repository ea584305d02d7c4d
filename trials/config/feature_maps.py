"""The ``feature_maps:`` block: regularization of the feature maps."""

from __future__ import annotations

from typing import Annotated, Literal

from trials.config.base import BelowOne, Config, NonNegative
from trials.config.younger_fields import Added


class FeatureMapsConfig(Config):
    """Feature-map regularization: loss = cross-entropy + lambda x sum over taps of a measure of the feature map."""

    regularization: NonNegative = 0.0
    """lambda: weight of the regularization term in the loss; 0: no term at all."""
    measure: Literal["l1", "hoyer", "tl1"] = "l1"
    """Measure of a feature map x: ``l1`` is the mean of |x|; ``hoyer`` is the Hoyer-square measure of each image's map,
    averaged over the batch, and does not change when x is scaled; ``tl1`` is the mean of 2|x| / (1 + |x|), which
    saturates for large features."""
    schedule: Annotated[Literal["constant", "linear", "sine", "stages"], Added(before="constant")] = (
        "constant"
    )
    """Course of lambda over the epochs of the training, up to ``regularization`` in the last: ``linear``; ``sine``,
    half a period, flat at both ends; ``stages``, four equal steps. In the search lambda is constant."""
    warm_up: Annotated[BelowOne, Added(before=0.0)] = 0.0
    """Share of the training without the term, before the schedule begins."""
    weighting: Annotated[Literal["equal", "macs"], Added(before="equal")] = "equal"
    """Weights of the taps in the sum. ``equal``: 1; ``macs``: the multiply-adds that read the map, as a share of those
    of all regularized taps. With ``hoyer`` the term then estimates the share of effective macs. Not in the search."""
    taps: tuple[str, ...] = ("*",)
    """Shell-style patterns of the regularized taps, such as ``*.query`` or ``cell3.*``. ``*`` alone: every feature map
    that a multiplication reads."""
    linear_inputs: Annotated[bool, Added(before=False)] = True
    """The inputs of linear layers, in attention, MLPs and the classifier, take part like other maps. They are pruned,
    quantized and counted in any case; version 0.1 had no taps there."""
    in_search: bool = False
    """Also add the term to the loss of the supernet's weights during the search, not only to the training loss."""
