"""A label that stands for no answer, among the labels of predict."""

import numpy as np
from sklearn.utils import column_or_1d

# Signed and unsigned integers are of one kind; all else mixes as objects.
_KINDS = {"i": "integer", "u": "integer"}


def check_abstain_label(label, classes):
    """Refuse a label that is a class already, or a NaN that no class could be.

    Raises
    ------
    ValueError
        If the label is among the classes, or NaN where they are not floats.
    """
    if label is None:
        return
    if np.ndim(label):
        raise ValueError(f"abstain_label is {label!r}; expected one label.")
    try:
        missing = bool(label != label)  # NaN, NaT
    except TypeError:
        raise ValueError(
            f"abstain_label is {label!r}, which equals nothing, not even itself. Use "
            "another label, such as 'unknown'."
        ) from None
    if missing:
        if classes.dtype.kind != "f":
            raise ValueError(
                f"abstain_label is NaN, but the labels are of type {classes.dtype}, "
                "which has none. Use another label, or labels that are floats."
            )
    elif label in classes.tolist():
        raise ValueError(
            f"abstain_label is {label!r}, which is a class of y. Use another label."
        )


def with_abstentions(labels, accepted, label):
    """Return the labels, `label` in place of those that are not accepted.

    The type is one that holds both, of these rows or any others; None changes nothing.

    Examples
    --------
    >>> with_abstentions(np.array(["no", "yes"]), np.array([True, False]), "unknown")
    array(['no', 'unknown'], dtype='<U7')
    """
    if label is None:
        return labels
    labels = labels.astype(_common_type(labels.dtype, label))
    labels[~accepted] = label
    return labels


def accuracy(labels, accepted, label, y, sample_weight):
    """Return the accuracy of `predict`: a row without an answer is an error.

    Where `label` is None there is none, whatever is accepted. Labels are compared
    before they are mixed with `label`, whose type may differ.
    """
    right = labels == column_or_1d(y)
    if label is not None:
        right &= accepted
    return float(np.average(right, weights=sample_weight))


def _common_type(dtype, label):
    own = np.asarray(label).dtype
    kinds = {_KINDS.get(d.kind, d.kind) for d in (dtype, own)}
    if len(kinds) > 1:
        return np.dtype(object)
    if kinds == {"f"}:  # any float type takes a float, and NaN
        return dtype
    if kinds == {"integer"}:
        return _integer_type(dtype, int(label))
    return np.result_type(dtype, own)


def _integer_type(dtype, label):
    """Return the type of least room that holds those of `dtype` and the label."""
    if np.iinfo(dtype).min <= label <= np.iinfo(dtype).max:
        return dtype
    # -label - 1 has the sign and needs the room of a signed type.
    small = np.min_scalar_type(label if label < 0 else -label - 1)
    common = np.result_type(dtype, small)
    return common if common.kind in "iu" else np.dtype(object)
