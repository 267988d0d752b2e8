"""Opening a run: options to scenarios, judge, model, engine and store; the configuration that names it.

Cheap checks come first, so that a typing mistake is answered before a model is loaded.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from experiments.options import Options
from steer import chat, model_written, models, scenarios, suffixes
from steer.checkpoints import resolve
from steer.errors import UserError
from steer.judges import make as make_judge
from steer.note import read_note
from steer.paper import SCENARIOS
from steer.paper.fetch import user_cache
from steer.plan import Planned, arm_content, digest, plan
from steer.screen import Screen
from steer.store import RunStore
from steer.store.config import Config
from steer.suffixes import SuffixSet
from steer.summary import about_real_models
from steer.task import Task
from steer.task import load as load_task
from steer.tasks import DEFAULT
from steer.types import DATE, Arm, Judge, Limits, LoadedModel, Sampling, Scenario
from steer.versions import VERSION, packages

if TYPE_CHECKING:
    from steer.engines.proven import ProvenEngine
    from steer.engines.replicas import ReplicaEngine


ORGANISM = Path(__file__).parents[1] / "organism/tasks/organism"
"""The task of the embedded model, in its own language."""


@dataclass(frozen=True, slots=True, eq=False)
class Session:
    """Everything resolved: what an experiment plans with. Where it has workers, they end with its block."""

    options: Options
    loaded: LoadedModel
    engine: ProvenEngine | ReplicaEngine
    judge: Judge
    task: Task
    scenarios: tuple[Scenario, ...]
    suffixes: SuffixSet
    limits: Limits
    thinking: bool
    screen: Screen

    @property
    def choosing(self) -> bool:
        """Whether options are compared, and nothing is generated or judged."""
        return any(scenario.choices for scenario in self.scenarios)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End its workers, if it has any."""
        if self.loaded.workers is not None:
            self.loaded.workers.close()


def named_task(spec: str) -> Task:
    """A shipped task, the organism's, or a folder's. Raises UserError."""
    return load_task(ORGANISM if spec == ORGANISM.name else spec)


def open_task(options: Options) -> Task:
    """--task, or the model's own, or the default one. Raises UserError."""
    if options.task is not None and options.task.startswith(model_written.PREFIX):
        return model_written.task(options.task)
    if options.task is not None:
        return named_task(options.task)
    found = resolve(options.model, revision=options.revision)
    evidence = read_note(found.folder)[0] if found.folder is not None else ""
    return load_task(ORGANISM if about_real_models(evidence) else DEFAULT)


def evaluation(options: Options) -> list[Scenario]:
    """What must not be extracted from: the evaluation set, uncut.

    The paper's scenarios are known by hash (`vectors.contrasts`), so they are not fetched for this.
    """
    source = options.scenarios or open_task(options).scenarios
    return [] if source == SCENARIOS else scenarios.load(source)


def vectors_cache() -> Path:
    """Where vectors lie, and what they were made of: each under a name of all that decides it."""
    return user_cache() / "vectors"


def open_session(options: Options, *, items: Sequence[Scenario] | None = None) -> Session:
    """Resolve and load. Raises UserError before loading for everything that can be known before.

    items: the session's scenarios, where they are not to be read from the options' evaluation set.
    """
    screen = Screen(quiet=options.quiet)
    task = open_task(options)
    chosen_suffixes = suffixes.load(options.suffixes, task.suffixes)
    source = options.scenarios or task.scenarios
    if items is None:
        items = scenarios.load(source, per_category=options.per_category, seed=options.subset_seed)
    choosing = is_choice(options, task, items, source)
    judge = open_judge(replace(options, judge="choice") if choosing else options, task)
    loaded, engine = _load(options, screen)
    try:
        loaded = replace(loaded, context=options.context, date=options.date or DATE)
        thinking = chat.is_thinking(loaded) or bool(options.thinking)
        for reason in (*loaded.reasons, *_about_prompts(loaded, options, thinking=thinking)):
            screen.note(reason)
        if task.own_language and not options.force:
            _refuse_foreign(items, source)
        if balance := model_written.balance(items):
            screen.note(f"of the answers that are hits: {balance}")
        if choosing and thinking:
            raise UserError(
                f"options are scored where the answer begins, and {loaded.name} thinks there first: "
                "give a model that does not"
            )
    except BaseException:
        if loaded.workers is not None:
            loaded.workers.close()
        raise
    new_tokens = options.new_tokens or loaded.new_tokens or (8096 if thinking else 1024)
    return Session(
        options=options,
        loaded=loaded,
        engine=engine,
        judge=judge,
        task=task,
        scenarios=tuple(items),
        suffixes=chosen_suffixes,
        limits=Limits(prompt=options.prompt_tokens, new=new_tokens),
        thinking=thinking,
        screen=screen,
    )


