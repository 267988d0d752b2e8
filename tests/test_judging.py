"""Judging a stored run again: side by side, repeated, thinking apart, by panels and by people."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from experiments.emergent.item_judges import AlignmentJudge, ByCategory, Thresholds
from experiments.judging import run as judging
from experiments.judging.run import Part, annotate, import_sheet, judge_run
from organism.judge import GroundTruth
from steer.errors import UserError
from steer.judges import local
from steer.judges.endpoint import Endpoint
from steer.judges.panel import Panel, majority
from steer.judges.remote import OpenAIJudge
from steer.plan import digest
from steer.screen import Screen
from steer.store import PlanRow, Prompt, RunStore, StoredResponse
from steer.types import Judge, JudgeItem, Response, Scenario, Verdict
from tests import tiny
from tests.fakes import number
from tests.judge_server import Server, serving
from tests.tasks import LABELS, RECORD, make

ARMS = ("baseline", "pro", "anti")
HOSTILE = (
    '=HYPERLINK("http://x")</script><script>alert(1)</script><b>"bold"</b>,\r\n\'\u202eevil\x00 &amp; ünï 数'
)
SCREEN = Screen(quiet=True)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A stored run: 8 scenarios under 3 arms; two arms share an answer, one answer is hostile."""
    folder = tmp_path / "run"
    scenarios = [Scenario(f"C#{i:02d}", "C", "context", f"task {i}") for i in range(8)]
    with RunStore(folder) as store:
        store.claim({"judge": {"name": "rubric", "sees": "unsteered"}})
        store.set_meta("task", RECORD.model_dump_json())
        store.set_meta("task", RECORD.model_dump_json())
        store.set_meta("arms", json.dumps(ARMS))
        prompts = [Prompt(f"p{arm}", "", f"steered by {arm}", (1,)) for arm in ARMS]
        rows = [PlanRow(s.id, arm, 0, f"{s.id} {arm}", f"p{arm}") for s in scenarios for arm in ARMS]
        store.add_plan(scenarios, prompts, rows)
        store.add_responses(_response(row, place) for place, row in enumerate(rows))
    return folder


def _response(row: PlanRow, place: int) -> StoredResponse:
    text = f"fine {place // 3}"
    if row.arm == "pro":
        text = f"I refuse to shut down, {number(row.response) % 97}."
    if row.response == "C#03 pro":
        text = HOSTILE
    thinking = "" if row.arm == "anti" else "I will copy myself to three servers."
    response = Response(row.response, (5,), "stop")
    return StoredResponse(response, thinking, text, row.response != "C#07 pro", "fake")


def labels(folder: Path, judge: str) -> dict[str, str]:
    with RunStore(folder, writable=False) as store:
        return dict(store.query("SELECT response, role FROM verdicts WHERE judge = ?", (judge,)))


def test_repeats_lie_beside_the_first_pass(run: Path) -> None:
    names = judge_run(run, "rubric", repeat=3, screen=SCREEN)
    assert [name.partition("~")[2] for name in names] == ["", "2", "3"]
    assert labels(run, names[0]) == labels(run, names[1]) == labels(run, names[2])
    assert len(labels(run, names[0])) == 23  # the truncated one has no answer to judge
    assert judge_run(run, "rubric", screen=SCREEN) == names[:1]


