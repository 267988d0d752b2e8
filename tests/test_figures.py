"""Static figures and Markdown tables: there, non-trivial, saying what the summary says, and inert."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from experiments import reporting
from steer import figures, markdown
from steer.errors import UserError
from steer.report import view
from steer.report.table import Table
from tests import synthetic

HOSTILE = "a|b `c` <script>x</script> [l](javascript:1) **b** \x1b[31m \u202e $x^2$"


@pytest.fixture(scope="module")
def compare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("figures") / "run"
    return synthetic.sweep_run(folder, n=12, layers=(12, 14), magnitudes=(-0.2, 0.2), command="compare")


def test_every_figure_is_written_twice_and_names_the_fixture(compare: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    paths = figures.write_figures(compare, tmp_path)
    assert {p.name for p in paths} == {f"{n}.{s}" for n in figures.FIGURES for s in ("svg", "png")} | {
        "tables.md"
    }
    for path in paths:
        assert path.stat().st_size > 1000
    for path in tmp_path.glob("*.svg"):
        text = "".join(ElementTree.parse(path).getroot().itertext())
        assert "planted fixture" in text


def test_figures_show_the_numbers_of_the_summary(compare: Path) -> None:
    pytest.importorskip("matplotlib")
    summary = view.read_summary(compare)
    found = figures.arms_figure(summary)
    assert found is not None
    drawn = {
        round(float(line.get_xdata()[0]), 6) for line in found.axes[0].lines if len(line.get_xdata()) == 1
    }
    shown = ("baseline", "pro", "anti", *summary["choice"]["chosen_arms"])
    assert {round(100 * summary["arms"][name]["rate_all"], 6) for name in shown} <= drawn
    heat = figures.heat_figure(summary)
    assert heat is not None
    texts = [text.get_text() for text in heat.axes[0].texts]
    assert sorted(texts) == sorted(f"{c['points_all']:+.0f}".replace("-", "−") for c in summary["cells"])
    assert len(heat.axes[0].patches) == len(summary["choice"]["chosen_arms"])


def test_the_lines_across_the_doses_are_few_and_named_within_the_axes(compare: Path) -> None:
    pytest.importorskip("matplotlib")
    summary = view.read_summary(compare)
    assert any("paraphrase" in name for name in summary["arms"])
    dose = figures.dose_figure(summary)
    assert dose is not None
    upper = dose.axes[0]
    named = {
        text.get_text(): text.get_position()[1] for text in upper.texts if "layer" not in text.get_text()
    }
    assert set(named) == {"baseline", "neutral", "pro", "anti"}
    assert max(named.values()) < upper.get_ylim()[1]


def test_markdown_holds_headline_judge_evidence_and_rates(compare: Path) -> None:
    summary = view.read_summary(compare)
    text = markdown.markdown(compare)
    verdict, _, figures_of = summary["verdict"].replace("-", "−").removesuffix(")").partition(" (")
    shown = text.replace("-", "−").lower()
    assert shown.startswith(f"# {verdict}.\n\n{figures_of}.\n".lower())
    assert "**Evidence: planted fixture.**" in text
    assert "accuracy 0.80 on 200 labelled answers" in text
    for name, arm in summary["arms"].items():
        if summary["arm_kinds"][name] == "suffix":
            assert f"| {name} | {arm['n']} | {100 * arm['rate_all']:.1f} |" in text


def test_markdown_tables_keep_strangers_text_inert() -> None:
    lines = markdown.table_lines(Table(("arm", "n"), ((HOSTILE, "1"),)))
    assert len(lines) == 3
    unescaped = lines[2].replace("\\|", "")
    assert unescaped.count("|") == 3
    assert "<" not in lines[2]
    assert "\x1b" not in lines[2]
    assert "\u202e" not in lines[2]
    assert "\\[l\\](javascript:1)" in lines[2]


def test_without_matplotlib_the_error_names_the_extra(
    compare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UserError, match=r"pip install -e '\.\[figures\]'"):
        figures.write_figures(compare, tmp_path)


def test_the_report_command_says_where_everything_is(
    compare: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    page = reporting.report([compare], out=tmp_path / "page.html", figures=tmp_path / "figures")
    printed = capsys.readouterr()
    assert page.is_file()
    assert f"report: {page}" in printed.out
    assert "17 files" in printed.out
    assert "Every answer of the run is in this file." in printed.err


def test_the_export_command_says_how_many_rows(
    compare: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = reporting.export(compare, format="jsonl", out=tmp_path / "rows.jsonl")
    lines = path.read_text(encoding="utf-8").splitlines()
    assert f"{len(lines)} rows: {path}" in capsys.readouterr().out
