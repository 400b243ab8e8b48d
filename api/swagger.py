"""The page at /docs: Swagger UI, from our own files alone; without scripts, the plain list of what can be asked."""

from collections.abc import Mapping
from html import escape
from typing import Any

from api.describe import operations
from api.web.static_files import url


def page(described: Mapping[str, Any]) -> str:
    """HTML without inline script or style: the content security policy of pages forbids both."""
    rows = "".join(
        f"<li><code>{escape(method)} {escape(path)}</code> {escape(operation['summary'])}</li>"
        for path, method, operation in operations(dict(described))
    )
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'><title>API · Everleaf</title>"
        f"<link rel='icon' href='{url('leaf.svg')}'><link rel='stylesheet' href='{url('look.css')}'>"
        f"<link rel='stylesheet' href='{url('vendor/swagger-ui.css')}'>"
        f"<link rel='stylesheet' href='{url('reference.css')}'><script src='{url('theme.js')}'></script>"
        f"<script src='{url('vendor/swagger-ui-bundle.js')}' defer></script>"
        f"<script src='{url('reference.js')}' type='module'></script></head>"
        "<body><header class='docs-head'><a href='/'>Go to Situation</a></header>"
        "<main id='reference' data-described='/openapi.json'></main>"
        "<noscript><h1>Everleaf API</h1><p>Send <code>Authorization: Bearer evl_...</code>, made with "
        "<code>everleaf token create</code>. For machines: <a href='/openapi.json'>/openapi.json</a>.</p>"
        f"<ul>{rows}</ul></noscript></body></html>"
    )
