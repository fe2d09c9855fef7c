"""Servers that were not written here, judged and compared with what is written down of them; see run.py."""
