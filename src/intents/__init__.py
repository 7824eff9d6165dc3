"""Intent classifiers that know what they don't know.

After `import intents`, transformers' Auto classes load this project's TextCNN like an architecture of their own.
"""

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from types import ModuleType

# What transformers imports -> what must be imported right after it, so that the Auto classes know the TextCNN.
FOLLOWERS = {
    "transformers.models.auto.configuration_auto": "intents.models.textcnn.config",
    "transformers.models.auto.modeling_auto": "intents.models.textcnn.network",
}


class _FollowsTransformers(importlib.abc.MetaPathFinder):
    """Registers the TextCNN when the Auto classes are first imported.

    Doing so at once would import torch and transformers, which takes seconds; what this package answers without
    them (`--help`, an error in a parameter, a rollback) must not wait.
    """

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name not in FOLLOWERS:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_then_follow(module: ModuleType) -> None:
            execute(module)
            importlib.import_module(FOLLOWERS[name])

        spec.loader.exec_module = execute_then_follow  # type: ignore[method-assign]
        return spec


sys.meta_path.insert(0, _FollowsTransformers())
for _followed, _follower in FOLLOWERS.items():
    if _followed in sys.modules:
        importlib.import_module(_follower)
