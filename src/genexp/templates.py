"""Many configs that differ in plain values alone, composed once.

Hydra takes a tenth of a second for a config, and a sweep has thousands. Where two override lists differ only in values
such as `optimizer.lr=1e-3`, their configs differ only where these values stand. A template finds out where: it resolves
the config with another value and compares. What reappears as it was given is put in place; for everything else, such
as a value inside a text or one that chooses among others, the config is resolved anew.
"""

from collections import Counter
from collections.abc import Collection, Hashable, Sequence
from functools import cache
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import OverrideType
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

Scalar = bool | int | float | str
Place = tuple[Any, ...]


def shape_and_values(
    jobs: Sequence[Sequence[str]], groups: Collection[str]
) -> list[tuple[Hashable, dict[str, Scalar]]]:
    """For each override list: what has to be composed for it, equal for those that can share a template, and values.

    Arguments:
        jobs: override lists.
        groups: the names of config groups, whose options are files and no values.

    Example:
        >>> one, two = shape_and_values([["loss=hinge", "a.b=1"], ["loss=hinge", "a.b=2"]], {"loss"})
        >>> one[0] == two[0], one[1], two[1]
        (True, {'a.b': 1}, {'a.b': 2})
    """
    uses = Counter(override for job in jobs for override in job)
    found: list[tuple[Hashable, dict[str, Scalar]]] = []
    for job in jobs:
        keys = Counter(override.split("=", 1)[0] for override in job)
        shape: list[Hashable] = []
        values: dict[str, Scalar] = {}
        for override in job:
            key = override.split("=", 1)[0]
            value = _plain_value(override) if uses[override] < len(jobs) and keys[key] == 1 else None
            if value is None or key in groups or "/" in key or key.startswith("hydra"):
                shape.append(override)
            else:
                shape.append((key, type(value)))
                values[key] = value
        found.append((tuple(shape), values))
    return found


@cache
def _plain_value(override: str) -> Scalar | None:
    """The value of an override that sets an existing key to a number, a word, true or false; else None."""
    try:
        parsed = OverridesParser.create().parse_override(override)
    except HydraException:
        return None
    if parsed.type != OverrideType.CHANGE or parsed.package is not None or parsed.is_sweep_override():
        return None
    value = parsed.value()
    if isinstance(value, str) and ("$" in value or value == "???"):
        return None
    return value if isinstance(value, Scalar) else None


class Template:
    """A composed config, and where some of its values go.

    Arguments:
        composed: the config, not resolved.
        values: those of its keys that other configs have otherwise.

    Raises:
        OmegaConfBaseException: if it does not resolve.
    """

    def __init__(self, composed: DictConfig, values: dict[str, Scalar]) -> None:
        self._composed, self._values = composed, dict(values)
        self._base = self._resolved({})
        self._places: dict[str, list[Place] | None] = {}

    def filled(self, values: dict[str, Scalar]) -> dict[str, Any]:
        """The resolved config with these values; what it shares with others must not be changed.

        Arguments:
            values: for keys that the template was made with, of the same types.
        """
        changed = {key: value for key, value in values.items() if value != self._values[key]}
        plain = self._base
        for key, value in changed.items():
            if key not in self._places:
                self._places[key] = self._find(key)
            places = self._places[key]
            if places is None:
                return self._resolved(changed)
            for place in places:
                plain = _with(plain, place, value)
        return plain

    def _find(self, key: str) -> list[Place] | None:
        """Where a key's value stands; None if more depends on it than copies of it."""
        value, other = self._values[key], _another(self._values[key])
        try:
            places = _differences(self._base, self._resolved({key: other}), value, other)
        except OmegaConfBaseException:  # it chooses among others, and this is none of them
            return None
        return places if places and tuple(key.split(".")) in places else None

    def _resolved(self, values: dict[str, Scalar]) -> dict[str, Any]:
        config = self._composed.copy()
        for key, value in values.items():
            OmegaConf.update(config, key, value, merge=True)
        OmegaConf.resolve(config)
        plain = OmegaConf.to_container(config)
        assert isinstance(plain, dict)
        return {str(key): item for key, item in plain.items()}


def _another(value: Scalar) -> Scalar:
    """Another value of the same type."""
    if isinstance(value, bool):
        return not value
    return f"{value}_" if isinstance(value, str) else 2 * value + 1


def _differences(one: Any, two: Any, value: Scalar, other: Scalar) -> list[Place] | None:
    """Where `one` has the value and `two` the other, if they are equal elsewhere; else None."""
    if type(one) is not type(two):
        return None
    if isinstance(one, dict):
        pairs = [(key, one[key], two[key]) for key in one] if one.keys() == two.keys() else None
    elif isinstance(one, list):
        pairs = [(i, a, b) for i, (a, b) in enumerate(zip(one, two, strict=True))] if len(one) == len(two) else None
    elif one == two:
        return []
    else:
        return [()] if type(one) is type(value) and (one, two) == (value, other) else None
    if pairs is None:
        return None
    found: list[Place] = []
    for key, a, b in pairs:
        inner = _differences(a, b, value, other)
        if inner is None:
            return None
        found += [(key, *path) for path in inner]
    return found


def _with(tree: Any, path: Place, value: Scalar) -> Any:
    """A tree with another value at a place; what is not on the way there is shared."""
    if not path:
        return value
    copy = tree.copy()
    copy[path[0]] = _with(tree[path[0]], path[1:], value)
    return copy
