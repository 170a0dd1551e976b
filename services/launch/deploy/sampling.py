"""Defaults of requests as the gateway takes them: JSON in the names of requests' fields, texts and pictures apart."""

import json
from typing import Any

from services.launch.deploy.load import Deployment
from services.launch.deploy.schema import TEXT_ONLY


def default_sampling(deployment: Deployment) -> str | None:
    """`{"text": {...}, "image": {...}}`; None when nothing is said."""
    found: dict[str, dict[str, Any]] = {"text": {}, "image": {}}
    for stage in deployment.pipeline.stages:
        params = deployment.fields_of(stage).default_sampling_params
        for name, value in ({} if params is None else params.model_dump(exclude_none=True)).items():
            match name:
                case "detokenize":  # true is how it is
                    continue
                case "guidance_scale":
                    found["image"]["cfg_text_scale"] = value
                case "seed":
                    kinds = [kind for kind, makes in (("text", stage.writes), ("image", stage.draws)) if makes]
                    found.update({kind: {**found[kind], name: value} for kind in kinds})
                case _:
                    found["text" if name in TEXT_ONLY else "image"][name] = value
    told = {kind: values for kind, values in found.items() if values}
    return json.dumps(told) if told else None
