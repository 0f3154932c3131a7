"""Alerts and dashboards: the rules hold their tests, each alert is seen firing and seen quiet and has a page that says
what to do, and each expression parses and names metrics and labels that exist in crates/telemetry/src/metrics.tsv.
"""
import json
import re
import subprocess
import tempfile

import yaml

import tools

MONITORING = tools.ROOT / "deploy" / "monitoring"
RUNBOOKS = tools.ROOT / "docs" / "runbooks"
RULE = MONITORING / "prometheus-rule.yaml"
# What Prometheus adds to every metric.
EVERYWHERE = {"job", "instance", "pod", "namespace"}
HEADINGS = ["What it means", "Look at", "Do"]


def alerts():
    return [rule for group in yaml.safe_load((MONITORING / "alerts.yaml").read_text())["groups"] for rule in group["rules"]]


def rule_as_resource():
    head = (
        "# Printed from alerts.yaml by tests/manifests/check --update: change it there.\n"
        "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata:\n  name: nightshift\n  namespace: nightshift\nspec:\n"
    )
    plain = (MONITORING / "alerts.yaml").read_text()
    body = plain[plain.index("groups:") :]
    return head + "".join(f"  {line}" if line.strip() else line for line in body.splitlines(keepends=True))


def print_rule():
    RULE.write_text(rule_as_resource())


def promtool(*arguments):
    """What it complains of."""
    answer = subprocess.run(["promtool", *arguments], cwd=MONITORING, capture_output=True, text=True)
    return [line for line in (answer.stdout + answer.stderr).splitlines() if line.strip()] if answer.returncode else []


def rules(_):
    yield "alerts: promtool accepts the rules", promtool("check", "rules", "alerts.yaml")
    yield "alerts: promtool's tests of the rules hold", promtool("test", "rules", "alerts.test.yaml")
    yield "alerts: prometheus-rule.yaml is what alerts.yaml says", [] if RULE.read_text() == rule_as_resource() else ["run tests/manifests/check --update"]
    yield f"alerts: each of {len(alerts())} is seen firing and seen quiet", list(untested())
    yield "alerts: every code on which operator or developers have to act raises one", list(unheard())
    yield "alerts: metrics and labels exist", [error for rule in alerts() for error in unknown(rule["alert"], rule["expr"])]


def untested():
    seen = {}
    for test in yaml.safe_load((MONITORING / "alerts.test.yaml").read_text())["tests"]:
        for case in test.get("promql_expr_test", []):
            name = re.search(r'alertname="(\w+)"', case["expr"])[1]
            seen.setdefault(name, set()).add("firing" if case["exp_samples"] else "quiet")
    for rule in alerts():
        for missing in sorted({"firing", "quiet"} - seen.get(rule["alert"], set())):
            yield f"{rule['alert']} is nowhere seen {missing}"


def unheard():
    """Codes of the catalogue (as its page prints it) that nobody of us would hear of; a missed night is an alert by itself."""
    rule = next(rule for rule in alerts() if rule["alert"] == "NightshiftOperatorHasToAct")
    heard = set(re.findall(r'code=~"([^"]*)"', rule["expr"]))
    if len(heard) != 1:
        yield f"the rule names its codes in {len(heard)} ways"
    heard = heard.pop()
    page = (tools.ROOT / "docs/failures.md").read_text()
    codes = re.findall(r"^\| `(\w+)` \|.*\| (?:operator|developers) \|[^|]*\|$", page, re.M)
    for code in codes or ["none was found in docs/failures.md"]:
        if code != "night_missed" and not re.fullmatch(heard, code):
            yield f"{code} raises no alert"


