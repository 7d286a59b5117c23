"""A model's formula, read where it is asked: names, `+`, `:` and `*`, and nothing that could be evaluated.

outcome ~ age + sex + los + age:sex         age * sex is age + sex + age:sex
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from secagg_protocols.errors import ParameterError

LONGEST = 2000

TOKEN = re.compile(r"\s*(?:(?P<name>[^\W\d][\w.]*)|`(?P<quoted>[^`]+)`|(?P<sign>[~+:*]))")


@dataclass(frozen=True)
class Formula:
    """outcome: a column; none where there is no `~`. terms: the columns that are multiplied, for each term."""

    outcome: str
    terms: tuple[tuple[str, ...], ...]


def read_formula(text: str) -> Formula:
    """Read `outcome ~ terms`. Raises: ParameterError, with the place of what is not understood."""
    said = f"formula {text!r}"
    tokens = _tokens(text, said)
    if len(tokens) < 2 or tokens[1] != ("sign", "~") or tokens[0][0] != "name":
        raise ParameterError(f"{said} does not begin with an outcome and ~, such as 'readmitted ~ age + sex'")
    return Formula(tokens[0][1], _terms(tokens[2:], said))


def read_terms(text: str) -> tuple[tuple[str, ...], ...]:
    """Read terms alone; they may also be separated by commas. Raises: ParameterError."""
    said = f"covariates={text!r}"
    return _terms(_tokens(text.replace(",", "+"), said), said)


def _tokens(text: str, said: str) -> list[tuple[str, str]]:
    if len(text) > LONGEST:
        raise ParameterError(f"{said[:40]}… of {len(text)} letters; at most {LONGEST} are read")
    found = []
    place = 0
    while place < len(text.rstrip()):
        match = TOKEN.match(text, place)
        if match is None:
            raise ParameterError(
                f"{said} is not understood from {text[place:].strip()[:20]!r} on: it takes names of columns, "
                "+, : and *; put other names in backquotes (`wt loss`)"
            )
        kind = "sign" if match["sign"] else "name"
        found.append((kind, match["name"] or match["quoted"] or match["sign"]))
        place = match.end()
    return found


def _terms(tokens: list[tuple[str, str]], said: str) -> tuple[tuple[str, ...], ...]:
    kinds = [kind for kind, _ in tokens]
    if not tokens or kinds != ["name", "sign"] * (len(tokens) // 2) + ["name"]:
        raise ParameterError(f"{said} must have a name, a sign and a name in turn, such as 'age + sex'")
    if ("sign", "~") in tokens:
        raise ParameterError(f"{said} has more than one ~: one outcome is modelled")
    terms: dict[tuple[str, ...], None] = {}
    names = [name for _, name in tokens[::2]]
    signs = [sign for _, sign in tokens[1::2]]
    for product in _products(names, signs):
        crossed = [name for sign, name in product]
        if len(crossed) > 2:
            raise ParameterError(f"{''.join(map(''.join, product))} multiplies more than two columns: leave one out")
        if product[-1][0] == "*":
            terms |= {(name,): None for name in crossed}
        terms[tuple(crossed)] = None
    # Columns first, products after them, as in R.
    return tuple(sorted(terms, key=len))


def _products(names: list[str], signs: list[str]) -> list[list[tuple[str, str]]]:
    """Split at the +: each product is its names, with the sign before each."""
    products = [[("", names[0])]]
    for sign, name in zip(signs, names[1:], strict=True):
        if sign == "+":
            products.append([("", name)])
        else:
            products[-1].append((sign, name))
    return products
