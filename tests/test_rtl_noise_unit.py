"""hw/rtl/noise_unit.sv equals algo.arithmetic.noise16 bit for bit, in a stream with gaps."""


def test_matches_noise16(run_rtl):
    run_rtl("noise_unit", "rtl_noise_unit", {"G": 4})
