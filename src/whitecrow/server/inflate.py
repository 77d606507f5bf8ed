"""Bodies that come compressed: unpacked within a bound."""

import zlib

from whitecrow.server.errors import BodyTooLargeError, MediaTypeError, RequestError

__all__ = ["inflate"]

_GZIP = 31  # window bits of zlib that ask for gzip's header and checksum
_NAMES = ("gzip", "x-gzip")


def inflate(data: bytes, encoding: str, most: int) -> bytes:
    """Return a body without its content encoding.

    Parameters
    ----------
    data : bytes
        Body as it came.
    encoding : str
        Header ``Content-Encoding``; empty, ``identity`` or ``gzip``.
    most : int
        Bytes that it may come to.

    Raises
    ------
    MediaTypeError
        If the encoding is another, or applied twice.
    RequestError
        If the body is damaged or truncated.
    BodyTooLargeError
        If it comes to more than ``most``.
    """
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return data
    if encoding not in _NAMES:
        raise MediaTypeError(f"Content-Encoding {encoding[:100]!r} is not read. Send the body plain or as gzip.")
    plain = bytearray()
    rest = data
    try:
        # A gzip file may consist of several, one behind the other.
        while rest:
            unpacker = zlib.decompressobj(_GZIP)
            plain += unpacker.decompress(rest, most + 1 - len(plain))
            if len(plain) > most:
                raise BodyTooLargeError(
                    f"The body comes to more than {most / 2**20:,.4g} MiB once it is unpacked. Send it in parts."
                )
            if not unpacker.eof:
                raise RequestError("The gzip body is truncated. Send it again.")
            rest = unpacker.unused_data
    except zlib.error as error:
        raise RequestError("The body is no gzip, or damaged. Send it again.") from error
    return bytes(plain)
