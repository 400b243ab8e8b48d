"""What is not ours stands here unchanged, each file with its version, its licence and its hash."""

from hashlib import sha256

from api.web.render import vendored
from api.web.static_files import STATIC


def test_every_vendored_file_is_listed_licensed_and_unchanged() -> None:
    listed = vendored()
    licences = {one["licence_file"] for one in listed}
    there = {path.name for path in (STATIC / "vendor").iterdir()} - {"vendor.toml"}
    # A bundle's own list of licences stands beside it.
    others = {name for name in there if name.endswith(".LICENSE.txt")}
    assert there == {one["name"] for one in listed} | licences | others
    for one in listed:
        assert sha256((STATIC / "vendor" / one["name"]).read_bytes()).hexdigest() == one["sha256"], one["name"]
        assert one["version"]
        assert one["licence"]


def test_no_page_asks_another_host_for_anything() -> None:
    ours = [path for path in STATIC.parent.rglob("*") if path.suffix in (".html", ".js", ".css", ".svg")]
    assert len(ours) > 15
    for path in ours:
        if path.parent.name == "vendor":
            continue
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text, path
        assert "https://" not in text, path
        assert "style=" not in text, path
