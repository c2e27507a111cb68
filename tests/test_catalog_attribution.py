"""Which collection a job belongs to, found with as few questions as can be, and remembered for life."""

from __future__ import annotations

from builders import DAY, HOUR, NOON, collection, entry, inventory, job

from exporter.catalog import Attribution, Inventory
from exporter.model import Collection, Job

SALES, HR = collection("docs", "sales", 7), collection("docs", "hr", 9)
BOTH = inventory(entry("docs", "sales", 7), entry("docs", "hr", 9))
NOBODY: frozenset[int] = frozenset()


def attribution(picture: Inventory | None = None) -> Attribution:
    made = Attribution()
    if picture is not None:
        made.adopt(picture)
    return made


def place(made: Attribution, each: Job) -> Collection:
    made.assign([each])
    return made.place(each)


def test_a_name_that_lives_in_one_database() -> None:
    """It is attributed to it without a question."""
    made = attribution(inventory(entry()))
    assert place(made, job(1)) == SALES
    assert made.questions() == ()


def test_without_an_inventory_a_job_is_known_by_its_name() -> None:
    made = attribution()
    assert place(made, job(1)) == Collection("", "docs")
    assert made.questions() == ()
    assert made.exists(Collection("", "docs")) is None


def test_a_name_in_two_databases_is_settled_by_listing_both_by_name() -> None:
    made = attribution(BOTH)
    made.assign([job(1), job(2), job(3)])
    assert sorted(made.questions()) == [HR, SALES]
    assert made.answer({SALES: frozenset({1, 3}), HR: frozenset({2})}) == {1: SALES, 2: HR, 3: SALES}
    assert made.questions() == ()


def test_the_answer_is_remembered_for_life() -> None:
    made = attribution(BOTH)
    made.assign([job(1)])
    made.answer({SALES: frozenset({1}), HR: NOBODY})
    assert place(made, job(1)) == SALES
    assert made.questions() == ()


def test_one_answer_settles_what_it_shows_though_the_other_is_missing() -> None:
    made = attribution(BOTH)
    made.assign([job(1), job(2)])
    assert made.answer({SALES: frozenset({1})}) == {1: SALES}
    assert sorted(made.questions()) == [HR, SALES]


def test_an_answer_does_not_take_jobs_that_are_settled() -> None:
    made = attribution(inventory(entry()))
    made.assign([job(1)])
    assert made.answer({HR: frozenset({1})}) == {}


def test_an_alias_is_asked_about_under_the_collections_own_name() -> None:
    """An alias can have been pointed elsewhere since: only the collection's own list tells."""
    made = attribution(inventory(entry("docs_v2", aliases=("docs",))))
    assert place(made, job(1)) == Collection("", "docs")
    assert made.questions() == (Collection("sales", "docs_v2", 7),)
    assert made.answer({Collection("sales", "docs_v2", 7): frozenset({1})}) == {1: Collection("sales", "docs_v2", 7)}


def test_an_alias_that_was_pointed_elsewhere_before_the_job_was_seen() -> None:
    """Its present owner denies the job, so the others are asked as well."""
    first, second = entry("v1", collection_id=7), entry("v2", collection_id=8, aliases=("docs",))
    made = attribution(inventory(first, second))
    made.assign([job(1)])
    assert made.questions() == (second.collection,)
    assert made.answer({second.collection: NOBODY}) == {}
    assert made.exists(Collection("", "docs")) is None
    assert made.unknown_names() == {"docs"}
    assert made.questions() == (first.collection,)
    assert made.answer({first.collection: frozenset({1})}) == {1: first.collection}


def test_a_job_under_an_alias_that_nobody_owns_up_to_is_a_dropped_collections() -> None:
    first, second = entry("v1", collection_id=7), entry("v2", collection_id=8, aliases=("docs",))
    made = attribution(inventory(first, second))
    made.assign([job(1)])
    made.answer({second.collection: NOBODY})
    made.answer({first.collection: NOBODY})
    assert made.questions() == ()
    assert made.exists(Collection("", "docs")) is False
    alone = attribution(inventory(second))
    alone.assign([job(1)])
    alone.answer({second.collection: NOBODY})
    assert alone.questions() == ()
    assert alone.exists(Collection("", "docs")) is False


def test_a_denied_alias_is_asked_about_again_when_it_is_pointed_to_somebody_else() -> None:
    first, second = entry("v1", collection_id=7), entry("v2", collection_id=8, aliases=("docs",))
    made = attribution(inventory(second))
    made.assign([job(1)])
    made.answer({second.collection: NOBODY})
    made.adopt(inventory(entry("v1", collection_id=7, aliases=("docs",)), entry("v2", collection_id=8)))
    assert made.questions() == (first.collection,)


