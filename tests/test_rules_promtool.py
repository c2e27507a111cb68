"""The shipped rules do what the cases under tests/rules promise, on every generation of Prometheus that is here.

Faults put into the rules, each of which a case has to notice, take a minute: ``tools/rules/run_tests.py``.
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace

import pytest
from peers.parts import ROOT, generations, missing

sys.path.insert(0, str(ROOT / "tools"))

from rules import run_tests
from rules.cases import Texts
from rules.mutate import mutants

RELEASES = ["system", "debian-trixie", "debian-forky"]
SUITE = run_tests.load()
ALERTS = [name for name, rule in SUITE.rules.items() if "alert" in rule]


def promtool(release: str) -> str:
    return generations("promtool").get(release) or missing(f"there is no promtool of {release}")


@pytest.mark.real
@pytest.mark.parametrize("release", RELEASES)
def test_rules_and_example_configuration_are_valid(release: str) -> None:
    program, folder = promtool(release), ROOT / "deploy" / "prometheus"
    for arguments in (
        ["check", "rules", "--lint=all", "--lint-fatal", str(run_tests.SHIPPED)],
        ["check", "config", str(folder / "prometheus.example.yml")],
    ):
        done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.real
@pytest.mark.parametrize("release", RELEASES)
def test_rules_keep_every_promise(release: str) -> None:
    assert run_tests.test(SUITE, promtool(release)) == []


@pytest.mark.real
def test_alerts_keep_their_promises_where_the_ruler_adds_labels_to_what_it_records() -> None:
    """Thanos Ruler and vmalert do: a join on all labels would find nothing."""
    labelled = {
        name: {**rule, "labels": {"ruler": "eu-1"}} if "record" in rule else rule for name, rule in SUITE.rules.items()
    }
    cases = tuple(one for one in SUITE.cases if not any("record" in SUITE.rules[name] for name in one.about))
    assert len(cases) > 100
    assert run_tests.test(replace(SUITE, rules=labelled, cases=cases), promtool("system")) == []


@pytest.mark.real
def test_no_collection_is_told_by_itself_in_the_moment_before_records_have_caught_up() -> None:
    """Groups are evaluated at moments of their own: here every record is read before it is made anew."""
    case = next(one for one in SUITE.cases if one.name.startswith("a bucket that refuses is one alert"))
    alone = {"MilvusExternalRefreshFailed", "MilvusExternalRefreshFailingRepeatedly"}
    silent = replace(case, then=tuple(one for one in case.then if isinstance(one, Texts) and one.alert in alone))
    late = replace(SUITE, rules=dict(reversed(SUITE.rules.items())), cases=(silent,))
    assert run_tests.test(late, promtool("system")) == []
    known = next(one for one in SUITE.cases if one.name.startswith("never for a collection that was refreshed once"))
    assert run_tests.test(replace(late, cases=(known,)), promtool("system")) == []


@pytest.mark.real
def test_a_text_whose_queries_find_nothing_stays_whole_and_asserts_nothing() -> None:
    """Grafana-managed rules have no `query`, and elsewhere it can fail."""
    name = "MilvusExternalCollectionStale"
    rule, case = SUITE.rules[name], next(one for one in SUITE.cases if one.name.startswith("says where to look"))
    texts = {key: text.replace("milvus_external_refresh_", "nothing_") for key, text in rule["annotations"].items()}
    assert texts["description"] != rule["annotations"]["description"]
    (said,) = run_tests.test(
        SUITE.only(name, {**rule, "annotations": texts}, lambda one: one is case), promtool("system")
    )
    told = re.findall(r'description="([^"]*)"', said)[-1]
    assert told == (
        "The last successful refresh of lake/orders ended 1h 16m 0s ago. Searches answer from data of that time. The "
        "exporter's page says whether there is a failure and whether refreshes are still being started."
    )


def test_no_record_of_a_group_reads_another_of_it_and_no_join_is_left_to_all_labels() -> None:
    """Which would be first? And a ruler adds labels to what it records."""
    records = {name for name, rule in SUITE.rules.items() if "record" in rule}
    for name, rule in SUITE.rules.items():
        group = {other for other in records if SUITE.groups[other] == SUITE.groups[name]} - {name}
        assert not [other for other in group if other in rule["expr"]], name
        assert not re.search(r"\b(without|ignoring)\b", rule["expr"]), name


@pytest.mark.real
def test_a_case_that_does_not_hold_is_reported_by_its_name() -> None:
    alert = "MilvusExternalRefreshFailingRepeatedly"
    later = {**SUITE.rules[alert], "expr": SUITE.rules[alert]["expr"].replace(">= 3", ">= 4")}
    (said,) = run_tests.test(SUITE.only(alert, later), promtool("system"))
    assert "fires at the third failure in a row" in said


@pytest.mark.real
def test_faults_put_into_a_rule_are_caught_and_one_that_no_case_can_see_survives() -> None:
    alert = "MilvusExternalRefreshFailingRepeatedly"
    tried = list(mutants(SUITE.rules[alert]))
    assert run_tests.survivors(SUITE, promtool("system"), tried) == []
    blind = SUITE.only(alert, SUITE.rules[alert], cases=lambda _: False)
    assert len(run_tests.survivors(blind, promtool("system"), tried)) == len(tried)


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_is_seen_to_fire_with_its_texts_and_to_be_silent(alert: str) -> None:
    checks = [check for case in SUITE.cases for check in case.then if isinstance(check, Texts) and check.alert == alert]
    assert any(check.fired for check in checks)
    assert any(not check.fired for check in checks)


@pytest.mark.parametrize("name", SUITE.rules)
def test_faults_of_every_kind_are_put_into_each_rule(name: str) -> None:
    kinds = {mutant.kind for mutant in mutants(SUITE.rules[name])}
    assert kinds >= ({"times", "labels", "texts"} if name in ALERTS else set())
    assert "expression" in kinds or SUITE.rules[name]["expr"] in SUITE.rules, "only a bare record has nothing to turn"


def test_no_two_cases_make_the_same_promise() -> None:
    names = [(case.name, case.about) for case in SUITE.cases]
    assert len(names) == len(set(names))
