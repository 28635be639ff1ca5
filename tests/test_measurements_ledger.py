"""Three ledgers that are never turned into each other, counted from products and decisions; identities of published ledgers."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import pytest

from algo.export import build_step
from algo.gates import Gating
from algo.models import digits_network
from algo.models_cifar import cifar_resnet
from algo.policies.method import Method
from host.run_folder import RunFolder
from measurements.ledger import BitScaledLedger, EnergyLedger, LedgerError, MacLedger
from measurements.ledger_macs import GATES, bit_scaled_ledger, mac_ledger, run_ledgers, segments_of
from measurements.ledger_run import ledgers_of
from measurements.quantities import LabelError
from measurements.report_parts import ReportError

RUN = 64_000
BATCH = 128


def digits(**options):
    return build_step(digits_network(0), (1, 8, 8), 32, **options)


@pytest.fixture(scope="module")
def resnets():
    return {depth: build_step(cifar_resnet(0, depth), (3, 32, 32), BATCH) for depth in (38, 74, 110)}


@pytest.mark.parametrize(("depth", "published"), [(74, 4.13e15), (38, 2.05e15), (110, 6.22e15)])
def test_identity_macs_of_a_published_full_run(resnets, depth, published):
    total = mac_ledger(resnets[depth], BATCH).times(RUN).total
    assert total == pytest.approx(published, rel=0.005)
    forward = {38: 83.3e6, 74: 168.2e6, 110: 253.1e6}
    assert mac_ledger(resnets[depth], 1).by_work()["forward"] == pytest.approx(forward[depth], rel=0.001)


@pytest.mark.parametrize(("depth", "published"), [(74, 2.58e14), (38, 1.28e14)])
def test_identity_bit_scaled_macs_of_fractrains_8_bit_baseline(resnets, depth, published):
    assert float(bit_scaled_ledger(resnets[depth], BATCH).times(RUN).total) == pytest.approx(published, rel=0.02)


@pytest.mark.parametrize(("skipped", "published"), [("1/5", 80.27), ("2/5", 85.20), ("3/5", 90.13)])
def test_identity_e2_trains_computational_saving_is_a_product(skipped, published):
    papers_product_factor = Fraction("0.370")
    saving = 1 - Fraction(2, 3) * (1 - Fraction(skipped)) * papers_product_factor
    assert round(100 * float(saving), 2) == published


def three_products(forward, backward):
    """Bits by bits of a layer's products: forward, and two of the same size backward."""
    return forward * forward + 2 * forward * backward


@pytest.mark.parametrize(("lowest", "highest", "backward", "published"), [(3, 8, 8, 36.67), (3, 6, 6, 30.05)])
def test_identity_cpts_saving_is_its_schedule(lowest, highest, backward, published):
    settings = {"cpt": {"lowest": lowest, "highest": highest, "backward": backward}}
    course = Method.from_settings("cpt", settings).begin(0, RUN)
    spent = sum(three_products(*course.decide(iteration).bits) for iteration in range(RUN))
    assert 100 * (1 - spent / (RUN * three_products(highest, backward))) == pytest.approx(published, abs=0.05)


