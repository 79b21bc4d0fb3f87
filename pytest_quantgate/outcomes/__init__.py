"""What changed between reference and candidate: outcomes, transitions and their statistics."""
