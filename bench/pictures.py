"""The pictures of docs/pictures, taken of the real pages: both families trained on the bundled sample, then looked at.

    PYTHONPATH=src:. python bench/pictures.py        # two trainings, an MLflow server, a browser: a few minutes

Needs Chromium. Nothing is left but the pictures.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mlflow.tracking import MlflowClient

from bench import server
from tests import browser
from tests.browser import Browser

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"
TRAININGS = {"train_bert": ["--epochs", "8"], "train_cnn": ["--epochs", "20"]}
WIDTH, HEIGHT = 1400, 1000


def main() -> int:
    if browser.program() is None:
        print("no Chromium here: apt-get install chromium", file=sys.stderr)
        return 2
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name, server.served(Path(name)) as address:
        for command, flags in TRAININGS.items():
            _train(command, flags, address=address, folder=Path(name))
        _look(address, Path(name))
    return 0


def _train(command: str, flags: list[str], *, address: str, folder: Path) -> None:
    environment = os.environ | {"MLFLOW_TRACKING_URI": address, "PYTHONPATH": str(ROOT / "src")}
    workspace = ["--workspace", str(folder / "workspaces")]
    subprocess.run(
        [sys.executable, "-m", "intents.cli", command, *flags, *workspace],
        cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def _look(address: str, folder: Path) -> None:
    client = MlflowClient(tracking_uri=address)
    runs = client.search_runs(["0"], order_by=["attributes.start_time"])
    ids = json.dumps([run.info.run_id for run in runs])
    views = {
        "mlflow_runs": ("experiments/0/runs", "document.body.innerText.includes('textcnn')"),
        "mlflow_compare": (
            f'compare-runs?runs={ids}&experiments=["0"]',
            "document.body.innerText.includes('learning_rate')",
        ),
        "mlflow_models": ("models/intent_predictor", "document.body.innerText.includes('Version 2')"),
        "mlflow_report": (
            f"experiments/0/runs/{runs[0].info.run_id}/artifacts/report.html",
            "document.querySelector('iframe') !== null",
        ),
    }
    with Browser(folder / "browser", width=WIDTH, height=HEIGHT) as tab:
        for name, (place, is_shown) in views.items():
            tab.call("Page.navigate", url=f"{address}/#/{place}")
            tab.wait_for(is_shown)
            time.sleep(3)  # what the page still fetches
            tab.screenshot(PICTURES / f"{name}.png", is_whole=False)
            print(PICTURES / f"{name}.png")
        page = client.download_artifacts(runs[0].info.run_id, "report.html", str(folder))
        tab.open(Path(page))
        tab.screenshot(PICTURES / "report.png", is_whole=False)
        print(PICTURES / "report.png")


if __name__ == "__main__":
    sys.exit(main())