def runbooks(_):
    errors, named = [], set()
    for rule in alerts():
        page = rule["annotations"]["runbook_url"]
        named.add(page)
        if rule["labels"].get("severity") not in ("page", "ticket"):
            errors.append(f"{rule['alert']}: severity is page or ticket")
        if not (tools.ROOT / page).is_file():
            errors.append(f"{rule['alert']}: {page} is not there")
            continue
        text = (tools.ROOT / page).read_text()
        if rule["alert"] not in text:
            errors.append(f"{page} does not name {rule['alert']}")
        errors += [f"{page} has no part \"{heading}\"" for heading in HEADINGS if f"\n## {heading}\n" not in text]
    there = {str(path.relative_to(tools.ROOT)) for path in RUNBOOKS.glob("*.md") if path.name != "README.md"}
    errors += [f"{page} belongs to no alert" for page in sorted(there - named)]
    yield f"runbooks: each alert has its page, and each of {len(there)} pages its alert", errors


def metrics():
    """Name as Prometheus shows it, and its labels."""
    known = {"up": set()}
    for line in (tools.ROOT / "crates/telemetry/src/metrics.tsv").read_text().splitlines():
        if line.startswith("#") or not line:
            continue
        name, shape, labels, _ = line.split("\t")
        labels = set(filter(None, labels.split(",")))
        if shape == "histogram":
            known |= {f"{name}_bucket": labels | {"le"}, f"{name}_count": labels, f"{name}_sum": labels}
        else:
            known[name] = labels
    return known


def unknown(where, expression):
    """Metrics and labels of an expression that nobody raises."""
    known = metrics()
    named = set(re.findall(r"\bnightshift_\w+|\bup\b", expression))
    for name in sorted(named - set(known)):
        yield f"{where}: there is no metric {name}"
    labels = set.union(EVERYWHERE, *(known.get(name, set()) for name in named))
    for group in re.findall(r"\b(?:by|on|without|ignoring)\s*\(([^)]*)\)", expression):
        for label in filter(None, (word.strip() for word in group.split(","))):
            if label not in labels:
                yield f"{where}: none of {sorted(named)} has a label {label}"
    for name, matchers in re.findall(r"\b(nightshift_\w+|up)\{([^}]*)\}", expression):
        for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers):
            if label not in known.get(name, set()) | EVERYWHERE:
                yield f"{where}: {name} has no label {label}"


def boards():
    return {path.name: json.loads(path.read_text()) for path in sorted((MONITORING / "dashboards").glob("*.json"))}


def targets(kind):
    """Dashboard, panel, and each query of the panel to a data source of the kind."""
    for name, board in boards().items():
        for panel in board["panels"]:
            for target in panel["targets"]:
                if target["datasource"]["type"] == kind:
                    yield f"{name}: {panel['title']}", target


def filled(expression):
    """The expression as Grafana sends it."""
    return expression.replace("$__rate_interval", "5m").replace("$__range", "12h")


def dashboards(_):
    kinds = {"prometheus": "${prometheus}", "grafana-postgresql-datasource": "${postgresql}"}
    errors = []
    for name, board in boards().items():
        titles = [panel["title"] for panel in board["panels"]]
        ids = [panel["id"] for panel in board["panels"]]
        if len(set(titles)) != len(titles) or len(set(ids)) != len(ids):
            errors.append(f"{name}: two panels with one title or id")
        for panel in board["panels"]:
            for source in [panel["datasource"], *(target["datasource"] for target in panel["targets"])]:
                if kinds.get(source["type"]) != source["uid"]:
                    errors.append(f"{name}: {panel['title']} asks a data source of its own, {source}")
    listed = set(yaml.safe_load((MONITORING / "kustomization.yaml").read_text())["configMapGenerator"][0]["files"])
    there = {f"dashboards/{name}" for name in boards()}
    errors += [f"{path} is not in both the folder and kustomization.yaml" for path in sorted(listed ^ there)]
    yield f"dashboards: {len(there)} are well formed and ask the data sources that one may choose", errors
    queries = list(targets("prometheus"))
    rules = [{"record": f"dashboards:query{n}", "expr": filled(target["expr"])} for n, (_, target) in enumerate(queries)]
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump({"groups": [{"name": "dashboards", "rules": rules}]}, file)
        file.flush()
        errors = promtool("check", "rules", file.name)
    errors += [error for where, target in queries for error in unknown(where, filled(target["expr"]))]
    yield f"dashboards: {len(queries)} expressions parse, their metrics and labels exist", errors
