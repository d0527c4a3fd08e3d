"""`install_template.py FILE`: puts the index template `results` into Elasticsearch, whatever was there before."""

import os
import sys
import urllib.error
import urllib.request
from pathlib import Path


def main() -> int:
    """Install the template; 1 and one line on stderr where Elasticsearch refuses or does not answer."""
    url = os.environ["ARGUS_ELASTICSEARCH_URL"].rstrip("/") + "/_index_template/results"
    request = urllib.request.Request(
        url, data=Path(sys.argv[1]).read_bytes(), method="PUT", headers={"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            print(response.read().decode())
    except urllib.error.HTTPError as refused:
        print(f"{url}: {refused.code} {refused.read().decode(errors='replace')}", file=sys.stderr)
        return 1
    except OSError as unreachable:
        print(f"{url}: {unreachable}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
