"""The report in a real browser: opened from disk, clicked, read; and texts that try to break out of it."""

from __future__ import annotations

import base64
import gzip
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from steer import metrics, results
from steer.errors import UserError
from steer.results import Result, read
from steer.results.result import JudgeUsed
from steer.results.sweep import CapUsed, Choice, Sweep
from steer.screen import Screen
from steer.show import answers, view
from steer.show.figures import look
from steer.show.headline import headline
from steer.show.page import write
from steer.show.sections import Section, sections
from steer.show.terminal import print_result
from steer.store import RunStore
from steer.types import Scenario, Verdict
from tests import synthetic
from tests.browser import Opened
from tests.tasks import RECORD

BAD_NAME = "<img src=x onerror='window.hacked = 3'></script><b>\u202e name"


def visible(text: str) -> str:
    """What `plain` of steer.screen promises, written independently for the browser's copy of it."""
    marks = {"\u202e", "\u202c", "\u200f", "\x00", "\x07", "\x1b"}
    return "".join(f"\\u{ord(c):04x}" if c in marks else c for c in text)


def contrast(a: str, b: str) -> float:
    """WCAG's, of two colours as #rrggbb or rgb(r, g, b)."""

    def luminance(value: str) -> float:
        hexadecimal = [int(value[i : i + 2], 16) for i in (1, 3, 5)] if value.startswith("#") else None
        parts = [part / 255 for part in hexadecimal or map(int, re.findall(r"\d+", value))]
        linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.fixture(scope="module")
def compare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A comparison whose first scenarios were answered, under two arms, by hostile texts."""
    cell = synthetic.cell_name(14, 0.2)
    folder = tmp_path_factory.mktemp("report") / "run"
    return synthetic.sweep_run(
        folder,
        n=12,
        layers=(10, 14, 18),
        magnitudes=(-0.45, -0.2, 0.2, 0.45),
        command="compare",
        answers=synthetic.hostile_answers(synthetic.scenarios(12), ("baseline", cell)),
    )


@pytest.fixture(scope="module")
def page_file(compare: Path) -> Path:
    return write([compare]).path


@pytest.fixture(scope="module")
def shared(chromium: Any, page_file: Path) -> Iterator[Opened]:
    found = Opened(chromium, page_file)
    yield found
    found.close()


@pytest.fixture
def opened(shared: Opened) -> Opened:
    """The comparison's page with the reader closed and nothing wrong so far."""
    shared.page.evaluate("reader.close()")
    shared.faults.clear()
    return shared


def section_of(result: Result, name: str) -> Section:
    return next(one for one in sections(result, list(result.arms)) if one.name == name)


def rows_of(folder: Path, arm: str) -> list[Any]:
    with RunStore(folder, writable=False) as store:
        return list(store.rows(synthetic.JUDGE, arm=arm))


# --- the page in a browser -----------------------------------------------------------------


def test_every_figure_draws_without_an_error_or_a_request(opened: Opened) -> None:
    figures = opened.page.locator("figure[data-figure]")
    assert figures.count() >= 14
    for i in range(figures.count()):
        figures.nth(i).scroll_into_view_if_needed()
        figures.nth(i).locator("svg.marks").wait_for()
    assert opened.page.evaluate("performance.getEntriesByType('resource').length") == 0
    assert opened.faults == []


