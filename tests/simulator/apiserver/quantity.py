"""Kubernetes quantities: parsing, and the canonical form in which the server gives them back."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache

PATTERN = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E|[eE][+-]?[0-9]+)?")
REGEX_TEXT = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
SUFFIX_OF = {exponent: suffix for suffix, exponent in DECIMAL.items()}


def parse(text: str | int | float) -> Decimal:
    """The value. ValueError, worded as the server does, for what is no quantity."""
    return _split(str(text))[0]


@lru_cache(maxsize=4096)
def canonical(text: str) -> str:
    """The shortest form with an integer mantissa in the suffix family that was used: ``64000m`` is ``64``."""
    value, suffix = _split(text)
    if value == 0:
        return "0"
    if suffix in BINARY and abs(value) >= 1024 and value == value.to_integral_value():
        return _binary(int(value))
    return _decimal(value, suffix)


@lru_cache(maxsize=4096)
def _split(text: str) -> tuple[Decimal, str]:
    match = PATTERN.fullmatch(text)
    if match is None:
        raise ValueError(REGEX_TEXT)
    number, suffix = Decimal(match.group(1)), match.group(2) or ""
    if suffix in BINARY:
        return number * 1024 ** BINARY[suffix], suffix
    if suffix in DECIMAL:
        return number.scaleb(DECIMAL[suffix]), suffix
    return number.scaleb(int(suffix[1:])), "e"


def _binary(value: int) -> str:
    power = 0
    while value % 1024 == 0 and power < 6:
        value //= 1024
        power += 1
    suffix = next((name for name, exponent in BINARY.items() if exponent == power), "")
    return f"{value}{suffix}"


def _decimal(value: Decimal, suffix: str) -> str:
    exponent = -9
    mantissa = int((value.scaleb(9)).to_integral_value(rounding="ROUND_UP"))
    while mantissa % 1000 == 0 and exponent < 18:
        mantissa //= 1000
        exponent += 3
    if suffix == "e":
        return f"{mantissa}e{exponent}" if exponent else str(mantissa)
    return f"{mantissa}{SUFFIX_OF[exponent]}"


def is_integer(text: str) -> bool:
    value = parse(text)
    return value == value.to_integral_value()
