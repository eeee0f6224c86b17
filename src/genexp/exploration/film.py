"""Films of frames: GIF by Pillow, MP4 by the ffmpeg of imageio-ffmpeg, which is optional."""

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from genexp import atomic
from genexp.errors import UserError

Frame = NDArray[np.uint8]
"""(H, W) grey or (H, W, 3)."""


def check_film(form: str, fps: int) -> None:
    """Refuse, before anything is computed, a film that cannot be written on this machine.

    Arguments:
        form: `gif` or `mp4`.
        fps: frames a second.

    Raises:
        UserError: if something is not installed, or unknown, or out of range.
    """
    if form not in WRITERS:
        raise UserError(f"film={form} is unknown: choose {' or '.join(WRITERS)}.")
    if not 1 <= fps <= 50:
        raise UserError(f"fps={fps} is out of range: give 1 to 50 frames a second.")
    if form == "mp4" and find_spec("imageio_ffmpeg") is None:
        raise UserError("film=mp4 needs imageio-ffmpeg: pip install 'genexp[video]', or take film=gif.")


def write_film(frames: Sequence[Frame], fps: int, place: Path) -> None:
    """Write a film, whole or not at all.

    Arguments:
        frames: of one size.
        fps: frames a second.
        place: of the file; its ending is the format.
    """
    with atomic.replacing(place) as temporary:
        WRITERS[place.suffix.removeprefix(".")](frames, fps, temporary)


def _gif(frames: Sequence[Frame], fps: int, place: Path) -> None:
    """An endless one; its delays are whole hundredths of a second."""
    first, *others = (Image.fromarray(frame) for frame in frames)
    delay = 10 * max(2, round(100 / fps))  # browsers slow down shorter ones
    first.save(place, save_all=True, append_images=others, duration=delay, loop=0)


def _mp4(frames: Sequence[Frame], fps: int, place: Path) -> None:
    """H.264 that browsers and slides show; a black row or column makes odd sizes even, as the codec needs them."""
    import imageio_ffmpeg

    height, width = (size + size % 2 for size in frames[0].shape[:2])
    writer = imageio_ffmpeg.write_frames(
        str(place),
        (width, height),
        fps=fps,
        quality=8,
        macro_block_size=2,
        output_params=["-movflags", "+faststart"],
        ffmpeg_log_level="error",
    )
    writer.send(None)
    for frame in frames:
        whole = np.zeros((height, width, 3), dtype=np.uint8)
        whole[: frame.shape[0], : frame.shape[1]] = frame if frame.ndim == 3 else frame[..., None]
        writer.send(whole.tobytes())
    writer.close()


WRITERS: Mapping[str, Callable[[Sequence[Frame], int, Path], None]] = MappingProxyType({"gif": _gif, "mp4": _mp4})