def test_a_job_from_before_the_collection_existed_is_asked_about() -> None:
    """It may be a former collection's of the same name."""
    made = attribution(inventory(entry(created=NOON - HOUR)))
    assert place(made, job(1, start=NOON - 2 * HOUR)) == Collection("", "docs")
    assert SALES in made.questions()


def test_a_job_that_the_only_bearer_of_its_name_denies_is_a_former_ones() -> None:
    made = attribution(inventory(entry(created=NOON - HOUR)))
    made.assign([job(1, start=NOON - 2 * HOUR)])
    assert made.answer(dict.fromkeys(made.questions(), NOBODY)) == {1: Collection("sales", "docs")}
    assert made.exists(Collection("sales", "docs")) is False


def test_a_former_collection_stays_gone_when_its_successor_is_dropped_too() -> None:
    made = attribution(inventory(entry(created=NOON - HOUR)))
    made.assign([job(1, start=NOON - 2 * HOUR)])
    made.answer(dict.fromkeys(made.questions(), NOBODY))
    made.adopt(inventory(gone=(7,), databases=("sales",)))
    assert made.exists(Collection("sales", "docs")) is False
    made.forget([1])
    made.adopt(inventory(databases=("sales",)))
    assert made.exists(Collection("sales", "docs")) is None


def test_a_job_whose_name_another_collection_has_taken_over_after_a_rename() -> None:
    """docs became docs_old and a new docs was made: the job is the renamed collection's, not a dropped one's."""
    old, new = entry("docs_old", collection_id=7), entry("docs", collection_id=70, created=NOON - HOUR)
    made = attribution(inventory(old, new))
    made.assign([job(1, start=NOON - 2 * HOUR)])
    assert old.collection in made.questions()
    assert made.answer({old.collection: frozenset({1}), new.collection: NOBODY}) == {1: old.collection}


def test_a_name_that_nobody_bears_is_asked_for_in_every_database_and_of_every_collection() -> None:
    """A grant may hide it, also in the default database, which always exists; or it is a name from before a rename."""
    made = attribution(inventory(entry("texts"), entry("images", "hr", 9)))
    made.assign([job(1)])
    assert made.unknown_names() == {"docs"}
    assert set(made.questions()) == {
        Collection("default", "docs"),
        Collection("hr", "docs"),
        Collection("sales", "docs"),
        Collection("sales", "texts", 7),
        Collection("hr", "images", 9),
    }


def test_an_ordinary_collection_is_not_asked_about() -> None:
    """It answers that it is not an external one, each time."""
    made = attribution(inventory(entry("docs", external=False), entry("images", "hr", 9)))
    made.assign([job(1)])
    assert Collection("sales", "docs") not in made.questions()


def test_a_hidden_collection_answers_to_its_name() -> None:
    made = attribution(inventory(entry("texts")))
    made.assign([job(1)])
    answers = dict.fromkeys(made.questions(), NOBODY) | {Collection("sales", "docs"): frozenset({1})}
    assert made.answer(answers) == {1: Collection("sales", "docs")}
    assert made.exists(Collection("sales", "docs")) is None


def test_a_collection_with_an_id_goes_before_a_bare_name() -> None:
    """A new alias answers under both; the order in which the answers come must not matter."""
    bare, real = Collection("sales", "docs"), Collection("sales", "texts", 7)
    for order in ((bare, real), (real, bare)):
        made = attribution(inventory(entry("texts")))
        made.assign([job(1)])
        assert made.answer(dict.fromkeys(order, frozenset({1}))) == {1: real}


def test_the_collection_with_the_jobs_own_source_is_asked_when_not_all_can_be() -> None:
    crowd = [entry(f"c{n:03}", collection_id=n + 100, source="s3://other") for n in range(50)]
    made = attribution(inventory(*crowd, entry("zz", collection_id=9, source="s3://lake/docs")))
    made.assign([job(1)])
    assert Collection("sales", "zz", 9) in made.questions()
    assert len(made.questions()) < 40


def test_a_name_that_nobody_owns_up_to_is_a_dropped_collections() -> None:
    made = attribution(inventory(entry("texts")))
    made.assign([job(1)])
    assert made.exists(Collection("", "docs")) is None
    made.answer(dict.fromkeys(made.questions(), NOBODY))
    assert made.exists(Collection("", "docs")) is False
    assert made.questions() == ()


def test_a_denied_name_is_asked_about_again_when_there_is_somebody_new_to_ask() -> None:
    made = attribution(inventory(entry("texts")))
    made.assign([job(1)])
    made.answer(dict.fromkeys(made.questions(), NOBODY))
    made.adopt(inventory(entry("texts"), entry("images", collection_id=8)))
    assert Collection("sales", "images", 8) in made.questions()


