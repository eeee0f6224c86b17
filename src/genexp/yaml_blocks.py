"""Many YAML files that are nearly alike: what they share is parsed once.

The configs of a sweep's runs differ in a line or two. A file is cut into the blocks of its top-level keys, and blocks
with the same text give the same value.
"""

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from genexp import atomic

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast where libyaml is
KEPT_BLOCKS = 20_000
_TOP_LEVEL = re.compile(r"^(?=\w)", re.MULTILINE)


def load_mapping(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; empty if it is missing, damaged or holds anything else.

    Arguments:
        path: the file.

    Returns:
        What was read; inner values may be shared with those of other files and must not be changed.
    """
    try:
        text = atomic.read_text(path)
    except (OSError, UnicodeDecodeError):
        return {}
    return parsed(text)


def parsed(text: str) -> dict[str, Any]:
    r"""The mapping in a YAML text; empty if there is none.

    Example:
        >>> parsed("seed: 0\nloss:\n  weight: 1.0\n")
        {'seed': 0, 'loss': {'weight': 1.0}}
    """
    try:
        content: Any = {}
        for block in _TOP_LEVEL.split(text):
            content |= _block(block)
    except (yaml.YAMLError, TypeError):  # not made of such blocks, or with references from one to another
        try:
            content = yaml.load(text, Loader=LOADER)
        except yaml.YAMLError:
            return {}
    return {str(key): value for key, value in content.items()} if isinstance(content, dict) else {}


@lru_cache(KEPT_BLOCKS)
def _block(text: str) -> dict[Any, Any]:
    content = yaml.load(text, Loader=LOADER)
    if content is not None and not isinstance(content, dict):
        raise TypeError("a block is a mapping")
    return content or {}
