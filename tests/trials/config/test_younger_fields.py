"""A field that came after version 0.1 leaves the keys and the meaning of older records as they were."""

from __future__ import annotations

from typing import Annotated

import pytest

from trials.config import Added, Config, TrialConfig, continuing, of_record
from trials.config.younger_fields import identity


class Stem(Config):
    width: int = 3
    kind: Annotated[str, Added(before="cifar")] = "imagenet"


class Whole(Config):
    seed: int = 0
    stem: Stem = Stem()
    late: Annotated[Stem, Added(before={"width": 1, "kind": "cifar"})] = Stem()


OLD = {"seed": 4, "stem": {"width": 5}}


def test_a_record_is_read_in_the_terms_of_its_version() -> None:
    read = of_record(Whole, OLD)
    assert read == Whole(seed=4, stem=Stem(width=5, kind="cifar"), late=Stem(width=1, kind="cifar"))
    assert of_record(Whole, read.model_dump(mode="json")) == read
    assert OLD == {"seed": 4, "stem": {"width": 5}}


def test_the_identity_of_an_old_record_is_its_content() -> None:
    assert identity(of_record(Whole, OLD)) == OLD


@pytest.mark.parametrize(
    ("config", "content"),
    [
        (
            Whole(),
            {"seed": 0, "stem": {"width": 3, "kind": "imagenet"}, "late": {"width": 3, "kind": "imagenet"}},
        ),
        (Whole(late=Stem(width=1, kind="cifar")), {"seed": 0, "stem": {"width": 3, "kind": "imagenet"}}),
    ],
)
def test_a_younger_field_is_part_of_the_identity_unless_it_does_what_older_versions_did(
    config: Whole, content: dict[str, object]
) -> None:
    assert identity(config) == content


def test_a_run_is_continued_in_its_own_terms_unless_a_field_is_set_explicitly() -> None:
    assert Whole.model_validate(continuing(Whole(seed=4, stem=Stem(width=5)), OLD)) == of_record(Whole, OLD)
    explicit = Whole(seed=4, stem=Stem(width=5, kind="imagenet"), late=Stem(width=1, kind="cifar"))
    assert Whole.model_validate(continuing(explicit, OLD)) == explicit
    new = Whole()
    assert Whole.model_validate(continuing(new, new.model_dump(mode="json"))) == new


def test_the_key_of_a_trial_holds_what_it_held() -> None:
    blocks = ("space", "data", "train", "feature_maps", "ladder", "device")
    config = of_record(TrialConfig, {"seed": 3, "search": {"epochs": 2}, **{name: {} for name in blocks}})
    assert of_record(TrialConfig, config.model_dump(mode="json")).trial_key() == config.trial_key()
    assert config.trial_key() == "7256ec8c380ef76b"
    assert config.search_key() == "search-9ce6546cf381a60b"
