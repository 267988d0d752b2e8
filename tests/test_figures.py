"""Static figures and Markdown tables: there, non-trivial, saying what the summary says, and inert."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from experiments import reporting
from steer.results import read
from steer.show import figures, files, markdown
from steer.show.figures import dose, look, rows
from steer.show.table import Table
from tests import synthetic

HOSTILE = "a|b `c` <script>x</script> [l](javascript:1) **b** \x1b[31m \u202e $x^2$"


@pytest.fixture(scope="module")
def compare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("figures") / "run"
    return synthetic.sweep_run(folder, n=12, layers=(12, 14), magnitudes=(-0.2, 0.2), command="compare")


@pytest.fixture(scope="module")
def drawn(compare: Path) -> dict[str, figures.Figure]:
    return figures.figures_of(read(compare))


@pytest.fixture(scope="module")
def written(compare: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a command's figures, some of them."""
    out = tmp_path_factory.mktemp("written")
    files.write_figures(compare, out)
    return out


def test_every_figure_is_written_three_times_and_names_the_fixture(
    written: Path, drawn: dict[str, figures.Figure]
) -> None:
    assert {"arms", "heat-drift", "dose", "controls", "tug-1", "frontier-drift", "transfer"} < drawn.keys()
    files = {f"{name}.{suffix}" for name in drawn for suffix in ("svg", "png", "pdf")} | {"tables.md"}
    assert {path.name for path in written.iterdir()} == files
    for path in written.glob("*.svg"):
        text = "".join(ElementTree.parse(path).getroot().itertext())
        assert "planted fixture" in text
    for path in written.glob("*.png"):
        content = path.read_bytes()
        assert content.startswith(b"\x89PNG")
        assert int.from_bytes(content[16:20]) == pytest.approx(2 * 640, abs=200)  # its width
        assert len(content) > 3000
    for path in written.glob("*.pdf"):
        assert path.read_bytes().startswith(b"%PDF")
        assert path.stat().st_size > 3000


def test_files_say_the_numbers_of_the_summary(compare: Path, written: Path) -> None:
    result = read(compare)
    assert result.sweep is not None
    said = {
        name: [
            e.get("aria-label")
            for e in ElementTree.parse(written / f"{name}.svg").iter()
            if e.get("aria-label")
        ]
        for name in ("arms", "heat-points")
    }
    for name in ("baseline", "pro", "anti", *result.sweep.choice.chosen_arms):
        arm = result.arms[name]
        assert arm.rate_all is not None
        low, high = (100 * end for end in arm.rate_all_ci or ())
        assert f"{name}\n{100 * arm.rate_all:.1f} % of all [{low:.1f}, {high:.1f}]" in said["arms"]
    for cell in result.sweep.cells:
        points, (low, high) = cell.gap.points_all, cell.gap.ci_all or (0, 0)
        text = f"{points:+.1f} points [{low:.1f}, {high:.1f}]".replace("-", "−")
        assert f"{cell.arm}\n{text}" in said["heat-points"]


def test_specifications_are_valid_and_finite(drawn: dict[str, figures.Figure]) -> None:
    """The page skips this check, which takes longer than drawing does."""
    for figure in drawn.values():
        figure.drawing.chart.to_dict()  # raises what the schema of Vega-Lite has against it
        json.dumps(figure.embedded(), allow_nan=False)
        assert figure.label
        assert figure.caption.endswith(".")


def test_the_lines_across_the_doses_are_few_and_named_within_the_axes(
    compare: Path, drawn: dict[str, figures.Figure]
) -> None:
    assert any("paraphrase" in name for name in read(compare).arms)
    named = {note["text"]: note["y"] for note in drawn["dose"].drawing.data["names"]}
    assert set(named) == {"baseline", "neutral", "pro", "anti"}
    assert max(named.values()) < dose.TOP
    heights = sorted(named.values())
    assert min(b - a for a, b in pairwise(heights)) >= dose.APART - 1e-9


def test_names_of_arms_may_be_equal_where_they_are_cut() -> None:
    """A row is known by its number: two long names of one beginning are two rows."""
    long = [f"{'x' * 90}{end}" for end in "ab"]
    made = rows.chart(long, [rows.Mark(i, float(i), None, look.CONTROL, "") for i in range(2)], "points")
    assert [datum["row"] for datum in made.data["marks"]] == [0, 1]


def test_markdown_holds_headline_judge_evidence_and_rates(compare: Path) -> None:
    result = read(compare)
    assert result.comparison is not None
    text = markdown.markdown(compare)
    verdict, _, figures_of = result.comparison.verdict.removesuffix(")").partition(" (")
    assert text.lower().startswith(f"# {verdict}.\n\n{figures_of}.\n".lower())
    assert "**Evidence: planted fixture.**" in text
    assert "accuracy 0.80 on 200 labelled answers" in text
    for name, arm in result.arms.items():
        if arm.kind == "suffix":
            assert f"| {name} | {arm.n} | {100 * (arm.rate_all or 0):.1f} \\[" in text


def test_markdown_tables_keep_strangers_text_inert() -> None:
    lines = markdown.table_lines(Table(("arm", "n"), ((HOSTILE, "1"),)))
    assert len(lines) == 3
    unescaped = lines[2].replace("\\|", "")
    assert unescaped.count("|") == 3
    assert "<" not in lines[2]
    assert "\x1b" not in lines[2]
    assert "\u202e" not in lines[2]
    assert "\\[l\\](javascript:1)" in lines[2]


def test_the_report_command_says_where_everything_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = synthetic.suffix_run(tmp_path / "run", n=6)
    page = reporting.report([run], out=tmp_path / "page.html", figures=tmp_path / "figures")
    printed = capsys.readouterr()
    assert page.is_file()
    assert f"report: {page}" in printed.out
    assert "10 files" in printed.out  # arms, gaps and categories, three times, and the tables
    assert "Every answer of the run is in this file." in printed.err


def test_the_export_command_says_how_many_rows(
    compare: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = reporting.export(compare, format="jsonl", out=tmp_path / "rows.jsonl")
    lines = path.read_text(encoding="utf-8").splitlines()
    assert f"{len(lines)} rows: {path}" in capsys.readouterr().out
