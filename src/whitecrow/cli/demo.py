"""``whitecrow demo``: the whole job once, on simulated traffic."""

import shlex
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.text import Text

from whitecrow.cli.console import Options
from whitecrow.cli.figures import alerts_table, comparison_table, facts
from whitecrow.cli.wording import percent
from whitecrow.core.errors import DataError

if TYPE_CHECKING:
    import polars as pl

    from whitecrow.detectors import Detector
    from whitecrow.workspace.assessment import Assessment
    from whitecrow.workspace.report.alerts import Alert

__all__ = ["demo"]

_ROWS, _ATTACK_RATE, _DAYS = 20_000, 0.02, 14
_DETECTORS = ("auto", "autoencoder", "isolation-forest")
# Chosen before any label was looked at; the best of three on these labels would be a choice by the labels.
_DETAILED = "auto"
_ALERTS, _REPORTED_ALERTS = 5, 12
_COST_MISS, _COST_FALSE_ALARM = 10.0, 1.0


def demo(
    *,
    out: Path = Path("whitecrow-demo"),
    seed: int = 0,
    serve: bool = False,
    port: int = 8000,
    options: Options = Options(),  # noqa: B008 - frozen
) -> None:
    """Do the whole job once, on simulated network traffic, in less than a minute.

    Three detectors learn from the first week of traffic, attacks among it, and are judged on the second.

    Parameters
    ----------
    out
        Folder for the data, the model, the scores and the report.
    seed
        The same seed gives the same result.
    serve
        Open the console in the browser instead, with simulated traffic of its own and four detectors that learn from
        it, in a workspace within the folder.
    port
        Port of that console, on this machine alone.
    """
    if serve:
        from whitecrow.cli.serve import run_console

        with options.console() as console:
            _folder(out)
            run_console(console, out / "workspace", "127.0.0.1", port, demo=True)
        return
    with options.console() as console:
        files = _files(out)
        console.say(f"Simulating {_ROWS:,} connections of an invented office network (SYNTHETIC data).")
        with console.working("Loading") as bar:
            from whitecrow.cli.assessment import LabelledScores, explained
            from whitecrow.cli.report import Page, model_facts, render
            from whitecrow.cli.streaming import Scored
            from whitecrow.core.files import write_bytes
            from whitecrow.data import TableWriter
            from whitecrow.io.batches import score_batch

            bar.update("Simulating traffic")
            earlier, later = _simulate(files, seed)
            fitted: dict[str, Detector] = {}
            assessments: dict[str, Assessment] = {}
            for name in _DETECTORS:
                console.say(f"Fitting {name} on the {earlier.height:,} connections of the first week.")
                bar.update(f"Fitting {name}")
                fitted[name] = _fit(name, earlier, seed)
                bar.update(f"Judging {name}")
                assessments[name] = _assess(fitted[name], later)
            detector, assessment = fitted[_DETAILED], assessments[_DETAILED]
            bar.update("Explaining the alerts")
            found = LabelledScores(detector, "label", _REPORTED_ALERTS)
            scored = score_batch(later, detector)
            found.add(Scored(later, scored["score"].to_numpy(), 1))
            alerts, _ = explained(detector, found.best, 3, assessment.labels)
            bar.update("Writing")
            detector.save(files["model"])
            with TableWriter(files["scores"]) as writer:
                writer.write(scored)
            page = Page(
                title="Three detectors on simulated traffic",
                subject=_DETAILED,
                introduction=_introduction(earlier.height, later.height),
                assessment=assessment,
                alerts=alerts,
                model=model_facts(detector, files["model"]),
                data={
                    "Rows": f"{_ROWS:,} simulated connections, seed {seed}: no evidence about a real network",
                    "Fitted on": f"the {earlier.height:,} of the first week, attacks among them, without labels",
                    "Judged on": f"the {later.height:,} of the second week: {assessment.labels}",
                    "Files": ", ".join(str(path) for path in files.values()),
                },
                notes=assessment.notes,
                rivals=assessments,
            )
            write_bytes(files["report"], render(page))
        console.result(_document(files, assessments, alerts), *_shown(files, assessments, alerts))


