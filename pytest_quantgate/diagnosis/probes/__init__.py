"""What activations tell: pure functions on tensors, one file for each family, with formula and source in each.

They work in float32 and over any leading dimensions at once. Where a number is undefined, such as the direction of a
vector of zeros, they give NaN, never a number in its place. What they are given must be finite: ``diagnosis.measure``,
which averages over cases, leaves readings out that are not. Importing this package imports no torch; its modules do.
"""