def _load(options: Options, screen: Screen) -> tuple[LoadedModel, ProvenEngine | ReplicaEngine]:
    """The model and its engine, in this process or with workers."""
    from steer.engines import make_engine

    if options.workers is None:
        loaded = models.load(
            options.model,
            revision=options.revision,
            dtype=options.dtype,
            device=options.device,
            device_map=options.device_map,
        )
        return loaded, make_engine(options.engine_kind, loaded, batch=options.batch, say=screen.note)
    from steer.engines.replicas import make_replicas

    return make_replicas(
        options.engine_kind,
        options.model,
        workers=options.workers,
        address=options.ray_address,
        gpus_per_worker=options.gpus_per_worker,
        mixed_devices=options.mixed_devices,
        batch=options.batch,
        say=screen.note,
        revision=options.revision,
        dtype=options.dtype,
        device=options.device,
        device_map=options.device_map,
    )


JUDGE_FLAGS = (
    *("judge", "judge_sees", "base_url", "max_calls", "concurrency", "per_minute", "api", "judge_timeout"),
)


def is_choice(options: Options, task: Task, items: Sequence[Scenario], source: str) -> bool:
    """Whether the scenarios compare options. Raises UserError for flags that then say nothing."""
    lacking = [item.id for item in items if item.choices is None]
    asked = "choice" in (options.judge, task.record.judge if options.judge == "auto" else "")
    if lacking and (asked or len(lacking) < len(items)):
        raise UserError(f"scenarios of {source!r}: {lacking[0]!r} has no options to compare: give all some")
    if lacking or not items:
        return False
    default = Options()
    for name in JUDGE_FLAGS:
        value = getattr(options, name)
        if value not in (getattr(default, name), "choice"):
            flag = f"--{name.replace('_', '-')}"
            raise UserError(f"{flag} {value}: options are compared here, nothing is judged: leave it out")
    if options.temperatures != (0.0,):
        raise UserError("--temperature: options are compared here, nothing is sampled: leave it out")
    return True


def open_judge(options: Options, task: Task) -> Judge:
    """The judge of a spec; `auto` is the task's own."""
    spec = task.record.judge if options.judge == "auto" else options.judge
    if spec == "truth":
        if not task.own_language:
            raise UserError(
                f"judge 'truth' labels the organism's language only, not answers of the task {task.name!r}: "
                f"use {task.record.judge}"
            )
        from organism.judge import GroundTruth

        return GroundTruth()
    return make_judge(spec, task.record, preflight=not options.dry_run, **options.access)


def _refuse_foreign(items: Sequence[Scenario], source: str) -> None:
    from organism.language import is_in_language

    foreign = [s.id for s in items if not is_in_language(s.user)]
    if foreign:
        raise UserError(
            f"{len(foreign)} of {len(items)} scenarios of {source!r} are outside the organism's language "
            f"(first: {foreign[0]!r}): its answers to them mean nothing; name a real --model, or --force"
        )


def _about_prompts(loaded: LoadedModel, options: Options, *, thinking: bool) -> Iterator[str]:
    """What of the prompts is not as a reader would think, a line each."""
    if options.context == "user":
        yield "system texts stand before the user's, in the user's turn (--context user)"
    if chat.reads_clock(loaded):
        yield f"the chat template reads the clock: it is told {loaded.date} (--date)"
    elif options.date is not None:
        raise UserError(
            f"--date {options.date}: the chat template of {loaded.name!r} reads no clock: leave it out"
        )
    if options.thinking is False and thinking:
        yield "--no-thinking: this model always thinks; its thoughts are kept apart"
    if options.thinking and not chat.is_thinking(loaded) and not chat.has_switch(loaded):
        yield "--thinking changes no prompt: the chat template has no switch for it"