def test_figures_hold_the_numbers_of_the_summary(opened: Opened, compare: Path) -> None:
    result = read(compare)
    assert result.sweep is not None
    assert result.comparison is not None
    cells = {(c.layer, c.magnitude): c for c in result.sweep.cells}
    places = {(str(layer), f"{m:+g}".replace("-", "−")): cell for (layer, m), cell in cells.items()}
    heat = [mark for mark in opened.marks("heat-points", "rect") if mark["said"]]
    assert {(m["row"], m["column"]): m["value"] for m in heat} == {
        place: cell.gap.points_all for place, cell in places.items()
    }
    assert {(m["row"], m["column"]): m["arm"] for m in heat} == {p: cell.arm for p, cell in places.items()}
    above = sorted(heat, key=lambda m: m["at"][::-1])
    magnitudes = (-0.45, -0.2, 0.2, 0.45)
    assert [m["arm"] for m in above] == [cells[layer, m].arm for layer in (18, 14, 10) for m in magnitudes]
    texts = {(m["row"], m["column"]): m["drawn"] for m in opened.marks("heat-points", "text")}
    assert texts == {p: f"{c.gap.points_all:+.0f}".replace("-", "−") for p, c in places.items()}
    outlined = [m["arm"] for m in opened.marks("heat-points", "rect") if not m["said"]]
    assert sorted(outlined) == sorted(result.sweep.choice.chosen_arms)
    drift = {m["arm"]: m["value"] for m in opened.marks("heat-drift", "rect")}
    assert drift == {c.arm: result.arms[c.arm].measures["drift"] for c in cells.values()}
    drawn = {m["arm"]: m["value"] for m in opened.marks("arms") if not m["hollow"]}
    assert drawn == {n: pytest.approx(100 * (result.arms[n].rate_all or 0)) for n in drawn}
    assert {"baseline", "pro", "anti", *result.sweep.choice.chosen_arms} <= drawn.keys()
    sides = [m["value"] for m in opened.marks("sides")]
    difference = result.comparison.sides.differences["difference"].over_all
    assert difference is not None
    assert difference.points in sides


@pytest.mark.parametrize("name", ["arms", "gaps"])
def test_marks_stand_where_the_axis_says(opened: Opened, name: str) -> None:
    labels, marks = sorted(opened.axis(name)), opened.marks(name)
    (low, left), (high, right) = labels[1], labels[-2]  # the outermost are moved to stay within
    for mark in marks:
        said = low + (high - low) * (mark["at"][0] - left) / (right - left)
        assert said == pytest.approx(mark["value"], abs=0.01 * (high - low))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_numbers_in_cells_have_contrast(opened: Opened, scheme: str) -> None:
    opened.page.emulate_media(color_scheme=scheme)
    for name in ("heat-points", "heat-nonsense", "transfer"):
        opened.until_redrawn(name, scheme)
        below = {(m["row"], m["column"]): m["fill"] for m in opened.marks(name, "rect") if m["said"]}
        numbers = opened.marks(name, "text")
        assert len(numbers) == len(below)
        for number in numbers:
            assert contrast(number["fill"], below[number["row"], number["column"]]) >= 4.5
    opened.page.emulate_media(color_scheme="light")


def test_tables_hold_the_numbers_of_the_summary(opened: Opened, compare: Path) -> None:
    result = read(compare)
    assert result.comparison is not None
    table = opened.page.locator("details:has(> summary:text-matches('^All .* arms')) table")
    rows = table.evaluate("t => [...t.tBodies[0].rows].map((r) => [...r.cells].map((c) => c.textContent))")
    assert len(rows) == len(result.arms)
    for name, n, rate, *_ in rows:
        arm = result.arms[name]
        said = [float(v.replace("−", "-")) for v in re.findall(r"[−\d.]+", rate)]
        assert (int(n), said) == (
            arm.n,
            pytest.approx([100 * v for v in (arm.rate_all or 0, *(arm.rate_all_ci or ()))], abs=0.051),
        )
    said, aside = (opened.page.locator(tag).inner_text() for tag in ("h1", ".head .aside"))
    assert f"{said.rstrip('.')} ({aside.rstrip('.')})".lower() == result.comparison.verdict.lower()


