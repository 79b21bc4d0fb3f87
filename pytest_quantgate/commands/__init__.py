"""What the `quantgate` command does, one file per command that is more than a few lines."""
