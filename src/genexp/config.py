"""Configs: composed by Hydra, checked, resolved, and turned into objects.

No function here imports torch: help, completion and a misspelt key are answered before that.
"""

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, InstantiationException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from genexp import atomic
from genexp.catalogue import conf_dir, groups
from genexp.errors import UserError
from genexp.schema import TrainConfig
from genexp.sentences import first_line, nearest_word, sentence
from genexp.templates import Template, shape_and_values

OF_A_SWEEP = ("seeds", "sweep", "launcher", "search")
"""Top-level keys that say how many runs there are and where they run: of a sweep, not of a run."""
NOT_IDENTITY = ("paths", "logger", "run_dir", "resume", "progress", "name", *OF_A_SWEEP)
"""Top-level keys that do not change what is computed: left out of a run's identity."""
NOT_IDENTITY_ANYWHERE = ("cache_dir", "num_workers", "timeout_s")
"""Keys of any group that do not change what is computed."""


def user_cache() -> str:
    """The folder for caches when nothing else is said: the user's own, or the temporary one where there is no home."""
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return str(Path(base) / "genexp" if base else Path.home() / ".cache" / "genexp")
    except RuntimeError:
        return str(Path(tempfile.gettempdir()) / "genexp-cache")


def own_cache() -> str:
    """This machine's folder for caches: what `paths.cache` is when a command line does not set it."""
    return os.environ.get("GENEXP_CACHE") or user_cache()


@contextmanager
def _hydra(config_dir: str | None) -> Iterator[list[str]]:
    """Hydra set up on genexp's configs; yields the overrides that add the user's own folder."""
    if config_dir is not None and not Path(config_dir).is_dir():
        raise UserError(f"--config-dir {config_dir} is not a folder: give the folder that holds your own groups.")
    GlobalHydra.instance().clear()
    OmegaConf.register_new_resolver("genexp.user_cache", user_cache, replace=True)
    ConfigStore.instance().store(name="train_schema", node=TrainConfig)
    search = [f"hydra.searchpath=[file://{Path(config_dir).resolve()}]"] if config_dir else []
    with initialize_config_dir(config_dir=str(conf_dir().resolve()), version_base="1.3", job_name="genexp"):
        yield search


@dataclass(frozen=True)
class Composed:
    """A resolved config and the option chosen for each group.

    Attributes:
        plain: the config as plain containers, which many may share: not to be changed.
        choices: the options.
    """

    plain: dict[str, Any]
    choices: dict[str, str]

    @cached_property
    def config(self) -> DictConfig:
        """The config to read with dots and to build from."""
        return from_plain(self.plain)

    @property
    def name(self) -> str:
        """The run's name: the one given, else the experiment, else dataset_model."""
        if self.plain["name"] is not None:
            return str(self.plain["name"])
        experiment = self.choices.get("experiment", "null")
        return (
            experiment if experiment not in ("null", "None") else f"{self.choices['dataset']}_{self.choices['model']}"
        )


def compose_train(overrides: Sequence[str], config_dir: str | None = None) -> Composed:
    """Compose `conf/train.yaml` with `overrides`.

    Raises:
        UserError: one sentence for a misspelt key or option, a value of the wrong type, or an interpolation that fails.
    """
    return compose_seeds([overrides], None, config_dir)[0][0]


def compose_seeds(
    jobs: Sequence[Sequence[str]], seeds: int | None, config_dir: str | None = None
) -> list[list[Composed]]:
    """Compose many override lists, each for several seeds from its own on.

    Hydra merges the files once for all lists and seeds that differ in plain values alone: that merging costs a tenth of
    a second, another value less than a thousandth. See `genexp.templates`.

    Arguments:
        jobs: override lists.
        seeds: how many; None for the list as it stands.
        config_dir: the user's own groups.

    Raises:
        UserError: as `compose_train`.
    """
    templates: dict[Hashable, tuple[Template, dict[str, str]]] = {}
    found = []
    with _hydra(config_dir) as search:
        jobs = [[quoted(override) for override in overrides] for overrides in jobs]
        for overrides, (shape, values) in zip(jobs, shape_and_values(jobs, groups(config_dir)), strict=True):
            if shape not in templates:
                composed, choices = _compose(overrides, search, config_dir)
                with _resolving():
                    templates[shape] = Template(composed, {"seed": composed.seed, **values}), choices
            template, choices = templates[shape]
            with _resolving():
                first = template.filled(values)
                plains = [template.filled({**values, "seed": first["seed"] + k}) for k in range(1, seeds or 1)]
            found.append([_checked(plain, choices) for plain in (first, *plains)])
    return found


def compose_root(root: str, schema: type, overrides: Sequence[str], config_dir: str | None = None) -> Composed:
    """Compose another file than `conf/train.yaml`, from the same groups.

    Arguments:
        root: the file's name without its ending; `<root>_schema` is the first of its defaults.
        schema: the dataclass of its keys and their types.
        overrides: what a person gives.
        config_dir: the user's own groups.

    Raises:
        UserError: as `compose_train`.
    """
    with _hydra(config_dir) as search:
        ConfigStore.instance().store(name=f"{root}_schema", node=schema)
        composed, choices = _compose([quoted(override) for override in overrides], search, config_dir, root, schema)
        with _resolving():
            return Composed(to_plain(composed), choices)


