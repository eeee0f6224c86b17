"""What the commands share in reading their arguments."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from genexp.errors import UserError


def take_flag(arguments: list[str], *names: str) -> bool:
    """Remove a flag; whether it was there."""
    present = any(argument in names for argument in arguments)
    arguments[:] = [argument for argument in arguments if argument not in names]
    return present


def take_option(arguments: list[str], name: str) -> str | None:
    """Remove `name VALUE` or `name=VALUE`; the value, None when absent.

    Raises:
        UserError: if the value is missing.
    """
    for i, argument in enumerate(arguments):
        if argument.startswith(f"{name}="):
            del arguments[i]
            return argument.split("=", 1)[1]
        if argument == name:
            if i + 1 == len(arguments):
                raise UserError(f"{name} needs a value: give it after a space.")
            value = arguments[i + 1]
            del arguments[i : i + 2]
            return value
    return None


def refuse_unknown_flags(arguments: Sequence[str], usage: str) -> None:
    """Raise UserError for anything that looks like a flag."""
    for argument in arguments:
        if argument.startswith("-"):
            raise UserError(f"{argument} is not an option here: {usage}")


def run_and_settings(arguments: Sequence[str], defaults: Mapping[str, Any], usage: str) -> tuple[str, dict[str, Any]]:
    """Read `RUN key=value ...`.

    Raises:
        UserError: if RUN is missing, a key is unknown, or a value has the wrong type.
    """
    refuse_unknown_flags(arguments, usage)
    runs = [argument for argument in arguments if "=" not in argument]
    if len(runs) != 1:
        raise UserError(f"Give one run folder: {usage}")
    settings = dict(defaults)
    for argument in arguments:
        if "=" not in argument:
            continue
        key, text = argument.split("=", 1)
        if key not in defaults:
            raise UserError(f"There is no setting {key}: the settings are {', '.join(defaults)}.")
        default = defaults[key]
        try:
            value = text if isinstance(default, str) else yaml.safe_load(text) if text else None
        except (yaml.YAMLError, ValueError):  # YAML reads a date as one, and refuses the 31st of April
            value = text
        if isinstance(default, float) and isinstance(value, int):
            value = float(value)
        if default is not None and type(value) is not type(default):
            raise UserError(f"{argument} has the wrong type: {key} is a {type(default).__name__} such as {default}.")
        settings[key] = value
    return runs[0], settings
