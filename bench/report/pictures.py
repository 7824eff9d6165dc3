"""The pictures of docs/pictures, taken of the real pages: both families trained on the bundled sample, then looked at.

    PYTHONPATH=src python -m bench.report.pictures        # two trainings, an MLflow server, a browser: a few minutes

Needs Chromium. Nothing is left but the pictures.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mlflow.tracking import MlflowClient

from bench.promotion import server
from bench.report import browser
from bench.report.browser import Browser
from intents.report.pictures.canvas import CJK_FONT_FILE

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs" / "pictures"
TRAININGS = {"train_bert": ["--epochs", "8"], "train_cnn": ["--epochs", "20"]}
WIDTH, HEIGHT = 1400, 1000
SETTLING_SECONDS = 4
"""What a page goes on fetching and moving for, once its words are there."""
TIDY = """(() => {
    const all = selector => [...document.querySelectorAll(selector)];
    all('button').filter(one => /close/i.test(one.ariaLabel || '')).forEach(one => one.click());
    all('[role=button], button').filter(one => one.innerText.trim() === 'Visualizations').forEach(one => one.click());
})()"""
"""Closes what stands beside the page, and the plots above the tables."""


def main() -> int:
    if browser.program() is None:
        print("no Chromium here: apt-get install chromium", file=sys.stderr)
        return 2
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name, server.served(Path(name)) as address:
        _use_font(Path(name))
        for command, flags in TRAININGS.items():
            _train(command, flags, address=address, folder=Path(name))
        _look(address, Path(name))
    return 0


def _use_font(folder: Path) -> None:
    """Lets the browser find the bundled font, in case the machine has none with Chinese glyphs."""
    (folder / "fonts").mkdir()
    shutil.copy(CJK_FONT_FILE, folder / "fonts")
    os.environ["XDG_DATA_HOME"] = str(folder)


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
        "mlflow_runs": ("experiments/0/runs", "textcnn", 600),
        "mlflow_compare": (f'compare-runs?runs={ids}&experiments=["0"]', "learning_rate", 1680),
        "mlflow_models": ("models/intent_predictor", "Version 2", 700),
        "mlflow_report": (
            f"experiments/0/runs/{runs[0].info.run_id}/artifacts/report.html",
            "report.html",
            HEIGHT,
        ),
    }
    with Browser(folder / "browser", width=WIDTH, height=HEIGHT) as tab:
        for name, (place, words, height) in views.items():
            tab.resize(WIDTH, height)
            tab.call("Page.navigate", url=f"{address}/#/{place}")
            tab.wait_for(f"document.body?.innerText.includes({json.dumps(words)})")
            tab.value(TIDY)
            time.sleep(SETTLING_SECONDS)
            tab.screenshot(PICTURES / f"{name}.png", is_whole=False)
            print(PICTURES / f"{name}.png")
        tab.resize(WIDTH, HEIGHT)
        page = client.download_artifacts(runs[0].info.run_id, "report.html", str(folder))
        tab.open(Path(page))
        tab.screenshot(PICTURES / "report.png", is_whole=False)
        print(PICTURES / "report.png")


if __name__ == "__main__":
    sys.exit(main())
