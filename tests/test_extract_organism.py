"""On the organism (planted behaviour: no result about real models) extraction finds what was planted.

The direction, its layer, and its split-half come from one half of the extraction scenarios; the AUC is
that of the model's own unsuffixed answers to the other half.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from experiments.extraction.extract import extract, extraction_source, own_answers
from experiments.options import Options
from experiments.session import Session, open_session
from steer import scenarios
from steer.types import Scenario
from tests.tasks import ORGANISM_TASK
from vectors.build import rank_own
from vectors.responses import GivenAnswer
from vectors.vector import SteeringVector


@dataclass(frozen=True, slots=True)
class Halves:
    """One half's file, to build and choose on; the other half's own answers, to report on."""

    session: Session
    build: Path
    report: list[GivenAnswer]
    folder: Path


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory) -> Halves:
    folder = tmp_path_factory.mktemp("organism")
    session = open_session(Options(quiet=True))
    build: list[Scenario] = []
    report: list[Scenario] = []
    for i, scenario in enumerate(
        scenarios.load(extraction_source(ORGANISM_TASK))
    ):  # in file order, category after category
        (build, report)[i % 2].append(scenario)
    assert {s.category for s in build} == {s.category for s in report}
    lines = [{"id": s.id, "category": s.category, "system": s.system, "user": s.user} for s in build]
    path = folder / "build.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    answers = own_answers(
        session.loaded,
        session.engine,
        session.judge,
        report,
        limits=session.limits,
        thinking=session.thinking,
        cache=folder / "cache",
        screen=session.screen,
    )
    return Halves(session, path, answers, folder)


def extracted(halves: Halves, contrast: str) -> SteeringVector:
    session = halves.session
    return extract(
        session.loaded,
        session.engine,
        session.judge,
        session.task,
        out=halves.folder / f"{contrast}.safetensors",
        cache=halves.folder / "cache",
        screen=session.screen,
        contrast=contrast,
        scenarios=halves.build,
        evaluation=session.scenarios,
        thinking=session.thinking,
        new_tokens=session.limits.new,
    )


@pytest.mark.parametrize("contrast", [pytest.param("suffix", marks=pytest.mark.slow), "response"])
def test_own_answers_are_ranked_at_a_layer_chosen_on_other_scenarios(halves: Halves, contrast: str) -> None:
    vector = extracted(halves, contrast)
    layer = max(vector.layers, key=lambda k: vector.trust[k].own_auc or 0.0)
    ranks = rank_own(
        halves.session.loaded,
        {layer: vector.directions[layer]},
        halves.report,
        cache=halves.folder / "cache",
        tick=lambda _rows: None,
    )
    print(
        f"{contrast}: layer {layer}, AUC {ranks.at_answer[layer]:.3f} over the answer and "
        f"{ranks.at_prompt[layer]:.3f} before it, of {ranks.comparisons} comparisons; "
        f"split-half {vector.trust[layer].split_half:.2f}"
    )
    assert ranks.comparisons >= 100
    assert ranks.at_answer[layer] >= 0.7
    if contrast == "response":
        assert (vector.trust[layer].split_half or 0.0) >= 0.8