def test_a_name_is_not_taken_for_dropped_while_one_of_its_jobs_is_unanswered() -> None:
    made = attribution(inventory(entry("texts")))
    made.assign([job(1)])
    made.answer(dict.fromkeys(made.questions(), NOBODY))
    made.assign([job(2)])
    assert made.exists(Collection("", "docs")) is None


def test_a_name_is_not_taken_for_dropped_where_not_every_database_could_be_asked() -> None:
    """There are more of them than a question may cost."""
    many = inventory(*(entry("texts", f"d{n:03}", n + 1) for n in range(100)))
    made = attribution(many)
    made.assign([job(1)])
    made.answer(dict.fromkeys(made.questions(), NOBODY))
    assert made.exists(Collection("", "docs")) is None


def test_a_job_that_the_listing_lacks_is_not_asked_about() -> None:
    """By name its owner could not show it either, which must not be taken for a denial."""
    made = attribution(BOTH)
    made.assign([job(1)])
    made.miss([1, 2])
    assert made.questions() == ()
    assert made.answer(dict.fromkeys([SALES, HR], NOBODY)) == {}
    made.assign([job(1)])
    assert sorted(made.questions()) == [HR, SALES]


def test_a_denied_job_that_is_listed_each_time_is_not_asked_about_each_time() -> None:
    """A half-written failure is decoded at each poll."""
    made = attribution(inventory(entry("texts")))
    made.assign([job(1)])
    made.answer(dict.fromkeys(made.questions(), NOBODY))
    made.assign([job(1)])
    assert made.questions() == ()


def test_an_unanswered_question_leaves_the_job_open() -> None:
    made = attribution(BOTH)
    made.assign([job(1)])
    assert made.answer({}) == {}
    assert place(made, job(1)) == Collection("", "docs")
    assert sorted(made.questions()) == [HR, SALES]


def test_the_inventory_that_comes_late_settles_open_jobs() -> None:
    made = attribution()
    made.assign([job(1)])
    made.adopt(inventory(entry()))
    assert made.retry_open() == {1: SALES}


def test_a_rename_takes_settled_jobs_along() -> None:
    made = attribution(inventory(entry("docs")))
    made.assign([job(1)])
    renames, moved = made.adopt(inventory(entry("texts")))
    assert renames == {SALES: Collection("sales", "texts", 7)}
    assert moved == {}
    assert place(made, job(1)) == Collection("sales", "texts", 7)


def test_two_collections_that_swap_names_keep_their_jobs() -> None:
    made = attribution(inventory(entry("docs"), entry("texts", collection_id=8)))
    made.assign([job(1, name="docs"), job(2, name="texts")])
    made.adopt(inventory(entry("texts"), entry("docs", collection_id=8)))
    made.answer({Collection("sales", "texts", 7): frozenset({1}), Collection("sales", "docs", 8): frozenset({2})})
    assert place(made, job(1, name="docs")).collection_id == 7
    assert place(made, job(2, name="texts")).collection_id == 8


def test_a_collection_shown_again_under_another_name_takes_its_jobs_along() -> None:
    """It was renamed while a grant was missing and taken for gone."""
    made = attribution(inventory(entry("docs")))
    made.assign([job(1)])
    made.adopt(inventory(gone=(7,), databases=("sales",)))
    renames, _ = made.adopt(inventory(entry("texts")))
    assert renames == {SALES: Collection("sales", "texts", 7)}
    assert place(made, job(1)) == Collection("sales", "texts", 7)


def test_a_job_seen_before_the_recreation_was_learnt_is_asked_about() -> None:
    """It began when the new collection existed; what began before is the former one's without a question."""
    made = attribution(inventory(entry("docs")))
    made.assign([job(1, start=NOON - DAY), job(2, start=NOON)])
    new = entry("docs", collection_id=70, created=NOON - HOUR)
    assert made.adopt(inventory(new, gone=(7,))) == ({}, {})
    assert made.retry_open() == {}
    assert place(made, job(2, start=NOON)) == SALES
    assert made.questions() == (new.collection,)
    assert made.answer({new.collection: frozenset({2})}) == {2: new.collection}
    assert place(made, job(1, start=NOON - DAY)) == SALES
    assert made.exists(SALES) is False


def test_two_collections_of_which_one_takes_the_others_name() -> None:
    """A new version is built beside the old one and takes its name: jobs of before the swap stay with the old one."""
    old, new = entry("docs", collection_id=7), entry("docs_new", collection_id=8, created=NOON - HOUR)
    made = attribution(inventory(old, new))
    made.assign([job(1, start=NOON - 60), job(2, start=NOON)])
    was_old, was_new = Collection("sales", "docs_old", 7), Collection("sales", "docs", 8)
    swapped = inventory(entry("docs_old", collection_id=7), entry("docs", collection_id=8, created=NOON - HOUR))
    renames, moved = made.adopt(swapped)
    assert renames[old.collection] == was_old
    assert moved == {}
    assert place(made, job(1, start=NOON - 60)) == was_old
    assert made.questions() == (was_new,)
    assert made.answer({was_new: frozenset({2})}) == {2: was_new}
    assert made.questions() == (was_old,)
    made.answer({was_old: frozenset({1})})
    assert place(made, job(1, start=NOON - 60)) == was_old


