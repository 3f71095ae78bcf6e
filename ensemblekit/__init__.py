"""Combine models: cross-fitting, exact weights, selection and stacking.

Members are base models, P is the matrix of their predictions, a library is P with
names, targets and folds, a combiner is fitted on P, a cross-fit makes the library.

- `StackedClassifier`, `StackedRegressor`: members and a combiner as one estimator.
- `StackedQuantileRegressor`: the same for quantiles; `PerLevelQuantileRegressor`,
  `ForestQuantileRegressor`, `ResidualQuantileRegressor`: its members.
- `CrossFit`: members to out-of-fold predictions. `PredictionLibrary`: predictions made
  elsewhere. `PredictionCache`: a folder where predictions outlive the process.
  `PrefitMember`: a model trained elsewhere, with its out-of-fold predictions.
- `ConvexClassifier`, `EnsembleSelectionClassifier`, `AverageClassifier`,
  `LinearStackClassifier` and their regressors: the combiners.
- `blend`: prediction files or arrays combined in every way that applies, with nested
  scores; `write_blend`, `apply_blend`: as files, and on new predictions.
- `audit`: are held-out predictions held out, and what leaks into them.
- `EnsembleReport`: all of that on one page, and as JSON.
- `default_members`: a library to start from. `evaluate_loss`: the losses.
- `read_bank`: files of predictions made elsewhere as a library; `find_problems`: what
  is wrong with them.
- `SelectiveVotingClassifier`: answers only where another training would agree.
- `pinball_loss`, `interval_coverage`, `crps_from_quantiles` and the rest of
  `ensemblekit.metrics`: scores of quantiles, intervals and draws.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what type checkers and editors see; a test holds it against __all__
    from ._cache import PredictionCache
    from .auditing import AuditReport, audit
    from .blending import Blend, apply_blend, blend, write_blend
    from .combine._average import AverageClassifier, AverageRegressor
    from .combine._cma import CMAEnsembleClassifier, CMAEnsembleRegressor
    from .combine._convex_classifier import ConvexClassifier
    from .combine._convex_regressor import ConvexRegressor
    from .combine._decision import DecisionOffsetClassifier
    from .combine._family_base import default_combiners
    from .combine._guarded import GuardedClassifier, GuardedRegressor
    from .combine._hill import HillClimbingClassifier, HillClimbingRegressor
    from .combine._linear_classifier import LinearStackClassifier
    from .combine._linear_regressor import LinearStackRegressor
    from .combine._pool import ConvexPoolRegressor
    from .combine._population import (
        QOEnsembleSelectionClassifier,
        QOEnsembleSelectionRegressor,
    )
    from .combine._population_diversity import (
        QDOEnsembleSelectionClassifier,
        QDOEnsembleSelectionRegressor,
    )
    from .combine._quantile_aggregator import QuantileAggregator
    from .combine._quantile_pool import QuantilePoolRegressor
    from .combine._recalibrated import RecalibratedClassifier, RecalibratedRegressor
    from .combine._search import CombinerSearchClassifier, CombinerSearchRegressor
    from .combine._selection_classifier import EnsembleSelectionClassifier
    from .combine._selection_regressor import EnsembleSelectionRegressor
    from .combine._selective_vote import SelectiveVoteClassifier
    from .conformal import (
        AdaptiveConformalRegressor,
        ConformalClassifier,
        ConformalPredictiveRegressor,
        ConformalRegressor,
        ConformalSelector,
        EnbPIRegressor,
        MergedIntervals,
        MultiOutputConformalRegressor,
        NarrowestSelection,
        OptimizedSelection,
        adaptive_interval,
        adaptive_thresholds,
        conformal_p_values,
        conformal_quantile,
        conformal_rank,
        conformal_set_scores,
        conformal_sets,
        coverage_by_width,
        cross_conformal_interval,
        jackknife_after_bootstrap_interval,
        merge_intervals,
        merge_sets,
        optimized_conformal_selection,
        predictive_cdf,
        predictive_crps,
        predictive_quantiles,
        select_by_fdr,
        select_narrowest,
        weighted_conformal_quantile,
    )
    from .crossfit import CrossFit
    from .exceptions import (
        CacheWarning,
        FileError,
        GuardWarning,
        InfeasibleRankWarning,
        MemberError,
        UncacheableError,
    )
    from .files import (
        Bank,
        Finding,
        MemberFiles,
        Target,
        find_files,
        find_problems,
        read_bank,
        read_target,
    )
    from .leaderboard import cross_fitted_predictions
    from .library import PredictionLibrary
    from .losses import evaluate_loss
    from .members import default_members
    from .metrics import (
        crps_from_ensemble,
        crps_from_quantiles,
        interval_coverage,
        interval_score,
        pinball_loss,
        pit_from_ensemble,
        pit_from_quantiles,
        weighted_interval_score,
    )
    from .prefit import PrefitMember
    from .quantile_members.defaults import default_quantile_members
    from .quantile_members.forest import ForestQuantileRegressor
    from .quantile_members.per_level import PerLevelQuantileRegressor
    from .quantile_members.residual import ResidualQuantileRegressor
    from .report import EnsembleReport
    from .selective import (
        AmbiguityDecomposition,
        CascadeClassifier,
        CascadeCurve,
        CascadeRegressor,
        CertifiedVotes,
        ConfidenceSelection,
        DiversityReport,
        MultiplicityReport,
        PairwiseDiversity,
        PartitionVotingClassifier,
        RashomonCapacity,
        RequiredMembers,
        RiskCoverageCurve,
        RiskThreshold,
        SelectiveAttributions,
        SelectiveClassifier,
        SelectiveVote,
        SelectiveVotingClassifier,
        SetCalibration,
        UncertaintyDecomposition,
        ambiguity,
        ambiguity_decomposition,
        attribution_consistency,
        augrc,
        augrc_scorer,
        aurc,
        aurc_scorer,
        cascade_curve,
        certified_radius,
        clopper_pearson_upper,
        conflict_bound,
        coverage_at_risk,
        decompose_uncertainty,
        decompose_variance,
        disagreement,
        discrepancy,
        diversity_report,
        e_aurc,
        estimate_agreement,
        ltt_threshold,
        multiplicity_report,
        pairwise_diversity,
        rashomon_capacity,
        rashomon_set,
        rejection_cost_scorer,
        required_members,
        residual_correlation,
        risk_at_coverage,
        risk_coverage_curve,
        selective_accuracy_scorer,
        selective_attributions,
        selective_cutoffs,
        selective_vote,
        set_calibration_test,
        sgr_threshold,
        viable_prediction_range,
        vote_counts,
    )
    from .stack import StackedClassifier, StackedRegressor
    from .stack_quantiles import StackedQuantileRegressor

__version__ = "0.1.0.dev0"

# Public names load at their first use, so that importing the package costs nothing.
_MODULES = {
    "AdaptiveConformalRegressor": "conformal",
    "AmbiguityDecomposition": "selective",
    "Bank": "files",
    "CacheWarning": "exceptions",
    "FileError": "exceptions",
    "Finding": "files",
    "MemberFiles": "files",
    "Target": "files",
    "find_files": "files",
    "find_problems": "files",
    "read_bank": "files",
    "read_target": "files",
    "AuditReport": "auditing",
    "Blend": "blending",
    "CascadeClassifier": "selective",
    "CascadeCurve": "selective",
    "CascadeRegressor": "selective",
    "CertifiedVotes": "selective",
    "ConfidenceSelection": "selective",
    "ConformalClassifier": "conformal",
    "ConformalPredictiveRegressor": "conformal",
    "ConformalRegressor": "conformal",
    "ConformalSelector": "conformal",
    "CrossFit": "crossfit",
    "DiversityReport": "selective",
    "EnbPIRegressor": "conformal",
    "EnsembleReport": "report",
    "ForestQuantileRegressor": "quantile_members",
    "GuardWarning": "exceptions",
    "InfeasibleRankWarning": "exceptions",
    "MemberError": "exceptions",
    "MergedIntervals": "conformal",
    "MultiOutputConformalRegressor": "conformal",
    "MultiplicityReport": "selective",
    "NarrowestSelection": "conformal",
    "OptimizedSelection": "conformal",
    "PairwiseDiversity": "selective",
    "PartitionVotingClassifier": "selective",
    "PerLevelQuantileRegressor": "quantile_members",
    "PredictionCache": "_cache",
    "PrefitMember": "prefit",
    "PredictionLibrary": "library",
    "RashomonCapacity": "selective",
    "RequiredMembers": "selective",
    "ResidualQuantileRegressor": "quantile_members",
    "RiskCoverageCurve": "selective",
    "RiskThreshold": "selective",
    "SelectiveAttributions": "selective",
    "SelectiveClassifier": "selective",
    "SelectiveVote": "selective",
    "SelectiveVotingClassifier": "selective",
    "SetCalibration": "selective",
    "StackedClassifier": "stack",
    "StackedQuantileRegressor": "stack_quantiles",
    "StackedRegressor": "stack",
    "UncacheableError": "exceptions",
    "UncertaintyDecomposition": "selective",
    "adaptive_interval": "conformal",
    "adaptive_thresholds": "conformal",
    "ambiguity": "selective",
    "ambiguity_decomposition": "selective",
    "attribution_consistency": "selective",
    "apply_blend": "blending",
    "audit": "auditing",
    "augrc": "selective",
    "augrc_scorer": "selective",
    "aurc": "selective",
    "aurc_scorer": "selective",
    "cascade_curve": "selective",
    "blend": "blending",
    "certified_radius": "selective",
    "clopper_pearson_upper": "selective",
    "conflict_bound": "selective",
    "conformal_p_values": "conformal",
    "conformal_quantile": "conformal",
    "conformal_rank": "conformal",
    "conformal_set_scores": "conformal",
    "conformal_sets": "conformal",
    "coverage_at_risk": "selective",
    "coverage_by_width": "conformal",
    "cross_conformal_interval": "conformal",
    "cross_fitted_predictions": "leaderboard",
    "crps_from_ensemble": "metrics",
    "crps_from_quantiles": "metrics",
    "decompose_uncertainty": "selective",
    "decompose_variance": "selective",
    "default_combiners": "combine._family_base",
    "default_members": "members",
    "default_quantile_members": "quantile_members",
    "disagreement": "selective",
    "discrepancy": "selective",
    "diversity_report": "selective",
    "e_aurc": "selective",
    "estimate_agreement": "selective",
    "evaluate_loss": "losses",
    "interval_coverage": "metrics",
    "interval_score": "metrics",
    "jackknife_after_bootstrap_interval": "conformal",
    "ltt_threshold": "selective",
    "merge_intervals": "conformal",
    "merge_sets": "conformal",
    "multiplicity_report": "selective",
    "optimized_conformal_selection": "conformal",
    "pairwise_diversity": "selective",
    "pinball_loss": "metrics",
    "pit_from_ensemble": "metrics",
    "pit_from_quantiles": "metrics",
    "predictive_cdf": "conformal",
    "predictive_crps": "conformal",
    "predictive_quantiles": "conformal",
    "rashomon_capacity": "selective",
    "rashomon_set": "selective",
    "rejection_cost_scorer": "selective",
    "required_members": "selective",
    "residual_correlation": "selective",
    "risk_at_coverage": "selective",
    "risk_coverage_curve": "selective",
    "select_by_fdr": "conformal",
    "select_narrowest": "conformal",
    "selective_accuracy_scorer": "selective",
    "selective_attributions": "selective",
    "selective_cutoffs": "selective",
    "selective_vote": "selective",
    "set_calibration_test": "selective",
    "sgr_threshold": "selective",
    "viable_prediction_range": "selective",
    "vote_counts": "selective",
    "weighted_conformal_quantile": "conformal",
    "weighted_interval_score": "metrics",
    "write_blend": "blending",
}


def __getattr__(name):
    if name == "__all__":
        return __dir__()
    if name in _MODULES:
        return getattr(import_module(f".{_MODULES[name]}", __name__), name)
    if name[:1].isupper() and name in import_module(".combine", __name__).__all__:
        return getattr(import_module(".combine", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted([*_MODULES, *import_module(".combine", __name__).__all__])
