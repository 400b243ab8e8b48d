from pathlib import Path

import pytest

from activities.policy_file import PolicyFile
from domain.errors import BadInput, BadPolicy

EXAMPLE = Path(__file__).parents[2] / "demo" / "policy.yaml"


def test_a_policy_is_read_again_when_it_changed_and_a_bad_one_never_replaces_a_good_one(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    file = PolicyFile(path)
    with pytest.raises(BadInput, match="is not there"):
        file.load()
    path.write_text("people: [")
    with pytest.raises(BadPolicy):
        file.load()
    path.write_bytes(EXAMPLE.read_bytes())
    first = file.load()
    assert file.load() is first
    path.write_text("people: [")
    assert file.load() is first
    path.unlink()
    assert file.load() is first
    path.write_bytes(EXAMPLE.read_bytes() + b"\n# edited\n")
    assert file.load().version != first.version
