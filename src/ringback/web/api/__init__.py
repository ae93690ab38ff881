"""The routes of the API, one file a subject; `web/subjects.py` loads them."""

from typing import Any, Final

from ringback.store.importing import MOST_BYTES
from ringback.web.problems import documented

API: Final = "/api/v1"
"""Where the API begins; a change that breaks clients gets another number."""

DIAGNOSES: Final = f"{API}/diagnoses"
LARGER: Final = {f"{API}/people/import": MOST_BYTES, f"{API}/plan/apply": 8_000_000}
"""Paths whose requests are larger than others may be, with how many octets they have at most."""

PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    401: documented("No token, or a wrong one."),
    403: documented("The token's role may not do this."),
    404: documented("There is no such thing."),
    409: documented("Not possible now, or taken already."),
    422: documented("A value is outside the rules."),
}