def _folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"--out {out}: this folder cannot be made ({error.strerror}). Choose another.") from error


def _files(out: Path) -> dict[str, Path]:
    _folder(out)
    names = {
        "report": "report.html",
        "model": f"{_DETAILED}.safetensors",
        "scores": "scores.parquet",
        "earlier": "earlier.parquet",
        "later": "later.parquet",
    }
    return {what: out / name for what, name in names.items()}


def _simulate(files: dict[str, Path], seed: int) -> tuple["pl.DataFrame", "pl.DataFrame"]:
    from whitecrow.data import TableWriter
    from whitecrow.data.traffic import traffic_table

    table = traffic_table(rows=_ROWS, attack_rate=_ATTACK_RATE, seed=seed, days=_DAYS)
    # A whole week to learn from: a detector that never saw a Sunday would find every Sunday odd.
    n = int((table["timestamp"] < table["timestamp"][0] + timedelta(days=_DAYS / 2)).sum())
    for what, part in (("earlier", table[:n]), ("later", table[n:])):
        with TableWriter(files[what]) as writer:
            writer.write(part)
    return table[:n], table[n:]


def _fit(name: str, earlier: "pl.DataFrame", seed: int) -> "Detector":
    from whitecrow.core import registry

    detector: Detector = registry.load(name)(contamination=_ATTACK_RATE, random_state=seed, verbose=False)
    return detector.fit(earlier.drop("label"))


def _assess(detector: "Detector", later: "pl.DataFrame") -> "Assessment":
    from whitecrow.data.labels import read_labels
    from whitecrow.metrics import Costs
    from whitecrow.workspace.assessment import assess

    rows = later.drop("label")
    return assess(
        detector,
        detector.anomaly_score(rows),
        read_labels(later["label"], None),
        rows.hash_rows(seed=0).to_numpy(),
        Costs(_COST_MISS, _COST_FALSE_ALARM),
    )


def _introduction(n_earlier: int, n_later: int) -> str:
    return (
        "The traffic is simulated and the attacks are known. The detectors learnt from the "
        f"{n_earlier:,} connections of a first week as they were, attacks among them, without their labels, and were "
        f"asked to flag {percent(_ATTACK_RATE)} of such traffic; all figures are from the {n_later:,} connections of "
        f"the second week. All but the comparison is about the {_DETAILED}, which was chosen before any label was "
        "looked at, and not because it came out best."
    )


def _document(
    files: dict[str, Path], assessments: dict[str, "Assessment"], alerts: tuple["Alert", ...]
) -> dict[str, Any]:
    return {
        "files": {what: str(path) for what, path in files.items()},
        "detailed": _DETAILED,
        "detectors": {name: assessment.to_dict() for name, assessment in assessments.items()},
        "alerts": [vars(alert) for alert in alerts],
    }


def _shown(
    files: dict[str, Path], assessments: dict[str, "Assessment"], alerts: tuple["Alert", ...]
) -> list[RenderableType]:
    report = assessments[_DETAILED].report
    model, later, earlier = (shlex.quote(str(files[what])) for what in ("model", "later", "earlier"))
    folder = shlex.quote(str(files["model"].parent))
    steps = (
        f"whitecrow explain {later} --model {model} --top 3",
        f"whitecrow evaluate {later} --model {model} --label label",
        f"whitecrow fit {earlier} --detector vae --label label -o {folder}/vae.safetensors",
        f"whitecrow score {later} --model {model} -o {folder}/scores.csv",
    )
    heading = (
        f"{report.n_anomalies} attacks among the {report.n:,} connections of the second week "
        f"({percent(report.prevalence)}); {percent(report.level)} intervals below each figure"
    )
    return [
        Text("\n" + heading),
        comparison_table(assessments),
        alerts_table(alerts[:_ALERTS], f"The highest scores of the {_DETAILED}, and why"),
        facts(
            {
                "Report": f"{files['report']} (open it in a browser)",
                "Model": str(files["model"]),
                "Scores": str(files["scores"]),
            }
        ),
        Text("\nWhat to do next", "bold"),
        *(f"  {step}" for step in steps),
        Text("Your own file takes the place of these: CSV, Parquet and others, with or without a label column."),
    ]
