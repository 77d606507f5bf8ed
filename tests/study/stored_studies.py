"""Stores with figures made up, for studies that nobody ran."""

import numpy as np

from whitecrow.study.figures import figures
from whitecrow.study.outcome import Outcome
from whitecrow.study.plan import Study
from whitecrow.study.store import Store

# Detectors differ only in their titles here, so the cheapest one to import stands for all.
METHOD = "pca"


def study_of(datasets=("a", "b"), detectors=("x", "y", "z"), **given):
    document = {
        "name": "made-up",
        "data": list(datasets),
        "detectors": [
            {"name": METHOD, "label": label, "parameters": {"n_components": k + 1}} for k, label in enumerate(detectors)
        ],
        "protocol": "robustness",
        "seeds": 4,
        **given,
    }
    return Study.of(document)


def noise(cell, spread=0.02):
    """A figure that depends on the cell alone."""
    word = "/".join(map(str, cell.coordinates))
    return 0.8 - 2 * cell.contamination + spread * np.random.default_rng(list(word.encode())).normal()


def outcome(cell, value, error="", families=("scan", "flood"), notes=()):
    if error:
        return Outcome(error=error, notes=list(notes)).document()
    made = {name: float(np.clip(value - 0.001 * k, 0, 1)) for k, name in enumerate(figures())}
    made["auroc"] = float(value)
    kinds = {kind: (20 + k, float(np.clip(value, 0, 1)), 0.25) for k, kind in enumerate(families)}
    return Outcome(
        figures=made, families=kinds, fit_s=0.5 + cell.seed, score_s=0.01, memory_mb=300.0 + cell.seed, n_train=1000,
        n_test=500, prevalence=0.1, copies=0.02, together=2, notes=list(notes),
    ).document()  # fmt: skip


def fill(store: Store, study: Study, value=noise, *, error=lambda cell: "", keep=lambda cell: True, **how):
    """Store every cell of the study for which ``keep`` holds."""
    keys = [cell.key(cell.data.name) for cell in study.cells]
    store.plan(study, keys)
    store.write(
        (key, cell, "0.1.0+abc", outcome(cell, value(cell), error(cell), **how))
        for key, cell in zip(keys, study.cells, strict=True)
        if keep(cell)
    )
    return store
