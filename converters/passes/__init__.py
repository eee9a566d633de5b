"""The rewrite rules of the converter, one module each: read, check, replace."""
