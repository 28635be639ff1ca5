"""Meters that are asked: UM24C, UM25C, UM34C; Korad KA3005P; SCPI supplies."""

from __future__ import annotations

import functools
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from serial_meter import ScriptedPort, begun

from host.meter_limits import MeterLimits
from host.meter_protocol import protocol_named
from host.scpi_meter import number
from host.sensor import SensorError


def um_answer(model: int, volts: int, amperes: int, watts: int) -> bytes:
    return struct.pack(">HHHI", model, volts, amperes, watts) + bytes(120)


UM = {0x0963: (512, 1500, 7680), 0x09C9: (5120, 15000, 7680), 0x0D4C: (512, 1500, 7680)}


@pytest.mark.fault(25)
@pytest.mark.parametrize("model", list(UM))
def test_um_meters_are_scaled_by_their_model(model):
    protocol = begun("um", ScriptedPort(lambda data: um_answer(model, *UM[model])))
    values, why = protocol.values([um_answer(model, *UM[model])])
    assert values.tolist() == pytest.approx([5.12, 1.5, 7.68]) and why == []
    assert (protocol.channels[2].specification.gain is None) == (model != 0x09C9), "stated for the UM25C alone"
    assert protocol.period_s == 0.5 and protocol.questions[0].request == b"\xf0"


@pytest.mark.fault(25)
def test_a_um_answer_in_another_models_scale_is_refused():
    protocol = begun("um", ScriptedPort(lambda data: um_answer(0x09C9, *UM[0x09C9])))
    with pytest.raises(ValueError, match="another scaling"):
        protocol.values([um_answer(0x09C9, *UM[0x0963])])
    with pytest.raises(ValueError, match="names a UM24C"):
        protocol.values([um_answer(0x0963, *UM[0x0963])])


@pytest.mark.fault(5)
def test_a_um_answer_shifted_by_a_byte_is_no_value():
    protocol = begun("um", ScriptedPort(lambda data: um_answer(0x09C9, *UM[0x09C9])))
    answer = um_answer(0x09C9, *UM[0x09C9])
    for wrong in (answer[1:] + b"\0", b"\0" + answer[:-1], answer[:-1]):
        with pytest.raises(ValueError):
            protocol.values([wrong])


def test_something_else_is_no_um_meter(monkeypatch):
    with pytest.raises(SensorError, match="does not answer as a UM24C"):
        begun("um", ScriptedPort(lambda data: b"hello" * 26))


def korad(volts="12.00", amperes="0.150", set_v="12.00", **options):
    state = {"VOUT1?": volts, "IOUT1?": amperes, "VSET1?": set_v, "*IDN?": "KORADKA3005PV2.0\0"}
    return begun("korad", ScriptedPort(lambda data: state.get(data.decode(), "").encode()), options, gain_limit=0.01)


@pytest.mark.fault(30)
def test_korad_volts_near_the_set_point_are_called_nominal():
    protocol = korad()
    values, why = protocol.values([b"12.00", b"0.150", b"12.00"])
    assert values.tolist() == pytest.approx([12.0, 0.15, 1.8]) and why == []
    volts, _, watts = protocol.channels
    assert "nominal" in volts.scope and "nominal" in watts.scope
    assert volts.specification.offset == 0.2, "so far the output may be from what is reported"
    assert watts.specification.gain == pytest.approx(0.01 + 0.2 / 12), "also where the user states the supply's accuracy"
    assert "nominal" in protocol.describe()["setpoint"]


@pytest.mark.fault(30)
def test_korad_volts_near_the_set_point_can_be_refused():
    protocol = korad(setpoint="refuse")
    values, why = protocol.values([b"11.85", b"0.150", b"12.00"])
    assert np.isnan(values[0]) and np.isnan(values[2]) and values[1] == 0.15 and "set point" in why[0]
    values, why = protocol.values([b"11.50", b"0.150", b"12.00"])
    assert values.tolist() == pytest.approx([11.5, 0.15, 1.725]) and why == []
    assert protocol.channels[2].specification.gain == pytest.approx(0.01)