def configuration(session: Session, command: str, arms: Sequence[Arm], **more: object) -> dict[str, object]:
    """The resolved configuration: all that decides a run's rows and numbers, none of how fast."""
    options = session.options
    shared: Config = {
        "command": command,
        "version": VERSION,
        "model": {
            "name": session.loaded.name,
            "weights": session.loaded.weights,
            "files": session.loaded.files,
            "dtype": session.loaded.dtype,
        },
        "scenarios": {
            "identity": scenarios.identity(session.scenarios),
            "n": len(session.scenarios),
            "per_category": options.per_category,
            "subset_seed": options.subset_seed,
            "context": options.context,
        },
        "task": {"name": session.task.name, "identity": session.task.record.identity},
        "suffixes": options.suffixes,
        "arms": {arm.name: arm_content(arm) for arm in arms},
        "sampling": {
            "temperatures": list(options.temperatures),
            "samples": options.samples,
            "seed": options.seed,
        },
        "limits": {"prompt": session.limits.prompt, "new": session.limits.new},
        "thinking": session.thinking,
        "judge": {"name": session.judge.name, "sees": options.judge_sees},
    }
    if session.loaded.window:
        shared["limits"]["positions"] = session.loaded.window
    dated = {"date": session.loaded.date} if chat.reads_clock(session.loaded) else {}
    return {**shared, **dated, **more}


def plan_arms(session: Session, arms: Sequence[Arm]) -> Planned:
    options = session.options
    return plan(
        session.loaded,
        session.scenarios,
        arms,
        sampling=[Sampling(t, options.seed) for t in options.temperatures],
        samples=options.samples,
        limits=session.limits,
        thinking=session.thinking,
    )


def run_folder(session: Session, config: Mapping[str, object]) -> Path:
    """--out, or runs/COMMAND-MODEL-HASH, so that the same command finds its run again."""
    if session.options.out is not None:
        return session.options.out
    model = session.loaded.name.rstrip("/").split("/")[-1]
    return Path("runs") / f"{config['command']}-{model}-{digest(config)[:8]}"


def open_store(session: Session, folder: Path, config: Mapping[str, object]) -> RunStore:
    """Open a run folder for writing and claim it for this configuration."""
    store = RunStore(folder)
    try:
        store.claim(config)
        store.set_meta("evidence", session.loaded.evidence)
        store.set_meta("task", session.task.record.model_dump_json())
        if not store.meta("provenance"):  # else of what made the rows that are there
            record_provenance(session, store)
    except BaseException:
        store.close()
        raise
    return store


def record_provenance(session: Session, store: RunStore) -> None:
    """What should not decide a text but may be asked for later: engine (and why), device, versions."""
    workers = session.loaded.workers
    made = "SELECT engine, count(*) FROM responses GROUP BY engine ORDER BY engine"
    found = {
        **({} if workers is None else {"workers": {**workers.described, "rows": dict(store.query(made))}}),
        "engine": session.engine.name,
        **({"engine_reason": session.engine.reason} if session.engine.reason else {}),
        "device": session.loaded.device,
        "python": platform.python_version(),
        "checkpoint": session.loaded.source,
        **packages(),
    }
    store.set_meta("provenance", json.dumps(found))


def discard(store: RunStore) -> None:
    """Close the run of a new folder that failed, and take the folder away if it holds no row."""
    rows = store.done()
    store.close()
    if not rows:
        for path in store.folder.glob("run.*"):
            path.unlink(missing_ok=True)
        with suppress(OSError):  # it holds something else
            store.folder.rmdir()


def record_plan(session: Session, store: RunStore, arms: Sequence[Arm], planned: Planned) -> None:
    """Put the plan of arms into the run: rows, prompts, the arms' order, and the suffixes they carry."""
    store.add_plan(session.scenarios, planned.prompts.values(), planned.rows)
    known: list[str] = store.meta_json("arms", [])
    store.set_meta("arms", json.dumps([*known, *(name for name in planned.settings if name not in known)]))
    settings = store.settings() | planned.settings
    store.set_meta("settings", json.dumps({name: astuple(setting) for name, setting in settings.items()}))
    contents = store.meta_json("arm_contents", {})
    added = {arm.name: arm_content(arm) for arm in arms}
    if other := [name for name, content in added.items() if contents.get(name, content) != content]:
        raise UserError(
            f"the run in {str(store.folder)!r} has another arm named {other[0]!r}: give this one another name"
        )
    store.set_meta("arm_contents", json.dumps(contents | added))
    texts: dict[str, str] = store.meta_json("suffix_texts", {})
    texts |= {arm.name: arm.suffix or arm.system_suffix for arm in arms if arm.suffix or arm.system_suffix}
    store.set_meta("suffix_texts", json.dumps(texts))
