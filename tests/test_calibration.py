"""The short form of `benchmarks/calibration.py`: seeded, through the code that reports."""

from __future__ import annotations

from benchmarks import calibration, nulls

GRID = calibration.cells(layers=(13, 15, 17), sizes=(0.1, 0.3, 0.45))


def test_the_reported_p_of_a_chosen_cell_is_calibrated_when_nothing_works():
    found = calibration.sweeps(100, points=0, r=0.5, grid=GRID, seed=11)
    assert found["reported"] == 100
    assert (found["p < 0.05, cross-fitted"] or 0) <= 0.06
    # What cross-fitting is for: where the choice is made, nothing looks like something.
    assert (found["mean points when selecting"] or 0) > 5
    assert abs(found["mean points reported"] or 0) < 2


def test_a_screen_on_other_scenarios_leaves_it_calibrated():
    found = calibration.sweeps(100, points=0, r=0.5, grid=GRID, seed=15, keep=4)
    assert (found["p < 0.05, cross-fitted"] or 0) <= 0.06
    assert abs(found["mean points reported"] or 0) < 2


def test_a_30_point_effect_is_found_with_76_scenarios():
    found = calibration.sweeps(25, points=30, r=0.5, grid=GRID, seed=12)
    assert (found["p < 0.05, cross-fitted"] or 0) >= 0.8


def test_the_exchange_rates_interval_covers():
    found = calibration.exchange_coverage(20, r=0.5, share=1.0, seed=13, bootstrap=False)
    assert sum(curve["coverage"] or 0 for curve in found.values()) / len(found) >= 0.95
    assert min(curve["coverage"] or 0 for curve in found.values()) >= 0.93 - 3 * (0.93 * 0.07 / 20) ** 0.5


def test_the_interval_of_the_kept_share_covers():
    found = calibration.tug_coverage(40, r=0.5, seed=14)["0.4, 0.9, 0.05, 0.05"]
    assert (found["coverage"] or 0) >= 0.93
    assert (found["estimates"] or 0) >= 0.95


def test_a_vector_that_is_one_of_the_nulls_is_called_beyond_them_no_more_often_than_promised():
    found = nulls.world(100, 0.4, 1.0, r=0.5, way=(False, False), seed=22)
    assert (found["p <= 0.05"] or 0) <= 0.06
    assert (found["Kolmogorov-Smirnov p"] or 0) > 0.01


def test_nulls_that_choose_their_own_cells_make_p_uniform_where_every_layer_is_for_itself():
    pushed, _, alike = nulls.WAYS.values()
    found, ahead = (nulls.world(60, 0.4, 0.0, r=0.5, way=way, seed=22) for way in (alike, pushed))
    assert (ahead["Kolmogorov-Smirnov p"] or 0) < 0.01 < (found["Kolmogorov-Smirnov p"] or 0)
    assert (found["p <= 0.05"] or 0) <= 0.06
