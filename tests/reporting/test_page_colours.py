import itertools
import re

import numpy as np

from genexp.reporting.page import bundled_style

SIGHT = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
}
"""How linear RGB is seen, by the model of Machado, Oliveira and Fernandes (2009)."""


def hues():
    """The palettes, light and dark, in linear RGB with the ground that they stand on."""
    palettes = []
    for block in bundled_style().split("prefers-color-scheme"):
        colours = dict(re.findall(r"--(hue\d|card): (#[0-9a-f]{6})", block))
        linear = {}
        for name, code in colours.items():
            rgb = np.array([int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)])
            linear[name] = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        if len(linear) > 1:
            palettes.append((linear.pop("card"), list(linear.values())))
    return palettes


def oklab(linear):
    cones = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    lab = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )
    return lab @ np.cbrt(cones @ np.clip(linear, 0, 1))


def test_colours_are_told_apart_by_colour_blind_eyes_and_stand_out_from_the_ground():
    assert len(hues()) == 2
    for ground, palette in hues():
        assert len(palette) == 7
        for seen, (a, b) in itertools.product(SIGHT.values(), itertools.combinations(palette, 2)):
            assert np.linalg.norm(oklab(np.array(seen) @ a) - oklab(np.array(seen) @ b)) > 0.11
        luminance = np.array([0.2126, 0.7152, 0.0722])
        for colour in palette:
            low, high = sorted((float(luminance @ colour), float(luminance @ ground)))
            assert (high + 0.05) / (low + 0.05) > 3.0  # WCAG 2.1, graphical objects
