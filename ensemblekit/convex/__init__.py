"""Convex weights: any loss over any set of weights, each step a quadratic program.

Losses (`losses`, `problem`) know rows, sets (`feasible`, `constraints`) know weights;
`solve` brings them together, `fit` and `weighting` add duplicates, penalties and the
search over members, `ridge` and `inference` what follows from several solutions.
"""
