"""How an answer is graded: a registry, and one file per family of checks."""