def test_e2_trains_ledger_is_a_product_where_all_three_parts_act():
    """Weight gradients of gated blocks: mini-batches executed, samples that run, bits of the predictor over those of int8."""
    method, drawn, images, run = Method.from_settings("e2train"), 40, 8, 6
    steps = [
        build_step(cifar_resnet(0, 14, width=4), (3, 8, 8), images, update, gating)
        for update, gating in (("gradient", None), (method.update_rule, Gating(True, True)))
    ]
    executed = sum(method.begin(3, drawn, None, steps[1].gated_blocks).executes(i) for i in range(drawn))
    ran = segments_of(steps[1], images) | {
        name: run for part in steps[1].sequence if part.block >= 0 for name in (part.forward, part.backward)
    }
    ours = run_ledgers(steps[1], [{"images": images, "images_by_segment": ran}] * executed, method)
    plain = run_ledgers(steps[0], [{"images": images}] * drawn)
    usage, predictor, share = Fraction(run, images), Fraction(4 * 4, 8 * 8), Fraction(executed, drawn)
    gated = {name.rpartition(".")[0] for name, _ in steps[1].gated_blocks}
    assert len(gated) == 5 and 0 < executed < drawn
    for layer in (f"{block}.{conv}" for block in gated for conv in ("conv1", "conv2")):
        for ledger, factor in ((0, 1), (1, predictor)):
            left = Fraction(ours[ledger].amounts[layer, "grad_weight"]) / plain[ledger].amounts[layer, "grad_weight"]
            assert left == share * usage * factor
        assert Fraction(ours[1].amounts[layer, "forward"]) / plain[1].amounts[layer, "forward"] == share * usage
    for layer in ("blocks.2.shortcut.0", "blocks.4.shortcut.0"):
        assert Fraction(ours[0].amounts[layer, "grad_input"]) / plain[0].amounts[layer, "grad_input"] == share


def test_macs_of_a_step_by_layer_and_product():
    ledger = mac_ledger(digits(), 32)
    assert ledger.amounts["conv", "forward"] == ledger.amounts["conv", "grad_weight"] == 32 * 16 * 9 * 64
    assert ("conv", "grad_input") not in ledger.amounts, "nothing is behind the images"
    assert ledger.amounts["linear", "grad_input"] == 32 * 32 * 10
    assert sum(ledger.by_layer().values()) == sum(ledger.by_work().values()) == ledger.total
    assert mac_ledger(digits(), 8).times(4).total == ledger.total


def test_bits_scale_each_product_by_its_operands():
    full, low = bit_scaled_ledger(digits(), 4), bit_scaled_ledger(digits(), 4, (4, 6))
    macs = mac_ledger(digits(), 4).amounts
    layer = "blocks.0.conv1"
    for work, pair in (("forward", 4 * 4), ("grad_input", 6 * 4), ("grad_weight", 4 * 6)):
        assert low.amounts[layer, work] == Fraction(macs[layer, work] * pair, 1024)
        assert full.amounts[layer, work] == Fraction(macs[layer, work] * 64, 1024)
    assert low.amounts["conv", "forward"] == Fraction(macs["conv", "forward"] * 8 * 4, 1024), "images have 8 bits"


@pytest.mark.parametrize("beta", ["1/20", 0], ids=["threshold", "every predicted sign"])
def test_predicted_gradients_count_at_the_predictors_bits(beta):
    method = Method.from_settings("psg_abstain", {"psg_abstain": {"x_bits": 3, "g_bits": 5, "beta": beta}})
    step = digits(update=method.update_rule)
    ledger, macs = bit_scaled_ledger(step, 4, method=method), mac_ledger(step, 4)
    assert ledger.amounts["blocks.0.conv1", "grad_weight"] == Fraction(macs.amounts["blocks.0.conv1", "grad_weight"] * 15, 1024)
    assert ledger.amounts["linear", "grad_weight"] == Fraction(macs.amounts["linear", "grad_weight"] * 64, 1024)


def test_gradients_of_two_bytes_count_at_16_bits():
    method = Method.from_settings("psg_abstain", {"psg_abstain": {"g_bits": 10, "gradient_bits": 16}})
    step = digits(update=method.update_rule)
    ledger, macs = bit_scaled_ledger(step, 4, method=method).amounts, mac_ledger(step, 4).amounts
    assert macs == mac_ledger(digits(), 4).amounts
    for layer, work, bits in (
        ("blocks.0.conv1", "forward", 8 * 8), ("blocks.0.conv1", "grad_input", 16 * 8), ("blocks.0.conv1", "grad_weight", 4 * 10),
        ("linear", "grad_weight", 8 * 16),
    ):  # fmt: skip
        assert ledger[layer, work] == Fraction(macs[layer, work] * bits, 1024)


