"""The protocol in memory: what goes in comes out, however the pipe cuts it."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelight import protocol as p

COMMANDS = [
    p.Hello(id=1),
    p.Open(id=2, spec="m.py:Net", checkpoint="w.pt", directory="/x", device="cpu", seed=3),
    p.SetInput(id=3, sources=[p.Noise(shape=(1, 8, 8)), p.Example((0, 2)), p.FromFile("x.npz", "images")]),
    p.SetInput(id=4, sources=[p.Images(("a.png",), (8, 8)), p.FromFunction("f.py:make")]),
    p.SetMode(id=5, path="features.1", training=True, recursive=False),
    p.SetFlags(id=6, flags={"": True, "a.b": False}),
    p.Preset(id=7, name="mc_dropout"),
    p.Run(id=8, grad_mode="inference_mode", repeats=16, force=False),
    p.Cancel(id=9, target=8),
    p.Shutdown(id=10),
]
EVENTS = [
    p.Welcome(version=p.VERSION, pid=7, python="3.11.7"),
    p.Progress(id=2, what=p.Clause("importing", {"module": "m"}), fraction=0.5),
    p.Failure(id=3, kind="run", type="ValueError", message="no", traceback="…"),
    p.Changed(id=4, states=[p.RowState(0, True, [p.Clause("drops", {"p": 0.5})], [], 12)], asked={"": False}),
]


@given(st.data())
def test_messages_survive_any_cutting_of_the_stream(data: st.DataObject) -> None:
    stream = b"".join(p.encode(command) for command in COMMANDS)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=40)))
    decoder = p.Decoder(p.CommandMessage)
    got = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        got += list(decoder.feed(stream[start:end]))
    assert got == COMMANDS


def test_events_survive_byte_by_byte() -> None:
    decoder = p.Decoder(p.EventMessage)
    got = [event for event in EVENTS for byte in p.encode(event) for event in decoder.feed(bytes([byte]))]
    assert got == EVENTS


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32", "float64", "bool", ">f4"])
def test_arrays_keep_dtype_shape_and_values(dtype: str) -> None:
    values = (np.arange(24).reshape(2, 3, 4) % 2).astype(dtype)
    packed = p.Array.of(values.transpose(2, 0, 1))
    again = packed.numpy()
    assert again.shape == (4, 2, 3)
    assert again.dtype == np.dtype(dtype).newbyteorder("<")
    np.testing.assert_array_equal(again, values.transpose(2, 0, 1))


def test_an_empty_array_crosses() -> None:
    assert p.Array.of(np.zeros((0, 3), np.float32)).numpy().shape == (0, 3)


def test_too_large_a_message_is_refused_before_it_is_read() -> None:
    with pytest.raises(p.ProtocolError, match="limit"):
        list(p.Decoder(p.EventMessage).feed(struct.pack(">I", p.MAX_MESSAGE + 1)))


@given(st.binary(min_size=1, max_size=64))
def test_rubbish_is_an_error_or_waits_for_more_and_never_a_message(rubbish: bytes) -> None:
    framed = struct.pack(">I", len(rubbish)) + rubbish
    with pytest.raises(p.ProtocolError):
        list(p.Decoder(p.EventMessage).feed(framed))


def test_what_messagepack_cannot_carry_is_an_error_with_a_sentence() -> None:
    huge = p.Finding("ML101", "info", None, {"n": 2**70})
    with pytest.raises(p.ProtocolError, match="cannot be sent"):
        p.encode(p.FindingsReady(id=1, findings=[huge]))
    surrogate = p.Failure(id=1, kind="run", type="E", message="\udc80")
    with pytest.raises(p.ProtocolError, match="cannot be sent"):
        p.encode(surrogate)


def test_plain_text_can_always_be_sent() -> None:
    event = p.Failure(id=1, kind="run", type="E", message=p.plain("a\udc80b"))
    assert next(p.Decoder(p.EventMessage).feed(p.encode(event))).message == r"a\udc80b"
