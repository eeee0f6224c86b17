"""What every job needs, imported once by the fork server; nothing here may compute.

A thread of torch's, a CUDA context or a drawn random number would be inherited by every job.
"""

import gc
import pkgutil
from contextlib import suppress
from importlib import import_module

import torch

import genexp
from genexp.provenance import provenance

LEFT_OUT = ("genexp.__main__", "genexp.reporting.wandb_dashboard", "genexp.sweeping.preloaded")
LAZY = (
    "PIL.JpegImagePlugin",
    "contourpy",
    "matplotlib.backends.backend_agg",
    "omegaconf._impl",
    "rich._emoji_codes",
    "sklearn.datasets",
    "sklearn.linear_model",
    "torch.utils.serialization",
    "wandb",
)
"""What the stack imports at its first use."""


def load() -> None:
    """Import the stack."""
    for module in pkgutil.walk_packages(genexp.__path__, "genexp."):
        if module.name not in LEFT_OUT:
            with suppress(ImportError):  # of an extra that is not installed
                import_module(module.name)
    for name in LAZY:
        with suppress(ImportError):  # a later version may have moved it
            import_module(name)
    provenance()  # asks git
    if torch.cuda.is_initialized():
        raise RuntimeError("importing the stack has initialised CUDA: a forked job could not use it")
    gc.collect()
    gc.freeze()  # the collector leaves these pages shared


load()
