"""hw/rtl/vector_engine.sv equals hw/golden_vector.py bit for bit, with the table port granted always or at random."""

import pytest


@pytest.mark.parametrize("grant_share", ["1", "0.4"])
def test_matches_golden(run_rtl, grant_share):
    run_rtl("vector_engine", "rtl_vector_engine", {"G": 4}, {"GRANT_SHARE": grant_share})
