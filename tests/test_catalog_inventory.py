"""The picture of what exists."""

from __future__ import annotations

from builders import collection, entry, inventory

from exporter.model import Collection


def test_a_name_means_what_bears_it_in_any_database() -> None:
    picture = inventory(entry("docs", "sales", 7), entry("docs", "hr", 9), entry("images", "hr", 10))
    assert [e.collection.database for e in picture.by_name["docs"]] == ["hr", "sales"]


def test_an_alias_means_its_collection() -> None:
    picture = inventory(entry("docs_v2", aliases=("docs", "current")))
    assert [e.collection.name for e in picture.by_name["docs"]] == ["docs_v2"]
    assert [e.collection.name for e in picture.by_name["docs_v2"]] == ["docs_v2"]


def test_an_ordinary_collection_means_nothing_here() -> None:
    """It has no refresh jobs."""
    assert inventory(entry(external=False)).by_name == {}


def test_a_collection_that_could_not_be_described_may_be_meant() -> None:
    """Attribution by name works without the privilege to describe."""
    assert "docs" in inventory(entry(external=None)).by_name


def test_only_what_is_known_to_be_external_is_listed_as_such() -> None:
    picture = inventory(entry("b"), entry("a", collection_id=8), entry("c", collection_id=9, external=None))
    assert [e.collection.name for e in picture.external] == ["a", "b"]


def test_a_collection_that_is_shown_exists() -> None:
    assert inventory(entry()).exists(collection()) is True


def test_a_collection_known_to_be_dropped_does_not_exist() -> None:
    assert inventory(gone=(7,)).exists(collection()) is False


def test_a_collection_that_is_not_shown_may_exist() -> None:
    """A lost grant looks like a missing collection."""
    assert inventory().exists(collection()) is None


def test_a_former_generation_of_a_name_that_is_taken_does_not_exist() -> None:
    assert inventory(entry()).exists(Collection("sales", "docs")) is False


def test_a_name_without_an_id_that_nobody_bears_may_exist() -> None:
    assert inventory(entry()).exists(Collection("sales", "images")) is None
