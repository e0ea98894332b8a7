"""What a sandboxed program answers, decoded: plain values only, and every malformed byte refused."""

from typing import Any

from anatomy.sandbox import runner

_SAME_HASH = 64  # elements of a set or dict that may share a hash; more are made to take time


class MalformedError(ValueError):
    """Bytes that the encoding does not have."""


def decode(data: bytes) -> Any:
    """The plain data that `sandbox_runner.encode` made bytes of; nothing but plain data can come of it.

    Raises:
        MalformedError: they are no such bytes, are nested deeper than allowed, or hold a set or dict whose
            elements were chosen to have the same hash.
    """
    try:
        value, end = _decode(data)
    except MalformedError:
        raise
    except (ValueError, TypeError, OverflowError) as error:
        raise MalformedError(str(error)) from error
    if end != len(data):
        raise MalformedError("something follows the value")
    return value


def _decode(data: bytes) -> tuple[Any, int]:
    place = 0
    open_: list[tuple[str, int, list[Any]]] = []  # containers that are not full: letter, size, items
    while True:
        letter = data[place : place + 1].decode("ascii")
        place += 1
        value: Any
        if letter in ("N", "0", "1"):
            value = None if letter == "N" else letter == "1"
        else:
            colon = data.index(b":", place, place + 12)
            if not data[place:colon].isdigit():
                raise MalformedError("no length")
            size, place = int(data[place:colon]), colon + 1
            if size > len(data) - place:
                raise MalformedError("cut off")
            if letter in ("l", "t", "S", "F", "d"):
                open_.append((letter, size, []))
                if len(open_) > runner.DEPTH:
                    raise MalformedError("nested too deep")
                value = None
            else:
                value = _scalar(letter, data[place : place + size])
                place += size
        if letter not in ("l", "t", "S", "F", "d"):
            if not open_:
                return value, place
            open_[-1][2].append(value)
        while open_ and len(open_[-1][2]) == open_[-1][1]:
            letter, _, items = open_.pop()
            value = _container(letter, items)
            if not open_:
                return value, place
            open_[-1][2].append(value)


def _scalar(letter: str, content: bytes) -> Any:
    if letter == "i":
        return int(content, 16)
    if letter == "s":
        return content.decode("utf-8", "surrogatepass")
    if letter == "b":
        return content
    if letter == "f":
        return float.fromhex(content.decode("ascii"))
    if letter == "c":
        real, imaginary = content.decode("ascii").split(",")
        return complex(float.fromhex(real), float.fromhex(imaginary))
    raise MalformedError("no such type")


def _container(letter: str, items: list[Any]) -> Any:
    if letter == "l":
        return items
    if letter == "t":
        return tuple(items)
    keys = items[::2] if letter == "d" else items
    hashes = sorted(map(hash, keys))
    if any(first == second for first, second in zip(hashes, hashes[_SAME_HASH:], strict=False)):
        raise MalformedError("too many elements with the same hash")
    if letter == "d":
        return dict(zip(keys, items[1::2], strict=True))
    return set(items) if letter == "S" else frozenset(items)