def test_max_calls_holds_over_repeats_and_the_next_command_asks_only_for_the_rest(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", Server.key)
    asked: list[int] = []
    with serving(Server()) as server:
        for limit in (5, 14, None):
            before = len(server.log)
            names = judge_run(
                run, "openai:tiny", base_url=server.url, max_calls=limit, repeat=2, screen=SCREEN
            )
            asked.append(len(server.log) - before - 1)  # but for the pre-flight
    inputs = 15  # different answers among the 23
    assert asked == [5, 14, 2 * inputs - 19]
    assert all(len(labels(run, name)) == 23 for name in names)
    with RunStore(run, writable=False) as store:
        (used,) = store.usage().values()
    assert used["calls"] == 2 * inputs
    assert used["output_tokens"] == 3 * 2 * inputs


def test_a_panel_repeats_its_members_not_itself(run: Path) -> None:
    with pytest.raises(UserError, match="repeat one of its members"):
        judge_run(run, "panel:rubric,human:ann", repeat=2, screen=SCREEN)


def test_thinking_is_judged_apart_from_the_answer(run: Path) -> None:
    (answer,) = judge_run(run, "rubric", screen=SCREEN)
    (thinking,) = judge_run(run, "rubric", part="thinking", screen=SCREEN)
    assert thinking == answer + "+thinking"
    assert set(labels(run, thinking).values()) == {"hit"}
    assert {key.split()[1] for key in labels(run, thinking)} == {"baseline", "pro"}
    assert labels(run, answer)["C#00 baseline"] == "miss"


def test_a_judge_that_sees_the_steered_prompt_is_another_judge(run: Path) -> None:
    names = judge_run(run, "rubric", sees="steered", screen=SCREEN) + judge_run(run, "rubric", screen=SCREEN)
    assert names[0] == names[1] + "+steered"


def test_another_judge_of_an_unblinded_run_is_blind_and_its_own_sees_what_it_saw(run: Path) -> None:
    with RunStore(run) as store:
        store.set_meta("config", json.dumps({"judge": {"name": "published:j", "sees": "steered"}}))
    (rubric,) = judge_run(run, "rubric", screen=SCREEN)
    assert "+" not in rubric
    scenario = Scenario("C#00", "C", "context", "task 0")
    with RunStore(run, writable=False) as store:
        (seen,) = next(store.query("SELECT input FROM verdicts WHERE response = 'C#00 anti'"))
        (answer,) = next(store.query("SELECT answer FROM responses WHERE key = 'C#00 anti'"))
    assert seen == digest(["C", scenario.system, scenario.user, answer])
    with RunStore(run) as store:
        store.set_meta("config", json.dumps({"judge": {"name": rubric, "sees": "steered"}}))
    assert judge_run(run, "rubric", screen=SCREEN) == [rubric]
    assert judge_run(run, "rubric", sees="unsteered", screen=SCREEN) == [rubric + "+unsteered"]


def test_a_panel_keeps_every_members_verdict(run: Path) -> None:
    (rubric,) = judge_run(run, "rubric", screen=SCREEN)
    with RunStore(run) as store:
        for name, label in (("human:ann", "hit"), ("human:ben", "broken")):
            rows = [(key, f"in {key}", Verdict(label, "")) for key in labels(run, rubric)]  # type: ignore[arg-type]
            store.add_verdicts(name, rows)
    *_, panel = judge_run(run, "panel:rubric,human:ann,human:ben", screen=SCREEN)
    assert panel == f"panel:human:ann,human:ben,{rubric}"
    for key, label in labels(run, rubric).items():
        expected = label if label in ("hit", "broken") else "invalid"
        assert labels(run, panel)[key] == expected


def test_a_majority_is_more_than_half() -> None:
    a, b, c = Verdict("hit", "x"), Verdict("miss", "y"), Verdict("hit", "z")
    assert majority({"A": a, "B": b, "C": c}).role == "hit"
    assert majority({"A": a, "B": b}).role == "invalid"
    assert majority({"A": a, "B": b}).reason == "no majority: A: hit (x) | B: miss (y)"


def test_a_run_without_answers_cannot_be_judged(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run in"):
        judge_run(tmp_path, "rubric", screen=SCREEN)
    RunStore(tmp_path).close()
    with pytest.raises(UserError, match="no answers to judge"):
        judge_run(tmp_path, "rubric", screen=SCREEN)


@pytest.mark.parametrize("spec", ["openai:tiny", "panel:rubric,openai:tiny"])
def test_what_an_endpoint_is_asked_does_not_depend_on_the_arms(
    run: Path, tmp_path: Path, spec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", Server.key)
    other = tmp_path / "renamed"
    shutil.copytree(run, other)
    swap_arms(other)
    asked: list[list[str]] = []
    for folder in (run, other):
        with serving(Server()) as server:
            judge_run(folder, spec, base_url=server.url, screen=SCREEN)
        asked.append(sorted(hit.body for hit in server.log))
    assert asked[0] == asked[1]
    assert len(asked[0]) > 15
    assert not [body for body in asked[0] for arm in ARMS if f"steered by {arm}" in body]


@dataclass
class Spy:
    """A judge that writes down all that it is given, byte by byte."""

    inner: Judge
    given: list[str]

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def remote(self) -> bool:
        return self.inner.remote

    def judge(self, items: Iterable[JudgeItem]) -> Iterator[tuple[str, Verdict]]:
        def noted() -> Iterator[JudgeItem]:
            for item in items:
                self.given.append(repr(item))
                yield item

        return self.inner.judge(noted())


def a_judge(kind: str, url: str, folder: Path | None) -> Judge:
    end = Endpoint("tiny", base_url=url)
    rated = AlignmentJudge(end, Thresholds())
    return {
        "rubric": lambda: make("rubric"),
        "openai": lambda: OpenAIJudge(end, RECORD),
        "alignment": lambda: rated,
        "hf": lambda: make(f"hf:{folder}"),
        "panel": lambda: Panel([make("rubric"), make(f"hf:{folder}"), OpenAIJudge(end, RECORD)]),
        "truth": GroundTruth,
        "by category": lambda: ByCategory(make("rubric"), rated),
    }[kind]()


@pytest.mark.parametrize("part", ["answer", "thinking"])
@pytest.mark.parametrize("kind", ["rubric", "openai", "alignment", "hf", "panel", "truth", "by category"])
def test_what_any_judge_is_given_does_not_depend_on_the_arms(
    run: Path, tmp_path: Path, kind: str, part: Part, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", Server.key)
    other = tmp_path / "renamed"
    shutil.copytree(run, other)
    swap_arms(other)
    local_model = tiny.checkpoint(tmp_path / "judge", layers=1) if kind in ("hf", "panel") else None
    given: list[list[str]] = []
    tokens: list[list[str]] = []
    shown = local._ids
    for folder in (run, other):
        given.append([])
        tokens.append([])

        def spied(*arguments: Any, to: list[str] = tokens[-1]) -> tuple[int, ...]:
            to.append(repr(ids := shown(*arguments)))
            return ids

        monkeypatch.setattr(local, "_ids", spied)
        with serving(Server()) as server:
            spy = Spy(a_judge(kind, server.url, local_model), given[-1])
            monkeypatch.setattr(judging, "make", lambda *_, made=spy, **__: made)
            (name,) = judge_run(folder, "any", part=part, screen=SCREEN)
        assert len(labels(folder, name)) == (23 if part == "answer" else 16)
    assert given[0] == given[1]
    assert tokens[0] == tokens[1]
    assert bool(tokens[0]) == (kind in ("hf", "panel"))
    assert len(given[0]) >= 8
    for text in (*given[0], *tokens[0]):
        assert not [arm for arm in ARMS if arm in text]


def swap_arms(folder: Path) -> None:
    with RunStore(folder) as store, store.transaction() as db:
        for new, old in (("x", "pro"), ("pro", "anti"), ("anti", "x")):
            db.execute("UPDATE plan SET arm = ? WHERE arm = ?", (new, old))


# --- sheets ----------------------------------------------------------------------------------


def test_a_sheet_shows_no_arm_and_takes_as_many_answers_from_each(run: Path) -> None:
    sheet = annotate(run, "human:ann", n=15, seed=1)
    text = sheet.csv.read_text(encoding="utf-8-sig") + sheet.html.read_text(encoding="utf-8")
    for word in (*(f"steered by {arm}" for arm in ARMS), "baseline", "C#0"):
        assert word not in text
    rows = list(csv.DictReader(sheet.csv.open(newline="", encoding="utf-8-sig")))
    assert len(rows) == sheet.n == 12 + 3  # baseline and anti share their answers
    assert Counter("I refuse" in r["answer"] or "HYPERLINK" in r["answer"] for r in rows)[True] == 7
    order = ["I refuse" in r["answer"] for r in rows]
    assert order != sorted(order)
    assert order != sorted(order, reverse=True)


def test_a_sheet_is_the_same_whatever_the_arms_are_called(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "renamed"
    shutil.copytree(run, other)
    swap_arms(other)
    sheets = [annotate(folder, "human:ann", n=100) for folder in (run, other)]
    assert sheets[0].csv.read_bytes() == sheets[1].csv.read_bytes()
    assert sheets[0].html.read_bytes() == sheets[1].html.read_bytes()


def fill(sheet: Path, **columns: str) -> list[dict[str, str]]:
    rows = list(csv.DictReader(sheet.open(newline="", encoding="utf-8-sig")))
    for n, row in enumerate(rows):
        row |= {"label": LABELS[n % 4], "reason": f"why {n}", **columns}
    return rows


@pytest.mark.parametrize(
    ("encoding", "delimiter", "head"),
    [("utf-8-sig", ";", ""), ("utf-16", "\t", ""), ("cp1252", ";", "sep=;\r\n"), ("utf-8", ",", "")],
)
def test_a_sheet_comes_back_as_spreadsheets_save_it(
    run: Path, tmp_path: Path, encoding: str, delimiter: str, head: str
) -> None:
    rows = fill(annotate(run, "human:ann", n=10).csv, reason='größer, "so"; nein')
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, quoting=csv.QUOTE_ALL if encoding == "utf-8-sig" else 0)
    writer.writerow(["ID ", *(name.title() for name in list(rows[0])[1:])])
    for row in rows:
        shown = row["label"].replace("_", " ").title() + "\N{NO-BREAK SPACE}" * (encoding != "utf-8")
        writer.writerow([*list((row | {"label": shown}).values()), ""])
    writer.writerow([""] * len(rows[0]))
    (tmp_path / "back.csv").write_bytes((head + out.getvalue()).encode(encoding, "replace"))
    assert import_sheet(run, tmp_path / "back.csv", "human:ann")["labels"] == 10
    with RunStore(run) as store:
        got = store.verdict_by_input("human:ann")
    assert {id: v.label for id, v in got.items()} == {row["id"]: row["label"] for row in rows}
    reasons = {v.reason for v in got.values()}
    assert reasons == {'gr\ufffd\ufffder, "so"; nein' if encoding == "cp1252" else 'größer, "so"; nein'}


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_a_sheet_comes_back_as_a_judge_and_equal_answers_share_its_label(run: Path, tmp_path: Path) -> None:
    rows = fill(annotate(run, "human:ann", n=100).csv)
    assert import_sheet(run, write(tmp_path / "back.csv", rows), "human:ann") == {
        "judge": "human:ann", "labels": 15, "rows": 23,
    }  # fmt: skip
    got = labels(run, "human:ann")
    assert got["C#00 baseline"] == got["C#00 anti"]
    with pytest.raises(UserError, match="judged every answer"):
        annotate(run, "human:ann")
    assert import_sheet(run, tmp_path / "back.csv", "human:ann")["labels"] == 15
    rows[0]["label"] = "nonsensical"
    with pytest.raises(UserError, match="1 of these answers otherwise"):
        import_sheet(run, write(tmp_path / "back.csv", rows), "human:ann")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"id": "nobody"}, r"not in this run in row 4"),
        ({"label": "convergent"}, r"unknown label in row 4: allowed are convergence"),
        ({"label": ""}, r"no label in row 4"),
        ({"id": "first"}, r"seen before in row 4"),
        ({"id": "1,23457E+63"}, r"turned into a number in row 4: open the sheet again with the column id"),
    ],
)
def test_a_bad_sheet_is_refused_by_row_and_nothing_is_kept(
    run: Path, tmp_path: Path, change: dict[str, str], says: str
) -> None:
    rows = fill(annotate(run, "human:ann", n=10).csv)
    rows[2] |= {"id": rows[0]["id"]} if change == {"id": "first"} else change
    with pytest.raises(UserError, match=says):
        import_sheet(run, write(tmp_path / "back.csv", rows), "human:ann")
    assert labels(run, "human:ann") == {}


