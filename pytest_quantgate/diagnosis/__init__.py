"""Why an answer changed. Empty until probes and repair are built."""