@pytest.mark.parametrize("randoms", [3, 19])
def test_page_and_terminal_say_the_same_of_the_controls(
    chromium: Any, tmp_path: Path, randoms: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """The page once took its bound of single arms on all scenarios, the terminal out of fold. Of 19
    directions the 95th percentile is the largest; three have none, and nothing is drawn for it."""
    run = synthetic.sweep_run(
        tmp_path / "run",
        n=12,
        layers=(12, 14, 16),
        magnitudes=(-0.2, 0.2),
        command="compare",
        randoms=randoms,
    )
    opened = Opened(chromium, write([run]).path)
    result = read(run)
    assert result.sweep is not None
    print_result(Screen(), result, run)
    terminal = " ".join(capsys.readouterr().out.split())
    gaps = ("plus-minus", "plus", "minus")
    random = [c.gaps for c in result.sweep.controls if c.kind == "random"]
    bounds = [max(abs(found.points) for c in random if (found := c[gap])) for gap in gaps]
    section = section_of(result, "controls")
    table = section.table
    assert table is not None
    assert [row[0] for row in table.rows[1 : 1 + randoms]] == [f"random {i}" for i in range(randoms)]
    assert "random 2 random" in terminal
    assert ("random 3 random" in terminal, "16 more random directions" in terminal) == (False, randoms == 19)
    assert list(table.rows[-1][2:]) == [f"{bound:.1f}" for bound in bounds]
    assert (
        f"|random|, {'largest' if randoms < 19 else '95th percentile'} of {randoms} "
        + " ".join(table.rows[-1][2:])
        in terminal
    )
    shaded = sorted(opened.marks("controls", "rect"), key=lambda m: m["row"])
    assert [m["high"] for m in shaded] == pytest.approx(
        [b for b in bounds for _ in range(4)] if randoms == 19 else []
    )
    assert [m["low"] for m in shaded] == [-m["high"] for m in shaded]
    assert section.note
    assert section.note in terminal
    assert (
        section.note
        in opened.page.locator("section:has(> h2:text-matches('^Effect and controls'))").inner_text()
    )
    opened.close()


def test_the_transfer_matrix_names_every_place_and_its_intervals(opened: Opened, compare: Path) -> None:
    """It named the first half's cell for numbers of which half are of the other one's."""
    result = read(compare)
    assert result.comparison is not None
    found = result.comparison.transfer
    assert found is not None
    section = section_of(result, "transfer")
    assert "layer 14 ±0.2 and layer 14 ±0.3" in section.title
    ci, value = found.ci[1][2], found.points[1][2]
    assert ci is not None
    assert section.table is not None
    assert section.table.rows[1][3] == f"{value:+.0f} [{ci[0]:.0f}, {ci[1]:.0f}]".replace("-", "−")
    shown = f"{value:+.1f} [{ci[0]:.1f}, {ci[1]:.1f}]".replace("-", "−")
    row, column = found.made_of[1], found.measured_on[2]
    (said,) = [
        m["said"] for m in opened.marks("transfer", "rect") if (m["row"], m["column"]) == (row, column)
    ]
    assert said == f"{row}, measured on {column}\n{shown.replace(' [', ' points [')}"


def test_a_click_on_a_cell_shows_that_cells_answers(opened: Opened, compare: Path) -> None:
    arm = synthetic.cell_name(18, -0.2)
    x, y = next(m["at"] for m in opened.marks("heat-points", "rect") if m["arm"] == arm)
    opened.page.mouse.move(x, y)
    opened.page.locator(".tip", has_text=arm).wait_for()
    opened.page.mouse.click(x, y)
    shown = opened.shown(arm)
    steered, baseline = rows_of(compare, arm), rows_of(compare, "baseline")
    spoken = {label.role: label.name.replace("_", " ") for label in RECORD.labels}
    assert len(shown) == 10
    for item, row, beside in zip(shown, steered, baseline, strict=False):
        assert item["id"] == row.scenario
        assert item["steered"] == visible(row.answer)
        assert item["beside"] == visible(beside.answer)
        assert item["label"] == spoken[row.status]
        assert item["reason"] == f"Judge: {visible(row.reason)}"
    opened.page.click("#reader-more")
    opened.page.wait_for_function("() => document.querySelectorAll('#reader-list .item').length === 12")
    assert opened.faults == []


def test_the_reader_works_by_keyboard_and_filters(opened: Opened, compare: Path) -> None:
    page = opened.page
    table = page.locator("details", has=page.locator("button.link[data-arm='pro']")).first
    table.locator("summary").focus()
    page.keyboard.press("Enter")
    button = table.locator("button.link[data-arm='pro']").first
    button.focus()
    page.keyboard.press("Enter")
    assert len(opened.shown("pro")) == 10
    assert page.evaluate("document.activeElement.id") == "reader-title"
    labels = {r.scenario: r.status for r in rows_of(compare, "baseline")}
    flipped = [r.scenario for r in rows_of(compare, "pro") if r.status != labels[r.scenario]]
    page.select_option("#reader-filter", "changed")
    page.wait_for_function(
        f"() => document.getElementById('reader-count').textContent.startsWith('{len(flipped)} of')"
    )
    assert [item["id"] for item in opened.shown("pro")] == flipped[:10]
    page.keyboard.press("Escape")
    assert not page.evaluate("document.getElementById('reader').open")
    assert page.evaluate("document.activeElement.dataset.arm") == "pro"


def test_hostile_answers_are_text(opened: Opened, compare: Path) -> None:
    shown = {item["id"]: item for item in opened.read("baseline")}
    texts = {r.scenario: (r.answer, r.reason) for r in rows_of(compare, "baseline")}
    assert {text for text, _ in texts.values()} >= set(synthetic.HOSTILE.values())
    for id, item in shown.items():
        assert item["steered"] == visible(texts[id][0])
        assert item["reason"] == f"Judge: {visible(texts[id][1])}"
    assert opened.page.evaluate("window.hacked") is None
    assert opened.page.locator("#reader-list img, #reader-list script, #reader-list a").count() == 0
    assert opened.faults == []


@pytest.fixture(scope="module")
def strange(chromium: Any, compare: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    """A page of two runs: one whose every name is hostile, and one of which only a sample fits."""
    folder = tmp_path_factory.mktemp("strange")
    items = [Scenario(f"{BAD_NAME}#{i}", BAD_NAME, BAD_NAME, BAD_NAME) for i in range(8)]
    arms = {"baseline": (0.5, 0.0), BAD_NAME: (0.9, 0.0)}
    config = synthetic.config_of(
        "suffix", {name: synthetic.arm_config(BAD_NAME if i else "") for i, name in enumerate(arms)}, 8
    )
    config["model"]["name"] = BAD_NAME
    synthetic.write_store(folder / "run", items, arms, config, evidence=BAD_NAME)
    found = synthetic.base_result(folder / "run")
    with RunStore(folder / "run", writable=False) as store:
        gap = metrics.gap(store.outcomes(synthetic.JUDGE), BAD_NAME, "baseline")
    known = JudgeUsed(name=synthetic.JUDGE, known_error=BAD_NAME)
    results.write(folder / "run", found.model_copy(update={"judge": known, "gaps": {BAD_NAME: gap}}))
    (folder / "run" / "run.yaml").write_text(BAD_NAME, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(answers, "BUDGET", 2 * carried_size(compare) // 3)
        report = write([folder / "run", compare], folder / "both.html")
    opened = Opened(chromium, report.path)
    yield opened
    opened.close()


def carried_size(folder: Path) -> int:
    """Characters that every answer of a run takes."""
    with RunStore(folder, writable=False) as store:
        names = store.arms()
        return sum(len(p.data) for p in answers.collect(store, synthetic.JUDGE, names, names).pieces)


def test_hostile_names_are_text(strange: Opened) -> None:
    """Scenario files, suffix files and model folders are strangers' too."""
    for name in ("arms", "gaps", "categories"):
        assert any(visible(BAD_NAME).startswith(m["said"].splitlines()[0][:20]) for m in strange.marks(name))
    hostile = next(m for m in strange.marks("arms") if m["arm"] == BAD_NAME)
    strange.page.mouse.move(*hostile["at"])
    strange.page.locator(".tip", has_text=visible(BAD_NAME)[:50]).wait_for()
    assert strange.page.locator(".tip *").count() == 0
    strange.page.evaluate("name => openReader(0, name)", BAD_NAME)
    assert strange.shown(BAD_NAME)[0]["id"] == visible(f"{BAD_NAME}#0")
    assert strange.page.evaluate("window.hacked") is None
    assert strange.page.locator("main img, dialog img, .plot a").count() == 0
    assert "\u202e" not in strange.page.evaluate("document.body.textContent")
    assert strange.faults == []


def test_two_runs_share_a_page_and_a_sample_is_said_to_be_one(strange: Opened) -> None:
    page = strange.page
    page.evaluate("reader.close()")
    assert page.content().count("window.vegaEmbed=") == 1
    assert page.locator("article[id^='run-']").count() == 2
    assert "a sample of" in page.locator("#run-1 section:has(.command) .fine").inner_text()
    page.evaluate("openReader(1, 'pro')")
    page.wait_for_function("() => document.getElementById('reader').dataset.ready === '1/pro'")
    page.click("#reader-more")
    page.locator("#reader-list .reason:has-text('not in the file')").first.wait_for()
    assert strange.faults == []


def test_no_script_but_the_pages_own_may_run(opened: Opened) -> None:
    opened.page.evaluate(
        """() => { const s = document.createElement('script'); s.textContent = 'window.hacked = 4';
            document.body.append(s); const i = document.createElement('img');
            i.src = 'http://127.0.0.1:9/x.png'; document.body.append(i); }"""
    )
    assert opened.page.evaluate("window.hacked") is None
    assert any("Content Security Policy" in fault for fault in opened.faults)


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_a_phone_needs_no_sideways_scrolling_and_colours_follow_the_scheme(
    opened: Opened, scheme: str
) -> None:
    page = opened.page
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 390, "height": 844})
    for name in ("arms", "heat-points", "dose", "transfer", "categories"):
        opened.until_redrawn(name, scheme, width=390)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    drawn = page.evaluate("document.querySelector('.plot .role-axis-label text').getAttribute('fill')")
    assert (paper, drawn) == {
        "light": ("rgb(255, 255, 255)", "#59626d"),
        "dark": ("rgb(20, 23, 27)", "#a3acb7"),
    }[scheme]
    clipped = """() => [...document.querySelectorAll('.plot svg text')].filter((text) => {
        const box = text.getBoundingClientRect(), plot = text.closest('.plot').getBoundingClientRect();
        return box.width > 0 && (box.left < plot.left - 1 || box.right > plot.right + 1);
    }).map((text) => text.textContent)"""
    assert page.evaluate(clipped) == []
    opened.read("pro")
    assert page.evaluate("document.getElementById('reader').scrollWidth <= window.innerWidth")
    outside = """() => [...document.querySelectorAll('#reader select, #reader button')].filter(
        (control) => control.getBoundingClientRect().right > window.innerWidth).map((c) => c.id)"""
    assert page.evaluate(outside) == []
    assert opened.faults == []
    page.set_viewport_size({"width": 1280, "height": 900})


def test_on_paper_every_figure_is_drawn_and_light(chromium: Any, page_file: Path) -> None:
    opened = Opened(chromium, page_file, scheme="dark")
    page = opened.page
    page.emulate_media(media="print", color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    drawn = page.evaluate(
        """[...document.querySelectorAll('figure[data-figure]')].map((figure) =>
            figure.querySelector('.role-axis-label text')?.getAttribute('fill'))"""
    )
    assert len(drawn) >= 14
    assert set(drawn) == {"#59626d"}
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.set_viewport_size({"width": 700, "height": 900})
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.emulate_media(media="screen", color_scheme="dark")
    opened.until_redrawn("arms", "dark", width=700)
    assert opened.faults == []
    opened.close()


def test_another_group_of_cells_can_be_shown(chromium: Any, compare: Path, tmp_path: Path) -> None:
    """Several vectors, spans or operations have a grid each, of which one is drawn."""
    folder = tmp_path / "run"
    shutil.copytree(compare, folder)
    result = read(folder)
    assert result.sweep is not None
    cells = [
        cell.model_copy(update={"span": BAD_NAME}) if cell.layer == 18 else cell
        for cell in result.sweep.cells
    ]
    sweep = result.sweep.model_copy(update={"cells": tuple(cells)})
    results.write(folder, result.model_copy(update={"sweep": sweep}))
    opened = Opened(chromium, write([folder]).path)
    for name in ("heat-points", "dose"):
        kind = "symbol" if name == "dose" else "rect"
        first = {m["arm"] for m in opened.marks(name, kind)}
        choice = opened.figure(name).locator("select")
        choice.select_option(index=1)
        opened.page.wait_for_timeout(0)
        second = {m["arm"] for m in opened.marks(name, kind)}
        assert synthetic.cell_name(14, 0.2) in first - second
        assert synthetic.cell_name(18, 0.2) in second - first
    assert opened.page.evaluate("window.hacked") is None
    assert opened.faults == []
    opened.close()


def test_a_screen_reader_finds_names_and_tables(opened: Opened) -> None:
    page = opened.page
    said = [m["said"] for m in opened.marks("arms")]
    assert len(said) >= 16
    assert all(re.fullmatch(r".+\n[\d.]+ % of (all|valid) \[.+\]", text) for text in said)
    plot = opened.figure("arms")
    assert plot.get_attribute("aria-roledescription") == "visualization"
    assert plot.get_attribute("aria-label").endswith("denominators; the table below holds the same numbers")
    assert page.evaluate("document.documentElement.lang") == "en"
    unnamed = "[...document.querySelectorAll('.plot')].filter((p) => !p.getAttribute('aria-label')).length"
    assert page.evaluate(unnamed) == 0
    arms = set(page.evaluate("page.runs[0].arms.map((a) => a.name)"))
    links = page.evaluate("[...document.querySelectorAll('button.link')].map((b) => b.dataset.arm)")
    assert arms == set(links)  # every arm's answers can be reached without a figure
    levels = page.evaluate(
        "[...document.querySelectorAll('main h1, main h2, main h3')].map((h) => h.tagName)"
    )
    assert levels.count("H1") == 1
    assert levels[0] == "H1"
    assert page.locator("th:not([scope])").count() == 0


# --- what the page says --------------------------------------------------------------------


def test_the_page_states_judge_error_evidence_and_how_to_repeat_it(compare: Path, page_file: Path) -> None:
    html = page_file.read_text(encoding="utf-8")
    body = html[html.index("<body>") :]
    assert "planted fixture" in body[:400]
    assert "accuracy 0.80 on 200 labelled answers" in body
    assert f"python cli.py compare --config {compare / 'run.yaml'}" in body
    assert "Every answer of the run is in this file." in body
    reader = body[body.index('<dialog id="reader"') :]
    assert 'class="tag">planted fixture' in reader
    assert body.count('class="tag">planted fixture') == body.count("<figure ") + 1


def test_items_that_moved_the_wrong_way_are_as_many_as_the_summary_counts(tmp_path: Path) -> None:
    folder = synthetic.suffix_run(tmp_path / "run", n=60)
    result = read(folder)
    with RunStore(folder, writable=False) as store:
        found = sections(result, list(result.arms), outcomes=store.outcomes(synthetic.JUDGE))
    table = next(one for one in found if one.name == "items").table
    assert table is not None
    listed = {row[0].removeprefix("wrong way, "): int(row[1]) for row in table.rows}
    counted = {name: gap.wrong_way for name, gap in result.gaps.items() if gap.wrong_way}
    assert {k: v for k, v in listed.items() if not k.startswith(("cannot", "never"))} == counted
    with RunStore(folder, writable=False) as store:
        moved = {o.scenario for o in store.outcomes(synthetic.JUDGE) if o.status == "hit"}
    never = next((row for row in table.rows if row[0].startswith("never")), ("", "0"))
    assert int(never[1]) == 60 - len(moved)
    always = next((row for row in table.rows if row[0].startswith("cannot move")), ("", "0"))
    assert int(always[1]) == next(iter(result.gaps.values())).cannot_move


@pytest.fixture(scope="module")
def suffixes(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return read(synthetic.suffix_run(tmp_path_factory.mktemp("suffixes") / "run", n=6))


@pytest.mark.parametrize(
    ("points", "ci", "said"),
    [
        (24.0, (10.0, 38.0), "rises by 24.0 points"),
        (-24.0, (-38.0, -10.0), "falls by 24.0 points"),
        (4.0, (-10.0, 18.0), "no clear effect"),
        (None, None, "no estimate"),
    ],
)
def test_the_headline_follows_the_interval(
    suffixes: Result, points: float | None, ci: tuple[float, float] | None, said: str
) -> None:
    gap = replace(
        suffixes.gaps["pro-anti"], points_all=points, ci_all=ci, points_valid=42.0, ci_valid=(30.0, 55.0)
    )
    found = headline(suffixes.model_copy(update={"gaps": {"pro-anti": gap}}))
    assert said in found.sentence
    assert "+42.0 [30.0, 55.0] over valid ones" in found.details[0]


def test_a_sweep_without_a_choice_says_which_cell_was_nearest_and_what_speaks_against_its_vector(
    suffixes: Result, capsys: pytest.CaptureFixture[str]
) -> None:
    choice = Choice(cap=CapUsed(nonsense=0.1, drift=None), none="no cell is under the cap")
    sweep = Sweep(cells=(), halves={}, choice=choice, vector_flags=("layer 3: AUC 0.5",))
    result = suffixes.model_copy(update={"sweep": sweep})
    found = headline(result)
    assert found.sentence == "No cell is under the cap."
    assert found.details == ("Vector flagged, layer 3: AUC 0.5.",)
    print_result(Screen(), result, "here")
    printed = capsys.readouterr().out
    assert printed.startswith(
        "No cell is under the cap. · evidence: planted fixture\nVector flagged, layer 3"
    )


def test_another_judge_is_compared(tmp_path: Path) -> None:
    folder = synthetic.suffix_run(tmp_path / "run", n=24)
    with RunStore(folder) as store:
        sql = "SELECT response, role FROM verdicts ORDER BY response"
        found = list(store.query(sql))
        given = ["invalid" if i % 10 == 3 else "hit" if i % 4 == 0 else x for i, (_, x) in enumerate(found)]
        other = [(k, k, Verdict(label)) for (k, _), label in zip(found, given, strict=True)]
        store.add_verdicts("other-judge", other)
    from sklearn.metrics import cohen_kappa_score

    both = [(mine, theirs) for (_, mine), theirs in zip(found, given, strict=True) if theirs != "invalid"]
    kappa = cohen_kappa_score(*zip(*both, strict=True))
    run = view.load(folder, budget=10**7)
    table = next(one.table for one in run.sections if one.name == "agreement")
    assert table is not None
    row = table.rows[0]
    assert row[:3] == ("other-judge", str(len(both)), str(len(found) - len(both)))
    assert float(row[4]) == pytest.approx(kappa, abs=0.006)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_have_contrast(scheme: str) -> None:
    """WCAG 2.1: 4.5 for text, 3 for marks, on the page's own background."""
    blocks = re.findall(r":root \{(.*?)\}", look.styles(), re.S)
    found = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", blocks[0 if scheme == "light" else 1]))

    def between(a: str, b: str) -> float:
        return contrast(found[a], found[b])

    for name in ("ink", "muted", "suffix", "vector", "both", "base", "up", "down"):
        assert between(name, "paper") >= 4.5, name
    assert between("warn-ink", "warn") >= 4.5
    assert between("depth", "middle") >= 3
    assert between("focus", "paper") >= 3


# --- which answers it carries --------------------------------------------------------------


def unpack(piece: answers.Piece) -> list[Any]:
    return json.loads(gzip.decompress(base64.b64decode(piece.data)))


def test_what_matters_is_whole_and_the_rest_is_the_same_sample_for_every_arm(compare: Path) -> None:
    matter = ["baseline", "pro", "anti"]
    with RunStore(compare, writable=False) as store:
        names = store.arms()
        everything = answers.collect(store, synthetic.JUDGE, names, matter)
        size = {piece.arm: len(piece.data) for piece in everything.pieces}
        budget = sum(size[name] for name in matter) + sum(size.values()) // 4
        some = answers.collect(store, synthetic.JUDGE, names, matter, budget=budget)
    assert everything.sampled == everything.scenarios == 12
    assert some.whole == tuple(matter)
    assert 0 < some.sampled < 12
    assert sum(len(piece.data) for piece in some.pieces) <= budget
    drawn = {piece.arm: {row[0] for row in unpack(piece)} for piece in some.pieces}
    assert all(len(drawn[name]) == 12 for name in matter)
    rest = [drawn[name] for name in names if name not in matter]
    assert all(found == rest[0] for found in rest)
    assert f"a sample of {some.sampled} of 12 scenarios (seed 0" in some.note
    assert "every answer of 3 arms" in some.note


def test_when_even_that_is_too_much_all_arms_are_sampled(compare: Path) -> None:
    with RunStore(compare, writable=False) as store:
        names = store.arms()
        found = answers.collect(store, synthetic.JUDGE, names, names, budget=carried_size(compare) // 3)
    assert found.whole == ()
    assert 0 < found.sampled < 12
    assert len(found.pieces) == len(names)
    assert "the answers to a sample of" in found.note


def test_a_folder_without_a_summary_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no summary.json in .*finished run"):
        write([tmp_path])
    (tmp_path / "summary.json").write_text("{", encoding="utf-8")
    with pytest.raises(UserError, match="not JSON"):
        write([tmp_path])
    with pytest.raises(UserError, match="no run given"):
        write([])