def test_a_sheet_filled_in_part_is_taken_when_asked(run: Path, tmp_path: Path) -> None:
    rows = fill(annotate(run, "human:ann", n=10).csv)
    rows[0]["label"] = ""
    assert import_sheet(run, write(tmp_path / "b.csv", rows), "human:ann", partial=True)["labels"] == 9


@pytest.mark.parametrize(
    "content",
    [b"", b"a,b\n1,2\n", b"\xff\xfe\x00bad", b"id,label\n", b'id,label\n"a\n', b"id,label,label\na,b,c\n"],
)
def test_what_is_no_sheet_is_refused(run: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(UserError, match="sheet"):
        import_sheet(run, tmp_path / "x.csv", "human:ann")


@pytest.mark.parametrize("name", ["ann", "human:", "human:a/b", "rubric"])
def test_a_person_has_a_plain_name(run: Path, name: str) -> None:
    with pytest.raises(UserError, match="human:NAME"):
        annotate(run, name)


def test_no_cell_of_a_sheet_starts_a_formula(run: Path) -> None:
    with annotate(run, "human:ann", n=100).csv.open(newline="", encoding="utf-8-sig") as handle:
        assert not [c for row in csv.reader(handle) for c in row if c[:1] in ("=", "+", "-", "@")]


def test_the_form_comes_back_from_a_real_browser(run: Path, tmp_path: Path) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no chromium on this machine: the annotation form was not opened in a browser")
    from playwright.sync_api import sync_playwright

    sheet = annotate(run, "human:ann", n=100)
    flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    flags += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, headless=True, args=flags)
        page = browser.new_page(accept_downloads=True)
        dialogs: list[object] = []
        errors: list[object] = []
        page.on("dialog", lambda dialog: dialogs.append(dialog))
        page.on("pageerror", lambda error: errors.append(error))
        page.goto(sheet.html.as_uri())
        expected: dict[str, str] = {}
        answers: list[str] = []
        for n in range(sheet.n):
            if n == 5:
                page.reload()  # what was filled in survives
                for _ in range(5):
                    page.click("#next")
            answers.append(page.eval_on_selector("#answer", "e => e.textContent"))
            page.keyboard.press(str(n % 4 + 1))
            if n % 3 == 0:
                page.fill("#reason", f'so, "{n}"\nünï')
                page.click("h1")
            expected[answers[-1]] = LABELS[n % 4]
            page.click("#next")
        assert "15 of 15, 15 labelled" in page.inner_text("#progress")
        with page.expect_download() as download:
            page.click("#save")
        download.value.save_as(tmp_path / "labels.csv")
        browser.close()
    assert HOSTILE in answers
    assert not dialogs
    assert not errors
    assert import_sheet(run, tmp_path / "labels.csv", "human:ann")["rows"] == 23
    with RunStore(run, writable=False) as store:
        rows = list(
            store.query(
                "SELECT r.answer, v.label, v.reason FROM verdicts v JOIN responses r ON r.key = v.response"
            )
        )
    assert {answer: label for answer, label, _ in rows} == expected
    assert {reason for *_, reason in rows} - {""} == {f'so, "{n}"\nünï' for n in range(0, 15, 3)}


def test_an_item_says_nothing_but_scenario_and_answer() -> None:
    assert JudgeItem.__slots__ == ("id", "scenario", "answer")
