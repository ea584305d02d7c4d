"""The files of deploy/: what can be held against schemas and tools without a cluster."""

from __future__ import annotations

import copy
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.kuberay import RAY_JOB, unknown_fields
from tests.documents.commands import check_command, command_lines

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
RAY_JOB_FILE = DEPLOY / "rayjob.yaml"
CLUSTER_FILE = DEPLOY / "ray-cluster.yaml"
SBATCH_FILE = DEPLOY / "shrinksweep.sbatch"


@pytest.fixture
def ray_job() -> Any:
    return yaml.safe_load(RAY_JOB_FILE.read_text())


@pytest.mark.parametrize("file", [RAY_JOB_FILE, CLUSTER_FILE], ids=lambda file: file.name)
def test_every_launch_in_a_deployment_file_is_one_that_the_command_line_takes(file: Path) -> None:
    names = [check_command(line) for line in command_lines(file.read_text())]
    assert "launch" in names


# --- KubeRay ---


def test_the_ray_job_has_the_fields_of_kuberay(ray_job: Any) -> None:
    assert unknown_fields(ray_job, RAY_JOB) == []
    assert (ray_job["apiVersion"], ray_job["kind"]) == ("ray.io/v1", "RayJob")
    assert ray_job["spec"]["submissionMode"] in ("K8sJobMode", "HTTPMode", "SidecarMode", "InteractiveMode")


def test_a_misspelt_field_of_a_ray_job_is_found(ray_job: Any) -> None:
    wrong = copy.deepcopy(ray_job)
    wrong["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]["replica"] = 4
    wrong["spec"]["backoffLimit"] = "3"
    assert unknown_fields(wrong, RAY_JOB) == [
        ".spec.backoffLimit must be int, but got '3'",
        ".spec.rayClusterSpec.workerGroupSpecs[0] has no field replica",
    ]


def test_all_pods_of_the_ray_job_run_one_image_with_the_token_and_the_storage(ray_job: Any) -> None:
    cluster = ray_job["spec"]["rayClusterSpec"]
    assert cluster["authOptions"]["mode"] == "token"
    assert cluster["rayVersion"] == metadata.version("ray")
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    containers = [group["template"]["spec"]["containers"][0] for group in groups]
    assert len({container["image"] for container in containers}) == 1
    assert all(container["envFrom"] == containers[0]["envFrom"] for container in containers)


def test_the_sweep_that_the_ray_job_launches_is_mounted_on_its_head(ray_job: Any) -> None:
    sweep = Path(ray_job["spec"]["entrypoint"].split()[2])
    pod = ray_job["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]
    mounts = {mount["mountPath"]: mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
    assert mounts[str(sweep.parent)] in [volume["name"] for volume in pod["volumes"]]
    assert f"--from-file={sweep.name}=" in RAY_JOB_FILE.read_text()


def test_the_image_holds_every_package_of_the_project() -> None:
    built = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    packages = [pattern.removesuffix("*") for pattern in built["packages"]["find"]["include"]]
    modules = [f"{module}.py" for module in built["py-modules"]]
    kept = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    assert {f"!{name}" for name in (*packages, *modules)} <= set(kept)


# --- Ray's cluster launcher ---


@pytest.mark.filterwarnings("ignore")
def test_the_cluster_file_is_one_that_ray_up_takes() -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = yaml.safe_load(CLUSTER_FILE.read_text())
    filled = prepare_config(config)
    validate_config(filled)
    starts = [*filled["head_start_ray_commands"], *filled["worker_start_ray_commands"]]
    assert all("RAY_AUTH_MODE=token" in line for line in starts if "ray start" in line)
    assert all(
        (ROOT / local).exists() for local in config["file_mounts"].values() if not local.startswith("~")
    )


# --- Slurm ---


def test_the_slurm_script_passes_bash_and_shellcheck() -> None:
    subprocess.run(["bash", "-n", SBATCH_FILE], check=True)
    found = subprocess.run(
        [Path(sys.executable).with_name("shellcheck"), SBATCH_FILE], capture_output=True, text=True
    )
    assert found.stdout == ""
