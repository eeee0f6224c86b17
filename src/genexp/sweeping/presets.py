"""A sweep's preset: overrides in a file, read as if they stood on the command line."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from genexp import config as configs
from genexp.catalogue import conf_dir
from genexp.errors import UserError

Alternatives: TypeAlias = tuple[tuple[str, ...], ...]
"""An axis whose points are several overrides together; one that sweeps stands for as many points."""


def read_preset(path: Path) -> tuple[list[str], dict[str, Alternatives]]:
    """What a file holds: a mapping from keys to values in Hydra's sweep syntax, or to lists of mappings.

    A list of mappings is an axis of the sweep: each mapping is a point of it, whatever it sets.

    ```yaml
    loss:
      - loss: hinge,least_squares
      - loss: f_gan
        loss.divergence: kl,js
    ```

    Where there is no such file, genexp's own of that name is meant, so that the presets can be used everywhere.

    Returns:
        The overrides, and the axes by their names.

    Raises:
        UserError: if the file is missing or holds anything else.
    """
    own = conf_dir().parent / "sweeps" / path.name  # in a checkout as in a wheel
    if not path.is_file() and path in (Path("sweeps") / path.name, Path(path.name)):
        path = own
    if not path.is_file():
        raise UserError(f"There is no preset {path}: give the path of a YAML file with one override in each line.")
    try:
        content = yaml.load(path.read_text(), Loader=yaml.BaseLoader)  # everything as it is written; Hydra reads it
    except yaml.YAMLError as error:
        raise UserError(f"{path} does not parse: {str(error).splitlines()[0]}.") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} is not a preset: it must hold lines such as loss: hinge,wasserstein.")
    together = {key: value for key, value in content.items() if _is_axis(value)}
    plain = {key: value for key, value in content.items() if key not in together}
    axes = {
        key: tuple(tuple(_overrides(point, f"{path}: {key}")) for point in value) for key, value in together.items()
    }
    return _overrides(plain, str(path)), axes


def _is_axis(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(point, dict) for point in value)


def _overrides(settings: Mapping[str, Any], where: str) -> list[str]:
    return [configs.quoted(f"{key}={_value(value, f'{where}: {key}')}") for key, value in settings.items()]


def _value(value: Any, where: str) -> str:
    if isinstance(value, list):
        return f"[{','.join(_value(item, where) for item in value)}]"
    if not isinstance(value, str):
        raise UserError(f"{where} holds a mapping: write its keys with dots, such as optimizer.lr: 1e-3,1e-4.")
    return value
