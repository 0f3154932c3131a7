"""What our own fleet stored of an org, beside what the Salesforce CLI retrieved of it: the same files, byte for byte.

Usage: fleet_checks.py ACCESS.json FOLDER BINARY CLI_TREE

ACCESS.json is of a simulator that speaks plain HTTP. A scheduler and a worker run as processes of BINARY against the
PostgreSQL and RabbitMQ that the environment names (tests/deps/with). CLI_TREE is the folder into which the CLI unpacked
its retrieve of the same org; every file of it is read back with `dictionary show --file`.
"""
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.request import Request, urlopen

sys.path.insert(0, str(Path(__file__).resolve().parent))
from checks import Checks  # noqa: E402

ACCESS = json.loads(Path(sys.argv[1]).read_text())
FOLDER = Path(sys.argv[2]).resolve()
BINARY = Path(sys.argv[3]).resolve()
TREE = Path(sys.argv[4]).resolve()
ORG = "conformance"
ENVIRONMENT = dict(os.environ, NIGHTSHIFT__SALESFORCE__ALLOWED_HOSTS="127.0.0.1,localhost")
checks = Checks("fleet/folder")
FOLDER.mkdir(parents=True, exist_ok=True)


def nightshift(*words):
    """What a command prints; it must succeed."""
    run = subprocess.run([BINARY, *words], env=ENVIRONMENT, cwd=FOLDER, capture_output=True)
    assert run.returncode == 0, f"nightshift {' '.join(words)}: {run.stdout.decode()[-300:]} {run.stderr.decode()[-300:]}"
    return run.stdout


def ask(method):
    """The simulator's own count of calls by kind; DELETE begins a new one."""
    url = f"{ACCESS['instance_url']}/_control/calls?org={ACCESS['name']}"
    return json.load(urlopen(Request(url, method=method)))


def process(name):
    log = (FOLDER / f"{name}.log").open("w")
    return subprocess.Popen([BINARY, name], env=ENVIRONMENT, cwd=FOLDER, stdout=log, stderr=log)


def stored():
    """The components of the dictionary by the file that each is in."""
    rows = [json.loads(line) for line in nightshift("dictionary", "export", ORG, "--format", "jsonl").splitlines()]
    members = [row | {"file_name": row["file_name"].removeprefix("unpackaged/")} for row in rows if not row["parent"]]
    # A bundle may be known by one of its files: the others are below its name.
    bundles = {f"{row['file_name'].split('/')[0]}/{row['full_name']}": row for row in members}
    return bundles | {row["file_name"]: row for row in members}


def owner(path, rows):
    """The component that a file of the tree belongs to: its own, its content's or its bundle's."""
    names = [path, path.removesuffix("-meta.xml")]
    parts = path.split("/")
    names += ["/".join(parts[:count]) for count in range(len(parts) - 1, 1, -1)]
    return next((rows[name] for name in names if name in rows), None)


def compare(rows):
    files = {path.relative_to(TREE).as_posix(): path for path in TREE.rglob("*") if path.is_file()}
    files.pop("package.xml")
    nobodys = sorted(path for path in files if owner(path, rows) is None)

    def read(path):
        row = owner(path, rows)
        return path, nightshift("dictionary", "show", ORG, row["type"], row["full_name"], "--file", path)

    with ThreadPoolExecutor(4) as pool:
        found = dict(pool.map(read, sorted(files.keys() - set(nobodys))))
    different = sorted(path for path, bytes_ in found.items() if bytes_ != files[path].read_bytes())
    owned = {owner(path, rows)["full_name"] for path in found}
    surplus = sorted(row["full_name"] for row in rows.values() if row["full_name"] not in owned)
    print(f"                {len(files)} files of the CLI: {len(nobodys)} not stored, {len(different)} differ; "
          f"{len(surplus)} components stored that the CLI has not", flush=True)
    assert not nobodys and not different and not surplus, {"not stored": nobodys[:8], "differ": different[:8], "more": surplus[:8]}


processes = []
try:
    @checks.check("a scheduler and a worker sync the org")
    def sync():
        nightshift("migrate")
        processes.extend([process("scheduler"), process("worker")])
        token = FOLDER / "token"
        token.write_text(ACCESS["refresh_token"])
        nightshift("org", "add", ORG, "--login-url", ACCESS["instance_url"], "--client-id", ACCESS["client_id"],
                   "--refresh-token-file", str(token), "--no-sync", "--json")
        ask("DELETE")  # what a connection costs is another bill
        result = json.loads(nightshift("sync", ORG, "--wait", "--json"))
        gaps = [one for one in result["left_out"] if one["kind"] != "excluded"]
        assert result["state"] == "succeeded" and not gaps, result
        print(f"                {result['components']} components in {result['seconds']} s", flush=True)
        return result

    @checks.check("calls: the sync's own count is what the simulator counted")
    def calls():
        counted = ask("GET")
        api = sum(count for kind, count in counted.items() if not kind.startswith("oauth_"))
        own = sync.value["api_calls"]
        print(f"                ours {sum(own.values())}, the simulator's {api}", flush=True)
        assert sum(own.values()) == api, (own, counted)

    @checks.check("what the fleet stored is what the CLI retrieved, file by file")
    def same():
        compare(stored())
finally:
    for one in processes:
        one.terminate()
    for one in processes:
        try:
            one.wait(timeout=30)
        except subprocess.TimeoutExpired:
            one.kill()

sys.exit(checks.end())
