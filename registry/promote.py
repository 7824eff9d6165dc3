"""`python -m registry.promote`: publish the registered version marked Production.

python -m registry.promote              publish what Production names now
python -m registry.promote --version 7  mark version 7 Production, then publish it
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from intents import cli
from intents.config import PromoteConfig
from intents.parameters import build


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; 0 when published or nothing to do, 2 when refused."""
    parser = argparse.ArgumentParser(
        prog="python -m registry.promote", description=__doc__.splitlines()[0], allow_abbrev=False
    )
    cli.add_flags(parser, "promote")
    texts = {name: text for name, text in vars(parser.parse_args(argv)).items() if text is not None}
    return cli.guarded(lambda: promote(build(PromoteConfig, texts)))


def promote(config: PromoteConfig) -> str:
    """Publishes one version and says what was done. Raises PromotionError; the live directory then is untouched."""
    from intents import interrupts, stores
    from registry import source, store

    cli.quieten()
    stores.connect()
    target = Path(config.target)
    chosen = source.resolve(config.name, config.version)
    with interrupts.stop_the_run(), store.staging(target) as folder:
        directory = source.fetch(chosen, folder)
        if config.version:
            source.mark(chosen)
        if store.is_live(target, directory):
            return f"nothing to do: {config.name} version {chosen.version} is live in {target}, intact"
        previous = store.publish(directory, target)
    kept = f"the version before it is kept in {previous}" if previous else "it is the first"
    return f"published {config.name} version {chosen.version} to {target} (run {chosen.run_id}); {kept}"


if __name__ == "__main__":
    sys.exit(main())
