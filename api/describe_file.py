"""docs/openapi.json: ``python -m api.describe_file`` writes it anew.

Apart from ``api.describe``, for it needs the whole app, which is made of what is described there.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from api.main import description

FILE = Path(__file__).resolve().parent.parent / "docs" / "openapi.json"


def text(described: Mapping[str, Any]) -> str:
    return json.dumps(described, indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    FILE.write_text(text(description()))


if __name__ == "__main__":
    main()
