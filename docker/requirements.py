"""Print the requirements that a pyproject.toml lists: `requirements.py pyproject.toml [extra]`."""

import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path(sys.argv[1]).read_text())["project"]
print("\n".join(project["optional-dependencies"][sys.argv[2]] if sys.argv[2:] else project["dependencies"]))