def test_skipped_images_and_dropped_iterations_cost_nothing_and_gates_cost_what_they_compute():
    step = build_step(cifar_resnet(0, 14, width=4), (3, 8, 8), 8, gated=Gating(True, True))
    (block,) = (part for part in step.sequence if part.block == 0)
    everything = segments_of(step, 8)
    fewer = dict(everything) | {block.forward: 3, block.backward: 3}
    none = {name: count for name, count in everything.items() if name not in (block.forward, block.backward)}
    total = mac_ledger(step, everything).total
    of_block = total - mac_ledger(step, none).total
    assert of_block > 0 and total - mac_ledger(step, fewer).total == of_block * 5 / 8
    slu = Method.from_settings("slu")
    gates = mac_ledger(step, everything, slu).by_layer()[GATES]
    assert mac_ledger(step, everything, slu).by_work()["forward"] == mac_ledger(step, everything).by_work()["forward"]
    assert gates == 3 * 8 * sum(10 * (c + 1) + 40 * 21 + 11 for _, c in step.gated_blocks)
    lines = [{"images": 8, "images_by_segment": everything}, {"images": 8, "images_by_segment": fewer, "bits": [4, 8]}]
    macs, scaled = run_ledgers(step, lines, slu)
    assert macs.total == mac_ledger(step, everything, slu).total + mac_ledger(step, fewer, slu).total
    bits = bit_scaled_ledger(step, everything, method=slu), bit_scaled_ledger(step, fewer, (4, 8), slu)
    assert scaled.total == bits[0].total + bits[1].total


def test_ledgers_are_never_put_together_with_another_kind():
    macs, scaled = MacLedger({("a", "forward"): 4}), BitScaledLedger({("a", "forward"): Fraction(1, 4)})
    joules = {label: EnergyLedger({("a", "all"): 2.0}, label=label) for label in ("simulated", "emulated", "measured")}
    for one, other in ((macs, scaled), (macs, joules["simulated"]), (joules["emulated"], joules["measured"]), (macs, 4)):
        for act in (lambda a, b: a + b, lambda a, b: a.saved_against(b)):
            with pytest.raises(LedgerError, match="its own kind only"):
                act(one, other)
    assert (macs + macs).total == 8 and macs.saved_against(macs.times(4)) == 0.75
    assert (joules["measured"] + joules["measured"]).label == "measured"
    with pytest.raises(LabelError, match="estimated"):
        EnergyLedger(label="estimated")


def test_what_a_ledger_says_as_json():
    ledger = MacLedger({("a", "forward"): 4, ("a", "grad_input"): 2, ("b", "forward"): 1}, "smd")
    assert ledger.to_json() == {
        "unit": "MAC", "method": "smd", "total": 7, "by_work": {"forward": 5, "grad_input": 2},
        "by_layer": {"a": {"forward": 4, "grad_input": 2}, "b": {"forward": 1}},
    }  # fmt: skip
    assert dataclasses.replace(ledger, method="").to_json()["method"] == ""


def test_a_run_that_did_not_finish_has_no_ledgers(tmp_path):
    with pytest.raises(KeyboardInterrupt), RunFolder(tmp_path / "run", {"trace": "trace.sqlite"}):
        raise KeyboardInterrupt
    with pytest.raises(ReportError, match="is aborted: ledgers are of runs that have finished"):
        ledgers_of(tmp_path / "run")


def test_a_run_without_a_program_says_what_has_ledgers(tmp_path):
    with RunFolder(tmp_path / "run", {"benchmark": "train"}) as folder:
        folder.append({"iteration": 0, "loss": 1.0, "images": 8})
        folder.update(result={"accuracy": 0.5})
    with pytest.raises(ReportError, match="holds no program to count: .* 'joulegrad bench' and 'joulegrad train --price'"):
        ledgers_of(tmp_path / "run")
