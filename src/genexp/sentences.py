"""One sentence for each of Hydra's and OmegaConf's errors, with what was probably meant."""

import difflib
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from hydra import compose
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from genexp.catalogue import groups, options


def first_line(error: BaseException) -> str:
    """What an error says, up to the end of its first line, without the full stop."""
    line = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return line.strip().rstrip(".")


def sentence(error: Exception, config_dir: str | None, root: str) -> str:
    """One sentence for one of Hydra's or OmegaConf's errors."""
    text = f"{error}\n{error.__cause__ or ''}"
    if isinstance(error, OverrideParseException):
        return f"{error.override} does not parse: {first_line(error)}."
    if found := re.search(r"Could not find '([\w.-]+)/([^']*)'", text):
        group, option = found.groups()
        known = options(group, config_dir)
        return f"There is no {group}={option}:{nearest_word(option, known)} The options are {', '.join(known)}."
    if found := re.search(r"Could not override '([^']+)'", text):
        key = found[1]
        if key in groups(config_dir):
            return f"{key} takes one of {', '.join(options(key, config_dir))}."
        return f"There is no key {key} in the config:{_nearest_key(key, config_dir, root)}"
    full_key = re.search(r"full_key: ([\w.\[\]-]+)", text)
    if full_key and re.search(r"Key '[^']*' (is )?not in", text):
        return f"There is no key {full_key[1]} in the config:{_nearest_key(full_key[1], config_dir, root)}"
    if found := re.search(r"Interpolation key '([^']+)' not found", text):
        return f"The config refers to {found[1]}, which does not exist: mend the interpolation or add the key."
    reason = first_line(error.__cause__ or error)
    if full_key:
        return f"{full_key[1]} has a wrong value: {reason}."
    return f"The config does not compose: {reason}."


def _nearest_key(key: str, config_dir: str | None, root: str) -> str:
    """A suggestion for a misspelt key, from its neighbours in the default config."""
    parent, _, leaf = key.lstrip("+~").rpartition(".")
    group, _, option = parent.partition(".")
    if group == "penalty" and option in options("penalty", config_dir):
        return f" choose that penalty with penalty={option}."
    node: Any = None
    if parent:
        with suppress(HydraException, OmegaConfBaseException):  # a suggestion is no reason to fail
            node = OmegaConf.select(compose(root), parent)
    if isinstance(node, DictConfig):
        close = "" if leaf in node else nearest_word(key, [f"{parent}.{name!s}" for name in node])
        return close or f" the chosen {parent} does not take it."
    known = [*map(str, compose(root)), *(["experiment"] if root == "train" else [])]
    return nearest_word(leaf, known) or f" the config has {', '.join(known)}."


def nearest_word(word: str, known: Sequence[str]) -> str:
    """A question for the known word that is most like one; empty if none is."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f" did you mean {close[0]}?" if close else ""
