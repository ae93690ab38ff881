"""The routes of the API, one file a subject."""

from typing import Final

API: Final = "/api/v1"
"""Where the API begins; a change that breaks clients gets another number."""
