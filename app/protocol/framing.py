"""Messages as bytes: length first, then MessagePack."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import msgspec

from modelight.protocol.commands import Command
from modelight.protocol.events import Event
from modelight.protocol.values import MAX_MESSAGE, ProtocolError

_LENGTH = struct.Struct(">I")


_encoder = msgspec.msgpack.Encoder()


def encode(message: Command | Event) -> bytes:
    """A message as it goes over the pipe, length first.

    Raises:
        ProtocolError: the message is larger than MAX_MESSAGE or holds something that MessagePack cannot carry.
    """
    try:
        body = _encoder.encode(message)
    except (UnicodeEncodeError, OverflowError, TypeError) as error:
        raise ProtocolError(f"{type(message).__name__} cannot be sent: {error}") from error
    if len(body) > MAX_MESSAGE:
        raise ProtocolError(f"{type(message).__name__} is {len(body)} bytes; the limit is {MAX_MESSAGE}.")
    return _LENGTH.pack(len(body)) + body


class Decoder:
    """Push-style decoder: ``feed`` it what the pipe delivered, whole messages or not, and take the messages it
    yields."""

    def __init__(self, kind: Any) -> None:
        """``kind`` is CommandMessage or EventMessage: what this end may receive."""
        self._decoder = msgspec.msgpack.Decoder(kind)
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Any]:
        """Yield every message that is complete now.

        Raises:
            ProtocolError: the stream is not this protocol; it cannot be read any further.
        """
        self._buffer += data
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if length > MAX_MESSAGE:
                raise ProtocolError(f"A message of {length} bytes was announced; the limit is {MAX_MESSAGE}.")
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[_LENGTH.size : end])
            del self._buffer[:end]
            try:
                yield self._decoder.decode(body)
            except msgspec.MsgspecError as error:
                raise ProtocolError(f"A message could not be read: {error}") from error
