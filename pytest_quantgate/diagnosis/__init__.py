"""Why a slice broke under quantization, and what repairs it. Importing the room imports no torch."""
