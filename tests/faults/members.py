"""Members that workers of other processes fit."""

import numpy as np
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge

from ..crossfit.tasks import Task

MEMBERS = {
    "logistic": LogisticRegression(),
    "ridge": Ridge(),
    "forest": RandomForestClassifier(10, random_state=0),
    "boosting": HistGradientBoostingClassifier(max_iter=5, random_state=0),
}


def make_jobs():
    X, y = make_classification(600, 20, random_state=0)
    tasks = [
        Task(name, f"fold {fold + 1} of 3", fold) for name in MEMBERS for fold in (0, 1)
    ]
    return (X, y), tasks


def fit_and_predict(X, y, task):
    held_out = np.arange(len(X)) % 3 == task.number
    model = clone(MEMBERS[task.name]).fit(X[~held_out], y[~held_out])
    method = "predict_proba" if hasattr(model, "predict_proba") else "predict"
    return getattr(model, method)(X[held_out])
