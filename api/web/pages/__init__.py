"""One file per page, each with a ``router`` that ``api.main`` includes: read, turn into words, render."""
