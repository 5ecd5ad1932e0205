"""Pictures of a search are tested on the networks that the search is tested on."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "decoding"))
