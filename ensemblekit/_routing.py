"""Which metadata (sample_weight, groups, ..) reaches which object, and which tags."""

from typing import NamedTuple

from sklearn.model_selection import GroupKFold, KFold
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping
from sklearn.utils.validation import has_fit_parameter

from ._members import named_last_step, weight_parameter
from ._sklearn import Integral, check_sample_weight, process_routing, routing_enabled


class Routed(NamedTuple):
    """Keyword arguments for the members' fits, the splitter and the combiner."""

    members: dict[str, dict]
    split: dict
    combiner: dict


def route(owner, members, X, sample_weight, groups, params):
    """Decide which metadata reaches which member, the splitter and the combiner.

    Without metadata routing, weights reach every member, and groups the splitter and
    members whose fit names them, such as stacks; the combiner's are the owner's
    business.

    Raises
    ------
    ValueError, TypeError
        If metadata is passed that nobody takes.
    """
    given = {"sample_weight": sample_weight, "groups": groups, **params}
    given = {key: value for key, value in given.items() if value is not None}
    if routing_enabled():
        return _route_by_request(owner, members, given)
    if params:
        raise ValueError(
            f"{type(owner).__name__}.fit got {sorted(params)}; metadata other than "
            "sample_weight and groups needs "
            "sklearn.set_config(enable_metadata_routing=True)."
        )
    to_members: dict[str, dict] = {name: {} for name, _ in members}
    if sample_weight is not None:
        weight = check_sample_weight(sample_weight, X)
        for name, member in members:
            parameter = _weight_parameter(owner, name, member)
            to_members[name] = {} if parameter is None else {parameter: weight}
    if groups is not None:
        for name, member in members:
            step, last = named_last_step(member)
            if has_fit_parameter(last, "groups"):
                to_members[name][f"{step}groups"] = groups
    return Routed(to_members, {} if groups is None else {"groups": groups}, {})


def _weight_parameter(owner, name, member):
    """Return the name of the member's weights; None where it may do without."""
    try:
        return weight_parameter(f"Member {name!r}", member)
    except ValueError as error:
        if getattr(owner, "on_unsupported", "raise") == "ignore":
            return None
        error.add_note("With on_unsupported='ignore' it is fitted without weights.")
        raise


def _route_by_request(owner, members, given):
    try:
        requests = process_routing(owner, "fit", **given)
    except TypeError as error:
        if "groups" in given:
            error.add_note("If that is groups: this cv does not use groups.")
        raise
    if not given:
        return Routed({name: {} for name, _ in members}, {}, {})
    to_combiner = dict(requests["combiner"].fit) if "combiner" in requests else {}
    to_members = {name: dict(requests[name].fit) for name, _ in members}
    return Routed(to_members, dict(requests.splitter.split), to_combiner)


def fit_arguments(owner, model, X, params):
    """Return the keywords of a wrapped model's fit, for all rows, and their weights.

    Weights are (n_samples,) float64, or None; also those that the model is not given.
    """
    given = {key: value for key, value in params.items() if value is not None}
    if routing_enabled() and given:
        routed = dict(process_routing(owner, "fit", **given).estimator.fit)
        return routed, weights_among(X, given | routed)
    arguments = dict(given)
    weight = arguments.pop("sample_weight", None)
    if weight is not None:
        name = weight_parameter("The wrapped estimator", model)
        arguments[name] = check_sample_weight(weight, X)
    return arguments, weights_among(X, given)


def weights_among(X, params):
    """Return the weights among the keywords of a fit, checked; None without."""
    for name, value in params.items():
        if name.rpartition("__")[2] == "sample_weight" and value is not None:
            return check_sample_weight(value, X)
    return None


def make_router(owner, members, cv):
    """Build the metadata router of an owner of members and a splitter."""
    # Numbers of folds mean folds of groups where these are given; lists take nothing.
    splitter = KFold()
    if hasattr(cv, "split"):
        splitter = cv
    elif cv is None or isinstance(cv, Integral):
        splitter = GroupKFold()
    fit_to_fit = MethodMapping().add(caller="fit", callee="fit")
    router = MetadataRouter(owner=type(owner).__name__)
    for name, member in members:
        router.add(**{name: member}, method_mapping=fit_to_fit)
    return router.add(
        splitter=splitter,
        method_mapping=MethodMapping().add(caller="fit", callee="split"),
    )


def merge_member_tags(tags, estimators):
    """Accept NaN, sparse matrices, categories and strings where all members do."""
    try:
        members = [get_tags(e).input_tags for _, e in estimators if e != "drop"]
    except Exception:  # wrong members are reported by fit; tags must not raise
        return tags
    for tag in ("allow_nan", "sparse", "categorical", "string"):
        setattr(tags.input_tags, tag, all(getattr(m, tag) for m in members))
    return tags
