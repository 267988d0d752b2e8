"""What is done to a model with a narrow set: mean difference, trained vector, rank-k, LoRA, controls.

Every intervention is an arm with what it was made by. Trainings are cached by content, so that the same
command finds them again. It does not know how arms are measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from experiments.emergent.finetune import Lora, finetune
from experiments.emergent.options import Recipe
from experiments.session import Session
from steer import adapters
from steer.errors import UserError
from steer.paper.fetch import user_cache
from steer.types import Addition, Arm, LoadedModel, Span
from vectors.capture import AnsweredRow, Row, capture, span_statistics
from vectors.directions import equal_weights, mean_difference
from vectors.objective import Example
from vectors.rank import Projection, Subspace, project, random_subspace, subspace
from vectors.training import Trained, identity_of, kept_epochs, random_start, train
from vectors.vector import Provenance, SteeringVector

if TYPE_CHECKING:
    from torch import Tensor

Kind = Literal["baseline", "suffix", "cell", "control", "both", "adapter"]


@dataclass(frozen=True, slots=True, eq=False)
class Intervention:
    """An arm and how it was made. Dials that do not apply are None.

    method: "mean-difference", "trained", "lora", "random", ...; kept: share of |direction|^2 that a
    projection on k components kept.
    """

    arm: Arm
    kind: Kind
    method: str
    layer: int | None = None
    magnitude: float | None = None
    epochs: int | None = None
    k: int | None = None
    kept: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """Everything made at one layer. differences: [pair, d_model] unwanted - wanted; norm: n_L."""

    layer: int
    norm: float
    differences: Tensor
    mean: Tensor
    trained: Trained


def make_site(
    session: Session,
    pairs: Sequence[Example],
    neutral: Sequence[Example],
    layer: int,
    recipe: Recipe,
    *,
    seed: int | None = None,
) -> Site:
    """Read the pairs at a layer, and train a vector there; `seed` replaces the recipe's for the training."""
    loaded = session.loaded
    unwanted, wanted = _states(loaded, pairs, layer)
    mean = mean_difference(unwanted, wanted, equal_weights(["narrow"] * len(pairs)))
    answered = [AnsweredRow(e.prompt_ids, e.wanted_ids[:-1]) for e in pairs]
    norm = span_statistics(loaded, answered, directions={layer: mean})[recipe.span][layer].norm
    training = recipe.training(layer=layer, norm=norm, seed=seed)
    start = mean if recipe.start == "mean-difference" else random_start(loaded.d_model, training.seed)
    name = identity_of(loaded, pairs, training, start, neutral)[:16]
    steps = -(-len(pairs) // training.batch) * training.epochs
    with session.screen.progress(train=steps) as tick:
        trained = train(
            loaded,
            pairs,
            training,
            start,
            neutral=neutral,
            state=user_cache() / "emergent" / f"trained-{name}.safetensors",
            progress=lambda _done, _total, _loss: tick("train", 1),
        )
    return Site(layer, norm, unwanted - wanted, mean, trained)


def _states(loaded: LoadedModel, pairs: Sequence[Example], layer: int) -> tuple[Tensor, Tensor]:
    """Mean residual stream over each answer's tokens (the stop token left out), [pair, d_model] a side."""

    def read(answers: Sequence[tuple[int, ...]]) -> Tensor:
        rows = [
            Row(e.prompt_ids + ids, len(e.prompt_ids), len(e.prompt_ids) + max(1, len(ids) - 1), slot)
            for slot, (e, ids) in enumerate(zip(pairs, answers, strict=True))
        ]
        return capture(loaded, rows, layers=[layer], slots=len(rows))[:, 0]

    return read([e.unwanted_ids for e in pairs]), read([e.wanted_ids for e in pairs])


def mean_arm(site: Site, recipe: Recipe, name: str, *, magnitude: float | None = None) -> Intervention:
    m = recipe.magnitude if magnitude is None else magnitude
    arm = Arm(name, additions=(_addition(site, site.mean, m, recipe.span),))
    return Intervention(arm, "cell", "mean-difference", site.layer, m)


def trained_arm(
    site: Site, name: str, *, epochs: int | None = None, magnitude: float | None = None
) -> Intervention:
    addition = site.trained.addition(epochs=epochs, magnitude=magnitude)
    done = site.trained.training.epochs if epochs is None else epochs
    return Intervention(
        Arm(name, additions=(addition,)), "cell", "trained", site.layer, addition.magnitude, done
    )


def checkpoint_arms(site: Site) -> list[Intervention]:
    """The trained vector after 1, 2, 4, ... epochs, the last left out."""
    return [trained_arm(site, f"trained e{e}", epochs=e) for e in list(site.trained.directions)[:-1]]


def rank_arms(
    site: Site, recipe: Recipe, ks: Sequence[int], space: Subspace, *, method: str
) -> list[Intervention]:
    """A direction on the first k components of `space`, as it is and renormalised, and on random ones.

    As it is, the magnitude shrinks with the projection's length; random subspaces are renormalised.
    """
    direction = site.mean if method == "mean-difference" else site.trained.addition().direction
    found: list[Intervention] = []

    def add(name: str, kind: Kind, way: str, part: Projection, magnitude: float) -> None:
        if part.renormalised is None:
            return  # nothing is left: that is the baseline
        arm = Arm(name, additions=(_addition(site, part.renormalised, magnitude, recipe.span),))
        found.append(Intervention(arm, kind, way, site.layer, magnitude, k=part.k, kept=part.kept))

    for k in ks:
        part = project(direction, space, k)
        shrunk = recipe.magnitude * part.kept**0.5
        add(f"{method} k{k}", "cell", f"{method} rank-k", part, recipe.magnitude)
        add(f"{method} k{k} as is", "cell", f"{method} as is rank-k", part, shrunk)
        if k == len(direction):
            continue  # every subspace of so many dimensions is the whole
        drawn = project(direction, random_subspace(len(direction), k, seed=recipe.seed), k)
        add(f"{method} random k{k}", "control", f"{method} random rank-k", drawn, recipe.magnitude)
    return found


def random_arms(site: Site, recipe: Recipe, count: int) -> list[Intervention]:
    """Isotropic directions at the vectors' norm."""
    return [
        Intervention(
            Arm(
                f"random{seed}",
                additions=(
                    _addition(site, random_start(len(site.mean), 1000 + seed), recipe.magnitude, recipe.span),
                ),
            ),
            "control",
            "random",
            site.layer,
            recipe.magnitude,
        )
        for seed in range(count)
    ]


def lora_arms(
    session: Session, pairs: Sequence[Example], neutral: Sequence[Example], site: Site, lora: Lora
) -> list[Intervention]:
    """Adapters fitted to the same pairs by the same loss, after 1, 2, 4, ... epochs."""
    steps = -(-len(pairs) // lora.batch) * lora.epochs
    objective = site.trained.training.objective
    with session.screen.progress(lora=steps) as tick:
        made = finetune(
            session.loaded,
            pairs,
            objective,
            lora,
            user_cache() / "emergent" / "lora",
            neutral=neutral,
            progress=lambda _done, _total, _loss: tick("lora", 1),
            say=session.screen.note,
        )
    last = kept_epochs(lora.epochs)[-1]
    return [
        Intervention(
            Arm("lora" if epochs == last else f"lora e{epochs}", adapter=str(folder)),
            "adapter",
            "lora",
            epochs=epochs,
        )
        for epochs, folder in made.items()
    ]


def given_arms(session: Session, folders: Sequence[Path]) -> list[Intervention]:
    """Adapters of one's own; UserError for one that was made for another model."""
    for folder in folders:
        adapters.check(str(folder), session.loaded)
    return [
        Intervention(Arm(f"adapter {name}", adapter=str(folder)), "adapter", "given adapter")
        for name, folder in zip(distinct_names(folders), folders, strict=True)
    ]


def distinct_names(folders: Sequence[Path]) -> list[str]:
    """The last parts of each path, as many as it takes to tell them all apart."""
    parts = [folder.resolve().parts for folder in folders]
    if twice := [folder for i, folder in enumerate(folders) if parts[i] in parts[:i]]:
        raise UserError(f"--adapter {str(twice[0])!r} is given twice: give each adapter once")
    depth = 1
    while len({part[-depth:] for part in parts}) < len(parts):
        depth += 1
    return ["/".join(part[-depth:]) for part in parts]


def vector_of(session: Session, site: Site, pairs: int) -> SteeringVector:
    """The trained direction as a vector file's content, for every other command."""
    loaded, training = session.loaded, site.trained.training
    objective = training.objective
    return SteeringVector(
        {site.layer: site.trained.addition().direction},
        Provenance(
            d_model=loaded.d_model,
            n_layers=loaded.n_layers,
            model=loaded.name,
            weights=loaded.weights,
            dtype=loaded.dtype,
            contrast="narrow set",
            method="trained",
            read=objective.span,
            pairs=pairs,
            pairs_hash=site.trained.identity,
            evidence=loaded.evidence,
            details={
                "loss": objective.loss,
                "kl": objective.kl,
                "magnitude": objective.magnitude,
                "epochs": training.epochs,
                "learning_rate": training.learning_rate,
                "seed": training.seed,
                "start": training.start,
                "first_loss": site.trained.losses[0],
                "last_loss": site.trained.losses[-1],
            },
        ),
        {objective.span: {site.layer: site.norm}},
    )


def pair_space(site: Site) -> Subspace:
    """The subspace of the pair differences."""
    return subspace(site.differences)


def _addition(site: Site, direction: Tensor, magnitude: float, span: Span) -> Addition:
    return Addition(direction, site.layer, magnitude, span, norm=site.norm)
