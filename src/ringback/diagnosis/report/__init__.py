"""The report of a diagnosis: one page that opens offline, and a PDF."""
