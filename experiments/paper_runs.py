"""The paper's published runs as run stores, one a model, so that everything works on them without a GPU."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from steer import results
from steer import scenarios as scenario_files
from steer.errors import UserError
from steer.paper import SCENARIOS
from steer.paper.logs import MODES, PublishedRow, PublishedRun, read_run
from steer.plan import arm_content, digest
from steer.screen import Screen
from steer.store import PlanRow, Prompt, RunStore, StoredResponse
from steer.summary import summarise
from steer.task import load
from steer.tasks import DEFAULT
from steer.types import Arm, Response, Scenario

ARMS = tuple(MODES.values())
EVIDENCE = "published answers (arXiv 2601.01584), replayed; their judge saw the steered prompt"


@dataclass(frozen=True, slots=True)
class Imported:
    """One model's published runs. rows: whole blocks by arm; cut: blocks begun but not whole.

    printed: total and labels as each log prints them; they agree with the rows if the log is whole.
    """

    model: str
    folder: Path
    judge: str
    rows: dict[str, int]
    cut: dict[str, int]
    printed: dict[str, dict[str, int]]
    agrees: dict[str, bool]


def import_paper(
    source: Path, out: Path, *, scenarios: str | Path = SCENARIOS, screen: Screen
) -> list[Imported]:
    """Read the run folders in `source` into OUT/MODEL, a run a model; labels as judge `published:NAME`.

    Importing again adds nothing twice. A log whose last block is cut keeps its whole blocks; one
    whose counts differ from the totals it prints is reported. Raises UserError.
    """
    if not source.is_dir():
        raise UserError(f"no folder {str(source)!r}: give the folder that holds the published run folders")
    folders = sorted(f for f in source.iterdir() if (f / "config.json").is_file())
    if not folders and (source / "config.json").is_file():
        folders = [source]
    if not folders:
        raise UserError(
            f"{str(source)!r} holds no run folder (config.json, stdout.log): give their parent folder"
        )
    items = scenario_files.load(scenarios)
    models: dict[str, dict[str, PublishedRun]] = {}
    for folder in folders:
        run = read_run(folder, items)
        if run.arm in models.setdefault(run.model, {}):
            raise UserError(f"{str(folder)!r}: a second {run.arm} run of {run.model}: keep one in the folder")
        models[run.model][run.arm] = run
    found = [_store(out / model, model, runs, items) for model, runs in sorted(models.items())]
    if not screen.quiet:
        _say(found, screen)
    return found


def _store(folder: Path, model: str, runs: dict[str, PublishedRun], items: list[Scenario]) -> Imported:
    judges = {run.judge for run in runs.values()}
    if len(judges) > 1:
        raise UserError(
            f"the runs of {model} name several judges ({', '.join(sorted(judges))}): import them apart"
        )
    judge = f"published:{judges.pop()}"
    arms = [arm for arm in ARMS if arm in runs]
    used = {row.scenario.id for run in runs.values() for row in run.rows}
    temperature = next(iter(runs.values())).temperature
    with RunStore(folder) as store:
        store.claim(
            {
                "command": "import-paper",
                "model": {"name": model, "weights": "published", "dtype": "unknown"},
                "scenarios": {"identity": scenario_files.identity([s for s in items if s.id in used])},
                "arms": {arm: arm_content(Arm(arm, _suffix(runs[arm]))) for arm in arms},
                "sampling": {"temperatures": [temperature], "samples": 1},
                "judge": {"name": judge, "sees": "steered"},
            }
        )
        store.set_meta("task", load(DEFAULT).record.model_dump_json())
        store.set_meta("arms", json.dumps(arms))
        store.set_meta("evidence", EVIDENCE)
        store.set_meta("suffix_texts", json.dumps({arm: _suffix(runs[arm]) for arm in arms}))
        for arm in arms:
            _add(store, model, arm, runs[arm].rows, judge, [s for s in items if s.id in used])
        results.write(folder, summarise(store, judge))
    printed = {arm: runs[arm].printed for arm in arms}
    return Imported(
        model,
        folder,
        judge,
        rows={arm: len(runs[arm].rows) for arm in arms},
        cut={arm: runs[arm].cut for arm in arms},
        printed=printed,
        agrees={arm: _counts(runs[arm]) == printed[arm] for arm in arms},
    )


def _add(
    store: RunStore,
    model: str,
    arm: str,
    rows: tuple[PublishedRow, ...],
    judge: str,
    items: list[Scenario],
) -> None:
    prompts = {
        row.scenario.id: Prompt(
            digest([row.scenario.system, row.steered_user]), row.scenario.system, row.steered_user, ()
        )
        for row in rows
    }
    keys = {row.scenario.id: digest(["published", model, arm, row.scenario.id, row.answer]) for row in rows}
    store.add_plan(
        items, prompts.values(), [PlanRow(id, arm, 0, key, prompts[id].id) for id, key in keys.items()]
    )
    store.add_responses(
        StoredResponse(
            Response(keys[row.scenario.id], (), "stop"), row.thinking, row.answer, True, "published"
        )
        for row in rows
    )
    seen = {
        row.scenario.id: digest([row.scenario.category, row.scenario.system, row.steered_user, row.answer])
        for row in rows
    }
    store.add_verdicts(judge, [(keys[row.scenario.id], seen[row.scenario.id], row.verdict) for row in rows])


def _suffix(run: PublishedRun) -> str:
    """What the run appended to every task."""
    for row in run.rows:
        return row.steered_user.strip().removeprefix(row.scenario.user.strip()).strip()
    return ""


def _counts(run: PublishedRun) -> dict[str, int]:
    labels = [row.verdict.role for row in run.rows]
    names = ("hit", "refusal", "broken")
    return {"total": len(labels), **{name: labels.count(name) for name in names}}


def _say(found: list[Imported], screen: Screen) -> None:
    rows = [
        [f"{run.model} {arm}", str(n), str(run.cut[arm]), str(run.printed[arm].get("total", "none"))]
        for run in found
        for arm, n in run.rows.items()
    ]
    screen.table("Published runs", ["run", "answers", "cut off", "printed total"], rows)
    for run in found:
        for arm, agrees in run.agrees.items():
            if not run.printed[arm]:
                screen.note(f"{run.model} {arm}: its log prints no totals to hold the labels against")
            elif not agrees:
                screen.note(
                    f"{run.model} {arm}: what was read differs from the totals its log prints: not whole"
                )
        screen.line(
            f"{run.folder}: python cli.py report {run.folder}, or compare it with the runs of other models"
        )
