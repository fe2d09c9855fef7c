"""Content codings for streams: each frame is compressed and flushed, so that what is due can be read."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from dataclasses import replace

from .reply import Frame

_ZLIB = 15
_GZIP = 31


def _coded(written: tuple[Frame, ...], window: int) -> Iterable[Frame]:
    compressor = zlib.compressobj(wbits=window)
    for frame in written:
        data = compressor.compress(frame.data) + compressor.flush(zlib.Z_SYNC_FLUSH)
        yield replace(frame, data=data)
    yield Frame(compressor.flush())


def deflated(written: tuple[Frame, ...]) -> Iterable[Frame]:
    """Frames in the deflate coding."""
    return _coded(written, _ZLIB)


def gzipped(written: tuple[Frame, ...]) -> Iterable[Frame]:
    """Frames in the gzip coding."""
    return _coded(written, _GZIP)


def at_each(sizes: Iterable[int]) -> Callable[[bytes], Iterable[bytes]]:
    """A function that cuts bytes into pieces of these sizes, the last one as long as it gets."""
    wanted = tuple(sizes)

    def cut(data: bytes) -> Iterable[bytes]:
        start = 0
        for size in wanted:
            yield data[start : start + size]
            start += size
        yield data[start:]

    return cut
