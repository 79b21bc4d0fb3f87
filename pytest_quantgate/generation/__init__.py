"""How answers are made: requests, completions, their cache, and the decoding engine."""
