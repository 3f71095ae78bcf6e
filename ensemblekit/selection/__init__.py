"""Ensemble selection on predictions: scores of candidates, greedy rules, bags."""
