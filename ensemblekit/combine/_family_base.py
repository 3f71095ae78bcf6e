"""The combiners that a search tries, simplest first."""

from importlib import import_module

__all__ = ["default_combiners"]


def default_combiners(n_classes=0):
    """Return the combiners that a search tries by default, simplest first.

    Parameters
    ----------
    n_classes : int, default=0
        Number of classes; 0 for regression.

    Returns
    -------
    combiners : list of (str, estimator)
        Unfitted; to shorten, or to add to.

    Examples
    --------
    >>> from ensemblekit import default_combiners
    >>> [name for name, _ in default_combiners()][:4]
    ['mean', 'median', 'top mean', 'greedy']
    """
    combine = import_module(__package__)
    kind = "Classifier" if n_classes else "Regressor"

    def make(name, **parameters):
        return getattr(combine, name + kind)(**parameters)

    combiners = [("mean", make("Average")), ("median", make("Average", kind="median"))]
    if n_classes:  # values may be negative
        combiners.append(("geometric mean", make("Average", kind="geometric")))
    combiners += [
        ("top mean", make("EnsembleSelection", n_rounds=1, shrinkage=1.0)),
        ("greedy", make("EnsembleSelection")),
        ("greedy, rows bagged", make("EnsembleSelection", bagging="rows")),
        ("convex", make("Convex", ridge=0.0)),
        ("convex, ridge", make("Convex")),
        ("convex, affine", make("Recalibrated", calibrate="affine")),
        ("convex, isotonic", make("Recalibrated", calibrate="isotonic")),
    ]
    if not n_classes:
        robust = make("LinearStack", loss="huber")
        return [
            *combiners,
            ("linear stack, huber", robust),
            ("linear stack", make("LinearStack")),
        ]
    shared = make("LinearStack", weights="shared", features="log")
    return [
        *combiners,
        ("linear stack, shared", shared),
        ("linear stack, probability", make("LinearStack", features="probability")),
        ("linear stack", make("LinearStack")),
    ]
