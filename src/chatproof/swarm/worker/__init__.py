"""One load process: makes the requests, looks at itself, and reports."""