def _compose(
    overrides: Sequence[str], search: list[str], config_dir: str | None, root: str = "train", schema: type = TrainConfig
) -> tuple[DictConfig, dict[str, str]]:
    """A config that is not resolved, and the option chosen for each group."""
    try:
        composed = compose(root, overrides=[*search, *overrides], return_hydra_config=True)
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(sentence(error, config_dir, root)) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"A config file cannot be read: {' '.join(str(error).split()).rstrip('.')}.") from error
    choices = {str(k): str(v) for k, v in composed.hydra.runtime.choices.items() if not str(k).startswith("hydra/")}
    OmegaConf.set_struct(composed, False)
    del composed["hydra"]
    known = [found.name for found in fields(schema)]
    for key in composed:
        if key not in known:
            raise UserError(f"There is no key {key!s} in the config:{nearest_word(str(key), known) or ' remove it.'}")
    _drop_idle_penalties(composed, overrides)
    OmegaConf.set_struct(composed, True)
    return composed, choices


def quoted(override: str) -> str:
    """An override that sets a formula of a loss in quotes, as Hydra reads it: a shell takes them away.

    Example:
        >>> quoted("loss.f=u*log(u)")
        'loss.f="u*log(u)"'
    """
    found = re.fullmatch(r"(loss\.(?:f|omega|rho|beta))=(?=[^\"]*[(*])([^'\"\[{$][^\"\[{$]*)", override)
    sweeps = found and re.match(r"(choice|range|interval|glob|sort|shuffle|tag|extend_list)\(", found[2])
    return f'{found[1]}="{found[2]}"' if found and not sweeps else override


@contextmanager
def _resolving() -> Iterator[None]:
    try:
        yield
    except OmegaConfBaseException as error:
        raise UserError(f"The config does not resolve: {first_line(error)}.") from error


def _checked(plain: dict[str, Any], choices: dict[str, str]) -> Composed:
    _check_ranges(plain)
    for group, default, what in (
        ("augment", "none", "changes what a critic sees"),
        ("head", "linear", "is the end of a critic"),
        ("prior", "normal", "is what latents are drawn from"),
    ):
        if choices.get(group, default) != default and group not in plain["model"]:
            raise UserError(
                f"{group}={choices[group]} {what}, and model={choices['model']} does not take it: "
                f"set {group}={default}."
            )
    return Composed(plain, choices)


def _drop_idle_penalties(composed: DictConfig, overrides: Sequence[str]) -> None:
    """Remove what a recipe sets for a penalty that the command line has replaced by another."""
    idle = [str(name) for name, node in composed.penalty.items() if "_target_" not in node]
    for name in idle:
        if any(override.lstrip("+").startswith(f"penalty.{name}") for override in overrides):
            raise UserError(f"There is no key penalty.{name} in the config: choose that penalty with penalty={name}.")
        del composed.penalty[name]


def from_plain(plain: dict[str, Any]) -> DictConfig:
    """A config saved by `to_plain`."""
    return OmegaConf.create(plain)


def to_plain(config: DictConfig) -> dict[str, Any]:
    """A config as dicts, lists, numbers and strings."""
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def identity(plain: dict[str, Any], with_seed: bool = True) -> str:
    """The hash of everything in a config that changes what is computed, 12 hex digits."""
    left_out = NOT_IDENTITY if with_seed else (*NOT_IDENTITY, "seed")
    kept = _without({key: value for key, value in plain.items() if key not in left_out}, NOT_IDENTITY_ANYWHERE)
    return hashlib.sha256(json.dumps(kept, sort_keys=True, default=str).encode()).hexdigest()[:12]


def _without(value: Any, names: Sequence[str]) -> Any:
    if isinstance(value, dict):
        return {key: _without(item, names) for key, item in value.items() if key not in names}
    return [_without(item, names) for item in value] if isinstance(value, list) else value


def build(node: Any, where: str) -> Any:
    """Instantiate a config node.

    Arguments:
        node: a node with `_target_`, or a mapping of such nodes.
        where: the node's place in the config, for the error sentence.

    Raises:
        UserError: if the target does not exist or refuses its arguments.
    """
    from hydra.utils import instantiate

    try:
        return instantiate(node, _convert_="all")
    except InstantiationException as error:
        cause = error.__cause__
        while isinstance(cause, InstantiationException):
            cause = cause.__cause__
        if isinstance(cause, UserError):
            raise cause from None
        raise UserError(f"{where} does not build: {first_line(cause or error)}.") from error


def _check_ranges(config: Mapping[str, Any]) -> None:
    for key in ("batch_size", "max_steps", "log_every", "checkpoint_every", "keep_checkpoints"):
        if config[key] < 1:
            raise UserError(f"{key}={config[key]} is out of range: give a whole number of at least 1.")
    if config["seeds"] is not None and config["seeds"] < 1:
        raise UserError(f"seeds={config['seeds']} is out of range: give a whole number of at least 1.")
    for key in ("score_every", "seed"):
        if config[key] < 0:
            raise UserError(f"{key}={config[key]} is out of range: give 0 or more.")


def save_yaml(plain: dict[str, Any], path: Path) -> None:
    """Write a config for people and for `load_yaml`, atomically."""
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # three times as fast where libyaml is
    atomic.write_text(path, yaml.dump(plain, Dumper=dumper, sort_keys=False))


def load_yaml(path: Path) -> dict[str, Any]:
    """Read a config written by `save_yaml`.

    Raises:
        UserError: if the file is missing, damaged or not a mapping.
    """
    if not path.is_file():
        raise UserError(f"{path.parent} is not a run: it has no {path.name}.")
    try:
        plain = OmegaConf.to_container(OmegaConf.load(path))
    except (yaml.YAMLError, OmegaConfBaseException, UnicodeDecodeError) as error:
        raise UserError(f"{path} is damaged: {first_line(error)}.") from error
    if not isinstance(plain, dict) or not plain:
        raise UserError(f"{path} is not a config: it must hold a mapping.")
    return {str(key): value for key, value in plain.items()}
