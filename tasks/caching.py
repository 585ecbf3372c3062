"""The one cache policy and the one result serializer of the project; no task chooses its own.

A retry of the same flow run finds finished steps here. The cache only makes a retry cheaper: what is written is
decided by the ledger, and a result read under an older lease is judged anew (design: cached results are hints).
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import cache
from typing import Any

from prefect.cache_policies import INPUTS, RUN_ID, TASK_SOURCE, CachePolicy
from prefect.context import TaskRunContext
from prefect.serializers import JSONSerializer, Serializer
from pydantic import Field

from ml_connector.settings import Settings
from ml_connector.store.crypto import Keys

_ABOUT = "prefect result"


@dataclass
class TaskName(CachePolicy):
    """The task's unique name, because equal inputs to two tasks made by one factory would share a result."""

    def compute_key(
        self, task_ctx: TaskRunContext, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str | None:
        return f"name:{task_ctx.task.name}"


RESUME = INPUTS + TASK_SOURCE + RUN_ID + TaskName()


@cache
def _keys() -> Keys:
    return Keys.load(Settings().keys_path)


class SealedJSONSerializer(Serializer):
    """JSON, sealed with the installation's keys; the keys are no field, because fields are stored beside the result."""

    type: str = Field(default="ml-connector-sealed", frozen=True)

    def dumps(self, obj: Any) -> bytes:
        """Seal a result; base64 because Prefect keeps results as text."""
        plain = JSONSerializer().dumps(obj)
        return base64.b64encode(_keys().seal(plain, about=_ABOUT, schema="prefect-result", version=1))

    def loads(self, blob: bytes) -> Any:
        """Open a sealed result; a key that is gone makes Prefect run the step again."""
        return JSONSerializer().loads(_keys().open(base64.b64decode(blob), about=_ABOUT))


SEALED = "ml-connector-sealed"
