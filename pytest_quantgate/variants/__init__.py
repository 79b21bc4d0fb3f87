"""Which model answers: specs, model sources, backends, identity and audit."""
