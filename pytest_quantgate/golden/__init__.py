"""What each variant is anchored to, and how what it does now compares with that."""
