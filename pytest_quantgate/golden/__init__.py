"""What each variant is anchored to. Empty until goldens are built."""