@pytest.mark.parametrize("wrong", ["12.0", "1.234", "abcde", "", "12,00"])
def test_half_an_answer_of_a_korad_is_no_value(wrong):
    with pytest.raises(ValueError):
        korad().values([wrong.encode(), b"0.150", b"12.00"])


def scpi(answers, **options):
    def answer(data: bytes) -> bytes:
        request = data.decode().strip()
        return (answers[request] + "\r\n").encode() if request in answers else b""

    return begun("scpi", ScriptedPort(answer), options)


SUPPLY = {"*IDN?": "RIGOL TECHNOLOGIES,DP832,DP8C1,00.01.16", "MEAS:VOLT? CH1": "5.0012", "MEAS:CURR? CH1": "1.2E-1",
          "MEAS:POW? CH1": "0.600"}  # fmt: skip


def test_scpi_supply_with_watts_of_its_own():
    protocol = scpi(SUPPLY, output="CH1")
    assert [question.request for question in protocol.questions] == [b"MEAS:VOLT? CH1\n", b"MEAS:CURR? CH1\n", b"MEAS:POW? CH1\n"]
    assert protocol.values([b"5.0\r\n", b"0.2\n", b"1.0\n"])[0].tolist() == [5.0, 0.2, 1.0]
    assert protocol.describe() == {"make": "RIGOL TECHNOLOGIES", "model": "DP832", "serial": "DP8C1", "firmware": "00.01.16"}
    assert protocol.channels[2].specification.gain is None


def test_scpi_supply_without_watts(monkeypatch):
    monkeypatch.setattr("host.meter_protocol.QuestionProtocol.ANSWER_S", 0.05)
    protocol = scpi({"*IDN?": "X,Y,Z,1", "MEAS:VOLT?": "5.0", "MEAS:CURR?": "0.5"})
    assert protocol.values([b"5.0\n", b"0.5\n"])[0].tolist() == [5.0, 0.5, 2.5]
    assert "volts times amperes" in protocol.channels[2].scope


@pytest.mark.fault(6)
def test_scpis_not_a_number_is_missing():
    values, why = scpi(SUPPLY, output="CH1").values([b"5.0\n", b"9.91E37\n", b"1\n"])
    assert np.isnan(values[1]) and len(why) == 1


def test_an_instrument_that_does_not_answer_is_refused(monkeypatch):
    monkeypatch.setattr("host.meter_protocol.QuestionProtocol.ANSWER_S", 0.05)
    with pytest.raises(SensorError, match="does not answer MEAS:VOLT"):
        scpi({})


@settings(max_examples=200, deadline=None)
@given(st.text("0123456789+-.eE VAWnaif,", max_size=12))
def test_a_number_is_a_number_or_refused(text):
    try:
        value = number(text)
    except ValueError:
        return
    assert isinstance(value, float)


@functools.cache
def one_of_each():
    return korad(), scpi(SUPPLY, output="CH1"), begun("um", ScriptedPort(lambda data: um_answer(0x09C9, *UM[0x09C9])))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=140), min_size=3, max_size=3))
def test_any_answers_give_values_or_a_value_error(answers):
    for protocol in one_of_each():
        try:
            values, _ = protocol.values(answers[: len(protocol.questions)])
        except ValueError:
            continue
        assert values.shape == (3,)


def test_protocols_and_options_are_checked_by_name():
    with pytest.raises(ValueError, match="no protocol 'nonsense': there are csv, korad, lines, powersensor3, scpi, um"):
        protocol_named("nonsense", MeterLimits(), {})
    with pytest.raises(TypeError, match="colums"):
        protocol_named("csv", MeterLimits(), {"colums": "a:V"})
    with pytest.raises(ValueError, match="gain_limit=x"):
        MeterLimits.taken({"gain_limit": "x"})
    with pytest.raises(ValueError, match="shunt_ohm=0: it is from"):
        MeterLimits.taken({"shunt_ohm": "0"})
