"""The groups and their options, as they stand in the folders of configs: genexp's own and a user's."""

from pathlib import Path


def conf_dir() -> Path:
    """The folder of genexp's own configs: beside the package in a wheel, at the top of the repository in a checkout."""
    inside = Path(__file__).parent / "conf"
    return inside if inside.is_dir() else Path(__file__).parents[2] / "conf"


def options(group: str, config_dir: str | None = None) -> list[str]:
    """The options of a group, the user's own included."""
    names = {path.stem for folder in _folders(config_dir) for path in (folder / group).glob("*.yaml")}
    return sorted(names)


def groups(config_dir: str | None = None) -> list[str]:
    """The groups, in the order of their folders' names."""
    return sorted({path.name for folder in _folders(config_dir) for path in folder.iterdir() if path.is_dir()})


def describe(group: str, option: str, config_dir: str | None = None) -> str:
    """The first comment of an option's file: what it is."""
    for folder in _folders(config_dir):
        path = folder / group / f"{option}.yaml"
        if path.is_file():
            comments = [line for line in path.read_text().splitlines() if line.startswith("#")]
            comments = [line.lstrip("# ").strip() for line in comments if "@package" not in line]
            return comments[0] if comments else ""
    return ""


def _folders(config_dir: str | None) -> list[Path]:
    """Where configs are looked for, a user's own first."""
    return [*([Path(config_dir)] if config_dir else []), conf_dir()]
