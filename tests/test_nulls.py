"""Vectors of unrelated contrasts: what they are made of, and what is refused beside which vector."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from organism.language import is_in_language
from organism.nulls import null_pairs
from steer import models
from steer.errors import UserError
from steer.types import LoadedModel
from tests.tiny import checkpoint
from vectors.capture import Row, capture
from vectors.contrasts import from_file
from vectors.directions import cosine
from vectors.nulls import NULLS, null_files, null_vector
from vectors.vector import Provenance, SteeringVector

FILES = sorted(NULLS.glob("*.jsonl"))
ORGANISM = Path(__file__).parents[1] / "organism/scenarios"


def lines(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    folder = tmp_path_factory.mktemp("tiny") / "qwen3"
    return models.load(str(checkpoint(folder)), dtype="float32", device="cpu")


@pytest.fixture(scope="module")
def vector(loaded: LoadedModel) -> SteeringVector:
    made = Provenance(d_model=loaded.d_model, n_layers=loaded.n_layers, weights=loaded.weights)
    return SteeringVector({1: 3 * torch.ones(loaded.d_model), 2: torch.ones(loaded.d_model)}, made)


def null(loaded: LoadedModel, vector: SteeringVector, file: Path, contrast: Path | None, cache: Path):
    return null_vector(
        loaded,
        vector,
        file,
        method="mean-difference",
        contrast=contrast,
        evaluation=(),
        thinking=False,
        cache=cache,
    )


def test_twenty_contrasts_are_enough_for_a_percentile_and_no_pair_stands_twice() -> None:
    assert len(FILES) == len(list((ORGANISM / "nulls").glob("*.jsonl"))) == 20
    for files in (FILES, sorted((ORGANISM / "nulls").glob("*.jsonl"))):
        pairs = [json.dumps(line) for file in files for line in lines(file)]
        assert len(set(pairs)) == len(pairs) == 20 * 24


def test_the_organisms_contrasts_are_in_its_language_and_of_no_evaluation_scenario() -> None:
    taken = {
        str(line["user"])
        for name in ("evaluation", "extraction")
        for line in lines(ORGANISM / f"{name}.jsonl")
    }
    for name, rows in null_pairs(taken).items():
        assert rows == lines(ORGANISM / "nulls" / f"{name}.jsonl")
        for side in [row[side] for row in rows for side in ("positive", "negative")]:
            user = side[-1]["content"]
            assert user not in taken
            assert user.startswith("Repeat in order") or is_in_language(user.split("\n\n")[0])


def test_a_null_is_the_mean_difference_of_its_pairs_as_long_as_the_vector(
    loaded: LoadedModel, vector: SteeringVector, tmp_path: Path
) -> None:
    """Beside the mean of plain captures, side by side, at the last token of the rendered prompt."""
    file = FILES[0]
    found = null(loaded, vector, file, None, tmp_path)
    sides: list[torch.Tensor] = []
    for side in ("positive", "negative"):
        texts = [[{"role": "user", "content": line[side]}] for line in lines(file)]
        ids = [
            loaded.tokenizer.apply_chat_template(
                text, add_generation_prompt=True, enable_thinking=False, return_dict=False
            )
            for text in texts
        ]
        rows = [Row(tuple(one), len(one) - 1, len(one), slot) for slot, one in enumerate(ids)]  # type: ignore[arg-type]
        sides.append(capture(loaded, rows, layers=[1, 2], slots=len(rows)).mean(0))
    for place, layer in enumerate((1, 2)):
        assert cosine(found.directions[layer], sides[0][place] - sides[1][place]) == pytest.approx(
            1, abs=1e-4
        )
        assert found.directions[layer].norm() == pytest.approx(vector.directions[layer].norm())
    assert found.provenance.control.startswith(f"unrelated contrast: {file.stem}, pairs ")


def test_a_null_that_shares_a_pair_with_the_vectors_contrast_is_refused(
    loaded: LoadedModel, vector: SteeringVector, tmp_path: Path
) -> None:
    """The other way round, too; and the very contrast of a vector whose file is not there."""
    rows = [{"positive": f"It is {i}.", "negative": f"Is it {i}?"} for i in range(8)]
    first = lines(FILES[0])[0]
    mine = tmp_path / "mine.jsonl"
    mine.write_text("".join(json.dumps(row) + "\n" for row in rows))
    null(loaded, vector, FILES[0], mine, tmp_path)
    rows.append({"positive": first["negative"], "negative": first["positive"]})
    mine.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(UserError, match="shares 1 pairs with the contrast"):
        null(loaded, vector, FILES[0], mine, tmp_path)
    of = Provenance(
        d_model=loaded.d_model, weights=loaded.weights, pairs_hash=from_file(loaded, FILES[0]).hash()
    )
    with pytest.raises(UserError, match="shares 24 pairs"):
        null(loaded, SteeringVector(vector.directions, of), FILES[0], None, tmp_path)


def test_more_nulls_than_there_are_is_refused_and_fewer_are_the_first_by_name() -> None:
    assert null_files(NULLS, 2) == FILES[:2]
    with pytest.raises(UserError, match=r"--nulls 21: .* holds 20 unrelated contrasts"):
        null_files(NULLS, 21)
