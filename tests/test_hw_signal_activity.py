"""Signal activity of the simulated core at work: a SAIF file whose times add up, under the path that Vivado's script strips."""

import re

import pytest

from hw.config import load_config
from hw.signal_activity import PRODUCTS, ActivityError, record
from hw.vivado_script import ACTIVITY_ROOT


def test_record_of_three_products(tmp_path):
    config = load_config("tiny")
    cycles = record(config, tmp_path / "core.saif")
    text = (tmp_path / "core.saif").read_text()
    assert set(cycles) == set(PRODUCTS) and all(1000 < number < 20_000 for number in cycles.values())

    # Instances by their depth: the path that the tool is told to strip is the first of each.
    instances = re.findall(r"^( *)\(INSTANCE (\S+)", text, re.MULTILINE)
    assert "/".join(name for _, name in instances[:2]) == ACTIVITY_ROOT and len(instances) > 50
    duration = int(re.search(r"\(DURATION (\d+)\)", text).group(1))
    nets = re.findall(r"\((\S+) \(T0 (\d+)\) \(T1 (\d+)\) \(TZ 0\) \(TX 0\) \(TB 0\) \(TC (\d+)\)\)", text)
    assert len(nets) > 10_000 and {int(low) + int(high) for _, low, high, _ in nets} == {duration}
    clock_edges = next(int(count) for name, _, _, count in nets if name == "clk_i")
    period_ps = round(1e12 / config.clk_hz)
    assert abs(clock_edges * period_ps // 2 - duration) <= 2 * period_ps
    assert sum(cycles.values()) <= clock_edges // 2 < sum(cycles.values()) + 1000
    products = [int(count) for name, _, _, count in nets if "product" in name]
    assert sum(count > 100 for count in products) > 100

    with pytest.raises(ActivityError, match="cannot be written"):
        record(config, tmp_path / "missing" / "core.saif")
