"""The built-in suites: folders of slice files, shipped as package data."""
