"""The Dockerfile, by hadolint, and that it ends as it should: from nothing but libraries, as a user that is a number."""
import subprocess

import tools

DOCKERFILE = tools.ROOT / "deploy" / "Dockerfile"


def check(_):
    answer = subprocess.run([tools.venv() / "hadolint", "--no-color", "--failure-threshold", "style", DOCKERFILE], capture_output=True, text=True)
    yield "deploy/Dockerfile: hadolint has nothing to say", (answer.stdout + answer.stderr).splitlines() if answer.returncode else []
    last = DOCKERFILE.read_text().rpartition("\nFROM ")[2].splitlines()
    errors = []
    if "distroless" not in last[0]:
        errors.append(f"the last stage begins from {last[0]}")
    if not any(line.startswith("USER ") and line.split()[1].replace(":", "").isdigit() for line in last):
        errors.append("the last stage has no USER that is a number")
    if any(line.startswith("RUN ") for line in last):
        errors.append("the last stage runs something: there is no shell in it")
    yield "deploy/Dockerfile: ends distroless, as a numeric user", errors
