"""Options of a command as the fields of the values it takes: stated once, where the value is.

    @with_options
    def simulate(cohort: Cohort, workers: Annotated[Workers, Panel("Server")], as_json: AsJson = False): ...

A parameter whose type is a dataclass stands for the fields of it that are options, in their order; a field whose type
is a dataclass again, likewise. A field says what it is as typer does, or, where the value must do without typer, as
`secagg.train.setting` does. The command is then called with the values. What the library refuses it tells in its own
words; here they become the options that were typed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import copy
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer
from typer.models import OptionInfo, ParameterInfo

from secagg.cli.choice import SchemeChoice
from secagg.cli.wording import Wording
from secagg.train.setting import AtLeast, AtMost, Called, Field, OneOf, Option, fields_of
from secagg_protocols.errors import ParameterError


@dataclass(frozen=True)
class Panel:
    """Which panel of `--help` the options of a value stand in."""

    title: str


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Return the command as typer takes it, with one parameter for each option."""
    hints = get_type_hints(command, include_extras=True)
    given = signature(command).parameters
    taken = [Field.of(name, hints[name]) for name in given]
    options = [option for field in taken for option in _options_of(field, given[field.name].default, None)]
    _refuse_two_of_one_name(command, options)
    wording = _wording(taken)

    @wraps(command)
    def called(**said: Any) -> None:
        try:
            command(**{field.name: _value_of(field, said) for field in taken})
        except ParameterError as refusal:
            raise ParameterError(wording.as_typed(str(refusal))) from refusal

    # What typer reads; `wraps` has copied the command's own.
    called.__signature__ = Signature(options)  # type: ignore[attr-defined]
    called.__annotations__ = {option.name: option.annotation for option in options}
    return called


def _options_of(field: Field, default: Any, panel: str | None) -> Iterator[Parameter]:
    """Yield a parameter for a field that is an option, or for each option among its own fields."""
    if is_dataclass(field.type):
        panel = next((said.title for said in field.says if isinstance(said, Panel)), panel)
        defaults = {item.name: item.default for item in fields(field.type)}
        for inner in fields_of(field.type):
            yield from _options_of(inner, defaults[inner.name], panel)
    elif (info := _info(field)) is not None:
        info.rich_help_panel = info.rich_help_panel or panel
        yield Parameter(
            field.name,
            Parameter.KEYWORD_ONLY,
            default=_default(default),
            annotation=Annotated[_type(field), info],
        )


def _wording(taken: Iterable[Field]) -> Wording:
    flags = {}
    converted = set()
    for field, info in (named for each in taken for named in _named(each)):
        # Typer has the first name of an annotated option in the place of its default.
        names = [name for name in (info.default, *(info.param_decls or ())) if isinstance(name, str)]
        called = [said for said in field.says if isinstance(said, Called)]
        for name in (field.name, *(name for said in called for name in said.names)):
            flags[name] = max(names, key=len, default=_flag(field))
        converted |= {name for said in called if said.converted for name in said.names}
    return Wording(flags, converted)


def _named(field: Field) -> Iterator[tuple[Field, OptionInfo]]:
    """Yield a field that is an option with a name, or those among its own fields."""
    if is_dataclass(field.type):
        for inner in fields_of(field.type):
            yield from _named(inner)
    elif isinstance(info := _info(field), OptionInfo):
        yield field, info


def _flag(field: Field) -> str:
    return f"--{field.name.replace('_', '-')}"


def _info(field: Field) -> ParameterInfo | None:
    """Return what typer is to know of a field; None for one that is no option."""
    for said in field.says:
        if isinstance(said, ParameterInfo):
            return copy(said)
        if isinstance(said, Option):
            return _in_typers_words(field, said)
    return None


def _in_typers_words(field: Field, option: Option) -> ParameterInfo:
    named = option.flag or (_flag(field) if field.type is bool else None)  # bare, typer adds a --no-…
    least = next((one.least for one in field.says if isinstance(one, AtLeast)), None)
    most = next((one.most for one in field.says if isinstance(one, AtMost)), None)
    names = next((one.names for one in field.says if isinstance(one, OneOf)), None)
    info: ParameterInfo = typer.Option(
        *([named] if named else []),
        help=option.meaning,
        metavar=option.metavar,
        min=least,
        max=most,
        click_type=None if names is None else SchemeChoice(names),
    )
    return info


def _type(field: Field) -> Any:
    """Return the type as typer takes it: it has lists, and none of them is empty."""
    if get_origin(field.type) is not tuple:
        return field.type
    (each, _) = get_args(field.type)
    return list[each] | None  # type: ignore[valid-type]


def _default(value: Any) -> Any:
    if value is MISSING:
        return Parameter.empty
    return None if value == () else value


def _value_of(field: Field, said: Mapping[str, Any]) -> Any:
    """Return what the command is given for one of its own parameters, or a dataclass for one of its fields."""
    if is_dataclass(field.type):
        kind: Any = field.type
        inner = [item for item in fields_of(kind) if _holds_options(item)]
        return kind(**{item.name: _value_of(item, said) for item in inner})
    value = said[field.name]
    return tuple(value or ()) if get_origin(field.type) is tuple else value


def _holds_options(field: Field) -> bool:
    return is_dataclass(field.type) or _info(field) is not None


def _refuse_two_of_one_name(command: Callable[..., None], options: list[Parameter]) -> None:
    names = [option.name for option in options]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise TypeError(f"{command.__name__} takes two options {twice[0]!r}: rename one of the fields")
