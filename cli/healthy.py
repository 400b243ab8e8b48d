"""`python -m cli.healthy`: whether the part of this environment is well; what a container's health check calls.

A worker writes EVERLEAF_HEALTH_FILE with every beat: its age says that its loop turns, its words what it waits for; the
API is asked.  Imports nothing of ours, for it is started every few seconds.
"""

import os
import sys
import time
import urllib.request

# A worker says it every 5 s, and 13 s where both neighbours are mute; one late beat is no illness.
OLDEST_SECONDS = 20
PATIENCE_SECONDS = 5


def why_ill() -> str:
    """Empty: it is well."""
    file = os.environ.get("EVERLEAF_HEALTH_FILE", "")
    try:
        if file:
            age = time.time() - os.stat(file).st_mtime
            if age > OLDEST_SECONDS:
                return f"{file} is {age:.0f} s old"
            with open(file, encoding="utf-8") as stream:
                return stream.read(1000).strip()
        api = f"{os.environ.get('EVERLEAF_API_PORT', '8460')}/health/ready"
        # Of the watcher the port is named on which it listens for others.
        url = f"http://127.0.0.1:{sys.argv[1] + '/' if len(sys.argv) > 1 else api}"
        with urllib.request.urlopen(url, timeout=PATIENCE_SECONDS) as answer:
            return "" if answer.status == 200 else f"{url} answered {answer.status}"
    except OSError as problem:
        return str(problem)


def main() -> None:
    if problem := why_ill():
        print(problem, file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
