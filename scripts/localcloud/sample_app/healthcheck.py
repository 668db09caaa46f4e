"""The image's HEALTHCHECK: ends with 0 when the application says that its database answers."""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request


def main() -> int:
    """Ask /healthz and print what it answers."""
    address = os.environ.get("LISTEN_ADDRESS", "127.0.0.1")
    port = os.environ.get("PORT", "8080")
    try:
        with urllib.request.urlopen(f"http://{address}:{port}/healthz", timeout=4) as answer:
            print(answer.read().decode())
            return 0
    except urllib.error.HTTPError as error:
        print(error.read().decode())
    except OSError as error:
        print(error)
    return 1


if __name__ == "__main__":
    sys.exit(main())
