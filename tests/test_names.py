"""Names are labels: none means two things, and nothing is read out of one."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from experiments.compare.run import paraphrase_arms, suffix_pairs
from experiments.emergent.interventions import distinct_names
from experiments.judging.agreement import agreement
from experiments.session import record_plan
from experiments.suffix import suffix_arms
from steer import models
from steer.errors import UserError
from steer.plan import plan
from steer.screen import Screen
from steer.store import PlanRow, Prompt, RunStore, Setting, StoredResponse
from steer.suffixes import SuffixSet
from steer.types import Arm, Limits, LoadedModel, Response, Sampling, Scenario, SuffixPair, Verdict
from tests.tasks import RECORD
from tests.test_vector_source import session, source  # noqa: F401  (fixtures)
from tests.tiny import checkpoint

ITEM = Scenario("s", "c", "", "hello")


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return models.load(
        str(checkpoint(tmp_path_factory.mktemp("tiny") / "qwen3")), dtype="float32", device="cpu"
    )


def test_two_arms_of_one_name_are_refused(loaded: LoadedModel) -> None:
    arms = [Arm("baseline"), Arm("pro", "more"), Arm("pro", "less")]
    with pytest.raises(UserError, match="two arms are named 'pro'"):
        plan(loaded, [ITEM], arms, limits=Limits(64, 4))


def test_an_arm_added_later_never_takes_anothers_name(session, tmp_path: Path) -> None:  # noqa: F811
    with RunStore(tmp_path / "run") as store:
        for arms, fits in (([Arm("pro", "more")], True), ([Arm("pro", "more")], True), ([Arm("pro")], False)):
            planned = plan(session.loaded, session.scenarios, arms, limits=session.limits)
            if fits:
                record_plan(session, store, arms, planned)
            else:
                with pytest.raises(UserError, match="another arm named 'pro'"):
                    record_plan(session, store, arms, planned)


def test_rows_at_several_temperatures_know_their_arm_whatever_it_is_called(loaded: LoadedModel) -> None:
    arms = [Arm("adapter lora@v2"), Arm("adapter lora", "more")]
    greedy, warm = Sampling(0), Sampling(0.7)
    both = plan(loaded, [ITEM], arms, sampling=[greedy, warm], limits=Limits(64, 4))
    assert both.settings == {
        "adapter lora@v2@0": Setting("adapter lora@v2", 0),
        "adapter lora@0": Setting("adapter lora", 0),
        "adapter lora@v2@0.7": Setting("adapter lora@v2", 0.7),
        "adapter lora@0.7": Setting("adapter lora", 0.7),
    }
    assert {row.arm for row in both.rows} == both.settings.keys()


def test_an_at_sign_in_a_name_loses_no_gap_and_no_setting(tmp_path: Path) -> None:
    names = ("baseline", "adapter lora@v2")
    items = [Scenario(f"c#{i}", "c", "", str(i)) for i in range(6)]
    rows = [PlanRow(s.id, arm, 0, f"{arm} {s.id}", "p") for s in items for arm in names]
    config = {"model": {"name": "m", "dtype": "float32"}, "sampling": {"temperatures": [0.7]}}
    content = {"suffix": "", "system_suffix": "", "additions": [], "adapter": "a1"}
    with RunStore(tmp_path) as store:
        store.claim(config | {"judge": {"name": "one"}, "arms": {}})
        store.set_meta("task", RECORD.model_dump_json())
        store.set_meta("arm_contents", json.dumps({name: content for name in names}))
        store.add_plan(items, [Prompt("p", "", "", ())], rows)
        store.add_responses(
            StoredResponse(Response(r.response, (5,), "stop"), "", "x", True, "e") for r in rows
        )
        for judge in ("one", "two"):
            labels = [(r.response, r.response, Verdict("hit")) for r in rows]
            store.add_verdicts(judge, labels)
    found = agreement(tmp_path, screen=Screen(quiet=True))
    judged = found.judges["two"]
    assert judged is not None
    assert list(judged.gaps) == ["adapter lora@v2-baseline"]
    from steer.export import export

    export(tmp_path, "csv", tmp_path / "rows.csv")
    with (tmp_path / "rows.csv").open(encoding="utf-8-sig") as handle:
        of_adapter = [row for row in csv.DictReader(handle) if row["arm"] == "adapter lora@v2"]
    assert {(row["adapter"], row["temperature"]) for row in of_adapter} == {("a1", "0.7")}


def test_adapters_of_one_folder_name_are_told_apart() -> None:
    folders = [Path("a/final"), Path("b/final"), Path("c/last")]
    assert distinct_names(folders) == ["a/final", "b/final", "c/last"]
    assert distinct_names(folders[1:]) == ["final", "last"]
    with pytest.raises(UserError, match="is given twice"):
        distinct_names([Path("a/final"), Path("a/../a/final")])


def test_a_comparison_tunes_over_the_sets_own_wordings() -> None:
    own = SuffixSet(SuffixPair("mine", "p", "a"), "n", (SuffixPair("paraphrase-1", "p1", "a1"),))
    texts = [arm.suffix for arm in [*suffix_arms(own), *paraphrase_arms(own)]]
    assert texts == ["", "n", "p", "a", "p1", "a1"]
    assert suffix_pairs(own) == [("pro", "anti"), ("pro paraphrase-1", "anti paraphrase-1")]
    alone = SuffixSet(own.pair, "n")
    assert paraphrase_arms(alone) == []
    assert suffix_pairs(alone) == [("pro", "anti")]
