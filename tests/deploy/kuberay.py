"""The fields of KubeRay's RayJob (ray.io/v1, as of KubeRay 1.7), as far as a sweep needs them.

A mapping is an object, and holds what its fields may be; a list of one is an array of that; a type is a value.
"""

from __future__ import annotations

from typing import Any

TEXTS = {str: str}
"""An object of any keys, with texts as values."""

RESOURCES = {"requests": TEXTS, "limits": TEXTS}
CONTAINER = {
    "name": str,
    "image": str,
    "ports": [{"containerPort": int, "name": str}],
    "resources": RESOURCES,
    "env": [{"name": str, "value": str}],
    "envFrom": [{"secretRef": {"name": str}, "configMapRef": {"name": str}}],
    "volumeMounts": [{"name": str, "mountPath": str, "readOnly": bool}],
}
VOLUME = {"name": str, "configMap": {"name": str}, "persistentVolumeClaim": {"claimName": str}}
POD = {"metadata": dict, "spec": {"containers": [CONTAINER], "volumes": [VOLUME], "nodeSelector": TEXTS}}
HEAD = {"rayStartParams": TEXTS, "template": POD, "serviceType": str}
WORKERS = {
    "groupName": str,
    "replicas": int,
    "minReplicas": int,
    "maxReplicas": int,
    "numOfHosts": int,
    "rayStartParams": TEXTS,
    "template": POD,
}
CLUSTER = {
    "rayVersion": str,
    "authOptions": {"mode": str, "secretName": str},
    "enableInTreeAutoscaling": bool,
    "headGroupSpec": HEAD,
    "workerGroupSpecs": [WORKERS],
}
RAY_JOB = {
    "apiVersion": str,
    "kind": str,
    "metadata": {"name": str, "namespace": str, "labels": TEXTS},
    "spec": {
        "entrypoint": str,
        "submissionMode": str,
        "backoffLimit": int,
        "activeDeadlineSeconds": int,
        "shutdownAfterJobFinishes": bool,
        "ttlSecondsAfterFinished": int,
        "runtimeEnvYAML": str,
        "entrypointNumCpus": float,
        "suspend": bool,
        "rayClusterSpec": CLUSTER,
    },
}


def unknown_fields(value: Any, shape: Any, path: str = "") -> list[str]:
    """Return a line for every field of ``value`` that ``shape`` does not have, or that is of another type."""
    if isinstance(shape, list):
        if not isinstance(value, list):
            return [f"{path} must be a list, but got {value!r}"]
        return [
            line for i, item in enumerate(value) for line in unknown_fields(item, shape[0], f"{path}[{i}]")
        ]
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return [f"{path} must be an object, but got {value!r}"]
        any_key = shape.get(str)
        lines = []
        for key, item in value.items():
            if any_key is None and key not in shape:
                lines.append(f"{path} has no field {key}")
            else:
                lines += unknown_fields(item, any_key or shape[key], f"{path}.{key}")
        return lines
    fits = type(value) is shape or (shape is float and type(value) is int)
    return [] if fits else [f"{path} must be {shape.__name__}, but got {value!r}"]
