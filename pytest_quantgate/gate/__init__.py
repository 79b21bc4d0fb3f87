"""What fails the build: policy and statistics become one verdict per slice and candidate."""
