"""What is asked: the values (model), the slice files (load) and the seeded generators."""
