"""Load: the only package that imports locust and gevent. Importing it alone imports neither."""
