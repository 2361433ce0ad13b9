"""Encoded bodies: whole or refused, whatever was cut off or put in, and never larger than the cap."""

from __future__ import annotations

import gzip
import time
import zlib
from typing import TYPE_CHECKING

import brotli
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.encodings import MAX_PARTS, decompress
from gateway.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT = 1024 * 1024


def _raw_deflate(body: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(body) + stream.flush()


def _zstd_stream(body: bytes) -> bytes:
    stream = zstandard.ZstdCompressor().compressobj()
    return stream.compress(body) + stream.flush()


ENCODERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("x-gzip", gzip.compress),
    "stored gzip": ("gzip", lambda body: gzip.compress(body, 0)),
    "deflate": ("deflate", zlib.compress),
    "raw deflate": ("deflate", _raw_deflate),
    "zstd": ("zstd", zstandard.compress),
    "zstd of unknown size": ("zstd", _zstd_stream),
    "br": ("br", brotli.compress),
}
BODIES = st.one_of(
    st.binary(max_size=300), st.builds(lambda part, times: part * times, st.binary(max_size=20), st.integers(0, 400))
)


def _code(body: bytes, encoding: str, limit: int = LIMIT) -> str:
    with pytest.raises(Refusal) as refused:
        decompress(body, encoding, limit)
    return refused.value.code


@pytest.mark.parametrize("name", ENCODERS)
@given(body=BODIES, data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_body_comes_out_as_it_went_in_and_no_part_of_it_alone(name: str, body: bytes, data: st.DataObject) -> None:
    encoding, encode = ENCODERS[name]
    encoded = encode(body)
    assert decompress(encoded, encoding, LIMIT) == body
    assert decompress(encoded, encoding.upper(), len(body)) == body
    cut = data.draw(st.integers(0, len(encoded) - 1), label="cut")
    assert _code(encoded[:cut], encoding) == "BAD_ENCODING"
    if body:
        assert _code(encoded, encoding, len(body) - 1) == "TOO_LARGE"
    behind = data.draw(st.binary(min_size=1, max_size=20), label="behind")
    assert _code(encoded + b"\x01" + behind, encoding) == "BAD_ENCODING"


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd", "br"])
@given(body=st.binary(max_size=200), place=st.integers(0, 10_000), bit=st.integers(0, 7))
@settings(max_examples=60, deadline=None)
def test_whatever_comes_it_is_taken_or_refused(encoding: str, body: bytes, place: int, bit: int) -> None:
    encoded = bytearray(ENCODERS[encoding][1](body))
    encoded[place % len(encoded)] ^= 1 << bit
    for sent in (bytes(encoded), body):
        try:
            out = decompress(sent, encoding, 1000)
        except Refusal as refusal:
            assert refusal.code in ("BAD_ENCODING", "TOO_LARGE")  # noqa: PT017 - most, but not all of them are refused
        else:
            assert len(out) <= 1000


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_what_was_compressed_in_parts_is_one_body(encoding: str) -> None:
    encode = ENCODERS[encoding][1]
    assert decompress(encode(b"one,") + encode(b"") + encode(b"two"), encoding, 7) == b"one,two"
    assert _code(encode(b"one,") + encode(b"two")[:-1], encoding) == "BAD_ENCODING"
    assert _code(encode(b"x" * 60) + encode(b"x" * 60), encoding, 100) == "TOO_LARGE"
    assert decompress(encode(b"x") * MAX_PARTS, encoding, LIMIT) == b"x" * MAX_PARTS
    assert _code(encode(b"x") * (MAX_PARTS + 1), encoding) == "BAD_ENCODING"


def test_frames_that_hold_nothing_are_skipped() -> None:
    skippable = b"\x50\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"abcd"
    assert decompress(skippable + zstandard.compress(b"x"), "zstd", LIMIT) == b"x"


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_megabyte_of_empty_parts_holds_nobody_up(encoding: str) -> None:
    part = ENCODERS[encoding][1](b"")
    began = time.process_time()
    assert _code(part * (LIMIT // len(part)), encoding) == "BAD_ENCODING"
    assert time.process_time() - began < 0.3


def test_layers_are_few() -> None:
    twice = zlib.compress(gzip.compress(b"x"))
    assert decompress(twice, "gzip, identity, deflate", LIMIT) == b"x"
    assert _code(gzip.compress(twice), "gzip, deflate, gzip") == "BAD_ENCODING"
    assert _code(b"x", "gzip, compress") == "UNSUPPORTED_MEDIA_TYPE"


def test_a_layer_that_is_too_large_is_refused_though_the_next_would_be_small() -> None:
    inner = gzip.compress(b"x", 0) + gzip.compress(b"") * (MAX_PARTS - 1)
    assert _code(zlib.compress(inner), "gzip, deflate", len(inner) - 1) == "TOO_LARGE"
