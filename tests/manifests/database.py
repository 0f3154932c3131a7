"""The SQL that operators' tools ask: KEDA's queries and Grafana's panels, on the real tables, as the roles that we give
them. Those of KEDA, which are asked every few seconds, must not read the whole table of jobs.

Called by the check; calls itself once more between private servers (tests/deps/with).
"""
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROLES = {
    "nightshift_scaler": "deploy/kubernetes/components/keda/scaler-role.sql",
    "nightshift_reader": "deploy/monitoring/reader-role.sql",
}
# A night at work: many jobs that wait for Salesforce, some that are due or in work.
NIGHT = """
INSERT INTO job (org_id, id, kind, class, lane, payload, state, not_before, created_at)
SELECT gen_random_uuid(), gen_random_uuid(), 'poll', class, 'free', '{}', state, nightshift_now() + age * interval '1 second', nightshift_now()
  FROM (VALUES ('poll', 'due', 1, 100000), ('poll', 'due', -1, 2000), ('control', 'claimed', -1, 500), ('ingest', 'due', -1, 500))
       AS part (class, state, sign, rows), LATERAL (SELECT sign * n * 0.1 AS age FROM generate_series(1, rows) AS n) AS ages;
ANALYZE job;
"""
# What the queries answer then: work is counted up to its limit, the oldest due poll is 200 s old.
ANSWERS = {("control", "work"): (192, 192), ("control", "oldest"): (0, 0), ("poll", "work"): (640, 640), ("poll", "oldest"): (200, 900)}


def check(documents):
    import monitoring

    queries = []
    for document in documents["production"]:
        for trigger in document.get("spec", {}).get("triggers", []) if document["kind"] == "ScaledObject" else []:
            if trigger["type"] == "postgresql":
                name = document["metadata"]["name"].removeprefix("nightshift-worker-")
                queries.append({"role": "nightshift_scaler", "where": [name, trigger["name"]], "sql": trigger["metadata"]["query"]})
    for where, target in monitoring.targets("grafana-postgresql-datasource"):
        queries.append({"role": "nightshift_reader", "where": [where], "sql": as_grafana_sends(target["rawSql"])})
    for name, board in monitoring.boards().items():
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                queries.append({"role": "nightshift_reader", "where": [f"{name}: variable {variable['name']}"], "sql": variable["query"]})
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(queries, file)
        file.flush()
        command = [ROOT / "tests/deps/with", "manifests", sys.executable, __file__, file.name]
        answer = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    errors = json.loads(answer.stdout) if answer.returncode == 0 else ["the private servers did not come up; what they said is above"]
    yield f"database: {len(queries)} queries of KEDA and Grafana run as their roles, KEDA's without reading all jobs", errors


def as_grafana_sends(sql):
    sql = re.sub(r"\$__timeFilter\(([^)]*)\)", r"\1 BETWEEN now() - interval '12 hours' AND now()", sql)
    return sql.replace("${org:sqlstring}", "'00000000-0000-0000-0000-000000000000'")


def psql(sql, role=None):
    """Rows as text; an error as CalledProcessError."""
    binaries = sorted(glob.glob("/usr/lib/postgresql/*/bin/psql"), key=lambda path: int(path.split("/")[4]))
    program = binaries[-1] if binaries else shutil.which("psql")
    before = f"SET ROLE {role};\nSET default_transaction_read_only = on;\n" if role else ""
    command = [program, "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-d", os.environ["NIGHTSHIFT__DATABASE__URL"], "-f", "-"]
    return subprocess.run(command, input=before + sql + "\n;\n", check=True, capture_output=True, text=True).stdout.strip()


def ask(query):
    """What is wrong with the query."""
    where = ": ".join(query["where"])
    try:
        answer = psql(query["sql"], query["role"])
    except subprocess.CalledProcessError as error:
        return [f"{where}: {error.stderr.strip()}"]
    if query["role"] != "nightshift_scaler":
        return []
    if not re.fullmatch(r"\d+(\.\d+)?", answer):
        return [f"{where}: answers {answer!r}, KEDA wants one number"]
    errors = []
    low, high = ANSWERS.get(tuple(query["where"]), (0, float("inf")))
    if not low <= float(answer) <= high:
        errors.append(f"{where}: answers {answer}, {low} to {high} was expected")
    plan = psql("EXPLAIN " + query["sql"], query["role"])
    if "job_due" not in plan or "Seq Scan on job" in plan:
        errors.append(f"{where}: reads all jobs: {plan}")
    return errors


def on_servers(file):
    for migration in sorted((ROOT / "migrations").glob("*.sql")):
        psql(migration.read_text())
    for path in ROLES.values():
        psql((ROOT / path).read_text())
    psql(NIGHT)
    queries = json.loads(Path(file).read_text())
    print(json.dumps([error for query in queries for error in ask(query)]))


if __name__ == "__main__":
    on_servers(sys.argv[1])