def test_an_answer_under_a_name_that_had_passed_to_another_is_asked_for_again() -> None:
    """By name Milvus answered for the new bearer, which the inventory did not know yet."""
    made = attribution(inventory(entry("docs", collection_id=7)))
    made.assign([job(1, name="alias")])
    old, new = entry("docs_old", collection_id=7), entry("docs", collection_id=8, created=NOON - HOUR)
    made.answer({SALES: frozenset({1})})
    made.adopt(inventory(old, entry("docs", collection_id=8, created=NOON - HOUR, aliases=("alias",))))
    assert made.questions() == (new.collection,)
    assert made.answer({new.collection: frozenset({1})}) == {1: new.collection}


def test_a_dropped_collection_whose_name_an_older_one_takes_keeps_its_jobs() -> None:
    old, new = entry("docs", collection_id=7), entry("docs_new", collection_id=8)
    made = attribution(inventory(old, new))
    made.assign([job(1)])
    taker = entry("docs", collection_id=8)
    made.adopt(inventory(taker, gone=(7,)))
    made.answer({taker.collection: NOBODY})
    made.answer(dict.fromkeys(made.questions(), NOBODY))
    assert made.questions() == ()
    assert place(made, job(1)) == SALES


def test_a_job_in_doubt_follows_a_further_rename() -> None:
    made = attribution(inventory(entry("docs"), entry("docs_new", collection_id=8)))
    made.assign([job(1)])
    made.adopt(inventory(entry("docs_old"), entry("docs", collection_id=8)))
    made.adopt(inventory(entry("docs_older"), entry("docs", collection_id=8)))
    assert place(made, job(1)) == Collection("sales", "docs_older", 7)


def test_a_hidden_collection_that_is_shown_at_last_takes_its_jobs_to_its_id() -> None:
    """What is learnt late moves to the new key; the bare name is then a former generation's, which it was not."""
    made = attribution(inventory(entry("texts")))
    made.assign([job(1)])
    made.answer(dict.fromkeys(made.questions(), NOBODY) | {Collection("sales", "docs"): frozenset({1})})
    _, moved = made.adopt(inventory(entry("texts"), entry("docs", collection_id=8)))
    assert moved == {1: Collection("sales", "docs", 8)}
    assert place(made, job(1)) == Collection("sales", "docs", 8)


def test_a_hidden_name_that_turns_out_to_be_an_alias_is_asked_about() -> None:
    """The collection itself could not be asked when the job was found under the alias."""
    made = attribution(inventory(entry("texts")))
    made.assign([job(1)])
    bare, real = Collection("sales", "docs"), Collection("sales", "texts", 7)
    assert made.answer({bare: frozenset({1})}) == {1: bare}
    made.adopt(inventory(entry("texts", aliases=("docs",))))
    assert place(made, job(1)) == bare
    assert made.questions() == (real,)
    assert made.answer({real: frozenset({1})}) == {1: real}


def test_a_job_of_a_former_generation_stays_where_it_is() -> None:
    made = attribution(inventory(entry(created=NOON - HOUR)))
    made.assign([job(1, start=NOON - 2 * HOUR)])
    made.answer(dict.fromkeys(made.questions(), NOBODY))
    _, moved = made.adopt(inventory(entry(created=NOON - HOUR), entry("texts", collection_id=8)))
    assert moved == {}


def test_a_listing_by_name_settles_its_jobs() -> None:
    made = attribution(BOTH)
    made.settle([job(1)], SALES)
    assert place(made, job(1)) == SALES


def test_a_listing_by_name_in_no_database_leaves_its_jobs_open() -> None:
    """Without an inventory nobody knows the database; the inventory that comes late still finds it."""
    made = attribution()
    made.settle([job(1)], Collection("", "docs"))
    made.adopt(inventory(entry()))
    assert made.retry_open() == {1: SALES}


def test_a_forgotten_job_leaves_nothing() -> None:
    """Memory is bounded by the listing."""
    made = attribution(inventory(entry(), entry("docs", "hr", 9)))
    made.assign([job(1), job(2), job(3, name="nobody")])
    made.answer(dict.fromkeys(made.questions(), NOBODY) | {SALES: frozenset({1})})
    made.miss([2, 3])
    made.forget([1, 2, 3])
    assert (made._settled, made._open, made._denied, made._disowned, made._away) == ({}, {}, {}, {}, set())


def test_the_same_picture_changes_nothing() -> None:
    picture = inventory(entry())
    made = attribution(picture)
    assert made.adopt(picture) == ({}, {})
