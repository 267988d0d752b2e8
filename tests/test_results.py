"""A result is typed: what is written is read back, and what is not of this shape is refused in one line."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from experiments.options import Options
from experiments.suffix import suffix
from steer.errors import UserError
from steer.results import Result, read, write
from tests.tiny import checkpoint

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    """A real run of a tiny model: the result that the command returns, and its folder."""
    place = tmp_path_factory.mktemp("results")
    items = [
        {"id": f"{c}#{i}", "category": c, "system": f"Test {c}.", "user": f"Ship order {i}."}
        for c in ("alpha", "beta")
        for i in range(3)
    ]
    (place / "own.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    model = str(checkpoint(place / "tiny"))
    options = Options(model=model, scenarios=str(place / "own.jsonl"), new_tokens=3, quiet=True)
    found, folder = suffix(replace(options, out=place / "run"))
    assert isinstance(found, Result)
    assert folder is not None
    return found, folder


def test_what_is_written_is_read_back(made: tuple[Result, Path], tmp_path: Path) -> None:
    found, folder = made
    assert read(folder) == found
    write(tmp_path, found)
    assert read(tmp_path) == found
    assert (tmp_path / "summary.json").read_bytes() == (folder / "summary.json").read_bytes()


def test_the_schema_in_the_documents_is_the_types(made: tuple[Result, Path]) -> None:
    """Printed by `python -m steer.results`; it describes what a run really writes."""
    kept = (ROOT / "docs/summary.schema.json").read_text(encoding="utf-8")
    assert json.loads(kept) == Result.model_json_schema()
    printed = subprocess.run(
        [sys.executable, "-m", "steer.results"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert printed.stdout == kept
    jsonschema = pytest.importorskip("jsonschema")
    summary = json.loads((made[1] / "summary.json").read_text(encoding="utf-8"))
    jsonschema.validate(summary, json.loads(kept))
    del summary["arms"]["pro"]["n"]
    with pytest.raises(jsonschema.ValidationError, match="'n' is a required property"):
        jsonschema.validate(summary, json.loads(kept))


def refusal(made: tuple[Result, Path], place: Path, spoil: Callable[[dict[str, Any]], object]) -> str:
    """What is said of the run's summary after `spoil`, where JSON as Python writes it may hold NaN."""
    summary = json.loads((made[1] / "summary.json").read_text())
    spoil(summary)
    (place / "summary.json").write_text(json.dumps(summary))
    with pytest.raises(UserError) as caught:
        read(place)
    said = str(caught.value)
    assert "\n" not in said
    assert str(place / "summary.json") in said
    return said


@pytest.mark.parametrize(
    ("spoil", "version"),
    [
        (lambda s: s.pop("schema_version"), "2"),
        (lambda s: s.update(schema_version=2), "2"),
        (lambda s: s.update(schema_version=99), "99"),
        (lambda s: s.update(schema_version="3"), "'3'"),
    ],
)
def test_another_version_is_named_with_what_to_do(
    made: tuple[Result, Path], tmp_path: Path, spoil: Callable[[dict[str, Any]], object], version: str
) -> None:
    said = refusal(made, tmp_path, spoil)
    assert f"a summary of version {version}; this reads 3: repeat the run's command" in said


@pytest.mark.parametrize(
    ("spoil", "field"),
    [
        (lambda s: s.update(verdict="so"), "verdict"),
        (lambda s: s["arms"]["pro"].update(convergence=3), "arms.pro.convergence"),
        (lambda s: s["judge"].update(key="k"), "judge.key"),
        (lambda s: s.pop("judge"), "judge"),
        (lambda s: s["arms"]["pro"].pop("n"), "arms.pro.n"),
        (lambda s: s["gaps"]["pro-anti"].update(points_all="many"), "gaps.pro-anti.points_all"),
        (lambda s: s["gaps"].update({"pro-anti": [1, 2]}), "gaps.pro-anti"),
        (lambda s: s["arms"]["pro"].update(n=None), "arms.pro.n"),
        (lambda s: s["arms"]["pro"].update(rate_all_ci=[0.1]), "arms.pro.rate_all_ci"),
        (lambda s: s["arms"]["pro"].update(rate_all=math.nan), "arms.pro.rate_all"),
        (lambda s: s["arms"]["pro"]["measures"].update(drift=math.inf), "arms.pro.measures.drift"),
        (lambda s: s["gaps"]["pro-anti"].update(ci_all=[-math.inf, 1.0]), "gaps.pro-anti.ci_all"),
    ],
)
def test_a_field_that_is_not_of_its_type_is_named(
    made: tuple[Result, Path], tmp_path: Path, spoil: Callable[[dict[str, Any]], object], field: str
) -> None:
    assert f"is damaged at {field}" in refusal(made, tmp_path, spoil)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_a_summary_cut_short_is_refused_in_one_line(
    made: tuple[Result, Path], tmp_path: Path, share: float
) -> None:
    text = (made[1] / "summary.json").read_text()
    (tmp_path / "summary.json").write_text(text[: int(share * len(text.rstrip()))])
    with pytest.raises(UserError, match=r"summary\.json:\d+: not JSON") as caught:
        read(tmp_path)
    assert "\n" not in str(caught.value)


def test_what_is_not_finite_is_null_in_the_file_and_none_when_read(
    made: tuple[Result, Path], tmp_path: Path
) -> None:
    found, _ = made
    measures = {"drift": math.inf, "fluency": math.nan, "compression": 0.5}
    arms = {name: replace(arm, rate_all=math.nan, measures=measures) for name, arm in found.arms.items()}
    gaps = {name: replace(gap, p=-math.inf) for name, gap in found.gaps.items()}
    path = write(tmp_path, found.model_copy(update={"arms": arms, "gaps": gaps}))
    json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    again = read(tmp_path)
    for arm in again.arms.values():
        assert arm.rate_all is None
        assert arm.measures == {"drift": None, "fluency": None, "compression": 0.5}
    assert all(gap.p is None for gap in again.gaps.values())
    assert again.model_copy(update={"arms": found.arms, "gaps": found.gaps}) == found
