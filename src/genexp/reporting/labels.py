"""Short names for settings: what tells them apart, and no more."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from genexp.config import NOT_IDENTITY, NOT_IDENTITY_ANYWHERE

NOT_TOLD = (*NOT_IDENTITY, "seed")
ABSENT = "absent"
COPIES = "model."
"""The model's node repeats much of other groups: its keys are named only if theirs do not explain the difference."""


@dataclass(frozen=True)
class Described:
    """What is known of a setting.

    Attributes:
        id: its hash.
        name: what its runs are called.
        choices: the option chosen for each group.
        overrides: what a person gave for it.
        config: its config, flattened.
    """

    id: str
    name: str
    choices: Mapping[str, str]
    overrides: Sequence[str]
    config: Mapping[str, Any]


def flattened(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested config as one level of dotted keys; lists stay whole.

    Example:
        >>> flattened({"loss": {"name": "hinge"}, "betas": [0, 0.9]})
        {'loss.name': 'hinge', 'betas': [0, 0.9]}
    """
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            flat |= flattened(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def labels(settings: Sequence[Described]) -> list[str]:
    """A label for each setting, all different.

    Named are the options and values that a person gave differently, then the options that differ otherwise, then such
    keys of the config as differ although all of that is equal; one alone is called like its runs.

    Arguments:
        settings: those of one table.
    """
    if len(settings) == 1:
        return [settings[0].name]
    asked = [_asked(setting) for setting in settings]
    told = [key for key in _differing(asked) if _varies(settings, key)]
    for key in [key for key in _differing([_chosen(setting) for setting in settings]) if key not in told]:
        if not _determined(settings, key, told):
            told.append(key)
    keys = _differing([_told(setting.config) for setting in settings])
    for key in sorted(keys, key=lambda key: key.startswith(COPIES)):
        if not _covers(key, told) and not _determined(settings, key, told):
            told.append(key)
    named = [
        " ".join(f"{key}={value}" for key in told if (value := _value(setting, key)) != ABSENT) for setting in settings
    ]
    return [
        label if label and named.count(label) == 1 else f"{label} ({setting.id[:6]})".strip()
        for label, setting in zip(named, settings, strict=True)
    ]


def _asked(setting: Described) -> dict[str, str]:
    """The values that a person gave, as they were given, without those that change nothing."""
    given = {}
    for override in setting.overrides:
        key, _, value = override.partition("=")
        key = key.lstrip("+~").split("@")[0]
        if key.split(".")[0] not in NOT_TOLD and key.rsplit(".", 1)[-1] not in NOT_IDENTITY_ANYWHERE:
            given[key] = value
    return given


def _chosen(setting: Described) -> dict[str, str]:
    return {group: option for group, option in setting.choices.items() if group not in NOT_TOLD}


def _told(config: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: value
        for key, value in config.items()
        if key.split(".")[0] not in NOT_TOLD and key.rsplit(".", 1)[-1] not in NOT_IDENTITY_ANYWHERE
    }


def _differing(mappings: Sequence[Mapping[str, Any]]) -> list[str]:
    """The keys whose values are not all equal, in the order in which they come."""
    keys = dict.fromkeys(key for mapping in mappings for key in mapping)
    return [key for key in keys if len({_text(mapping.get(key, ABSENT)) for mapping in mappings}) > 1]


def _varies(settings: Sequence[Described], key: str) -> bool:
    return len({_value(setting, key) for setting in settings}) > 1


def _determined(settings: Sequence[Described], key: str, told: Sequence[str]) -> bool:
    """Whether a key's value follows from those that are told already."""
    seen: dict[tuple[str, ...], str] = {}
    for setting in settings:
        case = tuple(_value(setting, other) for other in told)
        if seen.setdefault(case, _value(setting, key)) != _value(setting, key):
            return False
    return True


def _covers(key: str, told: Sequence[str]) -> bool:
    """Whether one of those told is this key, or a mapping that holds it."""
    return any(key == other or ("." in other and key.startswith(f"{other}.")) for other in told)


def _value(setting: Described, key: str) -> str:
    """What a key says in a setting: the option chosen, or the value in the config."""
    if key in setting.choices:
        return setting.choices[key]
    if key in setting.config:
        return _text(setting.config[key])
    given = _asked(setting)
    return given[key] if key in given else _several(setting.config, key)


def _several(config: Mapping[str, Any], group: str) -> str:
    """The options of a group that takes several, which are not among the choices."""
    start = f"{group}."
    names = dict.fromkeys(key[len(start) :].split(".")[0] for key in config if key.startswith(start))
    chosen = [name for name in names if f"{group}.{name}._target_" in config]
    return f"[{','.join(chosen)}]" if chosen else ABSENT


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:g}"
    return json.dumps(value, separators=(",", ":"), default=str)
