"""The other end of a run: collects the reports, judges, shows and writes."""
