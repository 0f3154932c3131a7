"""What every workload of ours must have, beyond what Kubernetes asks: that it runs as nobody, keeps to its memory, is
probed for itself and not for its servers, leaves slowly enough, stands behind network policies, and is scaled by what
exists. The reasons stand in docs/kubernetes.md and at the places themselves.
"""
import math
import re

import tools
from rendered import called

# What follows a worker's drain: releasing jobs, last traces, last requests (consume.rs, processes.rs, http.rs), in seconds.
AFTER_DRAIN = 5 + 3 + 1
# Connections of a whole fleet at its largest, also while it is rolled; docs/kubernetes.md names the figure.
DATABASE_CONNECTIONS = 500
# Official images that write beside their volumes.
WRITES_ITS_ROOT = {"rabbitmq"}
FLEET = {"app.kubernetes.io/name": "nightshift"}
PROBES = {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}


def check(documents):
    settings = read_settings()
    for name, found in documents.items():
        cluster = Cluster(found, settings)
        for what, errors in [
            ("every pod runs as nobody, keeps to its memory and writes nowhere but in its volumes", cluster.security()),
            ("the fleet is probed, spread, drained and rolled as it should be", cluster.fleet()),
            ("every pod stands behind network policies, every Service has pods", cluster.network()),
            ("settings, classes, secrets and the image are known", cluster.names()),
        ]:
            yield f"{name}: {what}", list(errors)
        if cluster.of_kind("ScaledObject"):
            yield f"{name}: every class of workers is scaled by what exists, within the database's connections", list(cluster.scaling())


def read_settings():
    """Key and default of each setting, from the page that a test compares with the program."""
    page = (tools.ROOT / "docs/settings.md").read_text()
    return dict(re.findall(r"^\| `([a-z_.]+)` \| `([^`]*)` \|", page, re.M))


def quantity(text):
    """1Gi, 256Mi, 250m, 2: as a number."""
    number, unit = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", str(text)).groups()
    return float(number) * {"": 1, "m": 0.001, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}[unit]


def selects(selector, labels):
    return all(labels.get(key) == value for key, value in selector.items())


class Cluster:
    """The documents of one kustomization."""

    def __init__(self, documents, settings):
        self.documents = documents
        self.settings = settings

    def of_kind(self, *kinds):
        return [document for document in self.documents if document["kind"] in kinds]

    def workloads(self):
        """Document, labels of its pods, their spec."""
        for document in self.of_kind("Deployment", "StatefulSet", "Job"):
            template = document["spec"]["template"]
            yield document, template["metadata"]["labels"], template["spec"]

    def deployments(self):
        for document, labels, pod in self.workloads():
            if selects(FLEET, labels):
                yield document, labels, pod, {entry["name"]: entry.get("value") for entry in pod["containers"][0]["env"]}

    def security(self):
        for document, _, pod in self.workloads():
            wrong = lambda what: f"{called(document)}: {what}"  # noqa: E731
            context = pod.get("securityContext", {})
            if context.get("runAsNonRoot") is not True or not isinstance(context.get("runAsUser"), int):
                yield wrong("runAsNonRoot and a numeric runAsUser")
            if context.get("seccompProfile") != {"type": "RuntimeDefault"}:
                yield wrong("seccompProfile RuntimeDefault")
            if pod.get("automountServiceAccountToken") is not False or pod.get("enableServiceLinks") is not False:
                yield wrong("no token, no service links")
            for volume in pod.get("volumes", []):
                if "emptyDir" in volume and "sizeLimit" not in (volume["emptyDir"] or {}):
                    yield wrong(f"volume {volume['name']} has no sizeLimit")
            for container in [*pod["containers"], *pod.get("initContainers", [])]:
                context = container.get("securityContext", {})
                if context.get("allowPrivilegeEscalation") is not False or context.get("capabilities") != {"drop": ["ALL"]}:
                    yield wrong("no escalation, no capabilities")
                if context.get("readOnlyRootFilesystem") is not True and container["name"] not in WRITES_ITS_ROOT:
                    yield wrong("readOnlyRootFilesystem")
                resources = container.get("resources", {})
                requests, limits = resources.get("requests", {}), resources.get("limits", {})
                if "memory" not in requests or requests["memory"] != limits.get("memory"):
                    yield wrong("memory: the limit is what is requested")
                if "cpu" not in requests or "cpu" in limits:
                    yield wrong("cpu: requested, without a limit")

    def fleet(self):
        budgets = self.of_kind("PodDisruptionBudget")
        for document, labels, pod, env in self.deployments():
            wrong = lambda what: f"{called(document)}: {what}"  # noqa: E731
            spec, container = document["spec"], pod["containers"][0]
            for probe, path in PROBES.items():
                if container.get(probe, {}).get("httpGet") != {"path": path, "port": "http"}:
                    yield wrong(f"{probe} asks {path}")
            if spec["strategy"]["type"] != "RollingUpdate" or spec["strategy"]["rollingUpdate"]["maxUnavailable"] != 0:
                yield wrong("rolled with maxUnavailable 0")
            if spec.get("revisionHistoryLimit") != 3:
                yield wrong("revisionHistoryLimit 3")
            drain = int(env.get("NIGHTSHIFT__WORKER__DRAIN_SECONDS") or self.settings["worker.drain_seconds"])
            if pod.get("terminationGracePeriodSeconds", 30) < drain + AFTER_DRAIN + 5:
                yield wrong(f"terminationGracePeriodSeconds is at least {drain + AFTER_DRAIN + 5}: the drain and what follows it")
            selector = spec["selector"]["matchLabels"]
            matched = [other["metadata"]["name"] for other, others, _, _ in self.deployments() if selects(selector, others)]
            if matched != [document["metadata"]["name"]]:
                yield wrong(f"its selector matches the pods of {matched}")
            mine = [budget["spec"] for budget in budgets if selects(budget["spec"]["selector"]["matchLabels"], labels)]
            if [(budget.get("maxUnavailable"), budget.get("unhealthyPodEvictionPolicy")) for budget in mine] != [(1, "AlwaysAllow")]:
                yield wrong("one PodDisruptionBudget with maxUnavailable 1 and AlwaysAllow")
            spread = {
                constraint["topologyKey"]
                for constraint in pod.get("topologySpreadConstraints", [])
                if constraint["whenUnsatisfiable"] == "ScheduleAnyway" and constraint["labelSelector"]["matchLabels"] == selector
            }
            if spread != {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}:
                yield wrong("spread over zones and hosts by its own selector")

    def network(self):
        policies = self.of_kind("NetworkPolicy")
        for document, labels, _ in self.workloads():
            covered = {
                direction
                for policy in policies
                if selects(policy["spec"]["podSelector"].get("matchLabels", {}), labels)
                for direction in policy["spec"]["policyTypes"]
            }
            if covered != {"Ingress", "Egress"}:
                yield f"{called(document)}: policies cover {sorted(covered)} only"
        pods = [(labels, pod) for _, labels, pod in self.workloads()]
        for service in self.of_kind("Service"):
            mine = [pod for labels, pod in pods if selects(service["spec"]["selector"], labels)]
            ports = {port["name"] for pod in mine for container in pod["containers"] for port in container.get("ports", [])}
            for port in service["spec"]["ports"]:
                if port["targetPort"] not in ports:
                    yield f"{called(service)}: no pod has a port {port['targetPort']}"
        for monitor in self.of_kind("ServiceMonitor"):
            services = [s for s in self.of_kind("Service") if selects(monitor["spec"]["selector"]["matchLabels"], s["metadata"].get("labels", {}))]
            ports = {port["name"] for service in services for port in service["spec"]["ports"]}
            for endpoint in monitor["spec"]["endpoints"]:
                if endpoint["port"] not in ports:
                    yield f"{called(monitor)}: no Service has a port {endpoint['port']}"

    def names(self):
        page = (tools.ROOT / "docs/kubernetes.md").read_text()
        classes, images = [], set()
        for document, _, pod, env in self.deployments():
            images.add(pod["containers"][0]["image"])
            classes += [word.removeprefix("--classes=") for word in pod["containers"][0]["args"] if word.startswith("--classes=")]
            for name in env:
                key = name.removeprefix("NIGHTSHIFT__").lower().replace("__", ".")
                if name.startswith("NIGHTSHIFT__") and key not in self.settings:
                    yield f"{called(document)}: {name} is no setting"
        if sorted(",".join(classes).split(",")) != sorted(self.settings["worker.classes"].split(",")):
            yield f"classes {classes} are deployed, those of work are {self.settings['worker.classes']}"
        for document, _, pod in self.workloads():
            for volume in pod.get("volumes", []):
                secret = volume.get("secret", {}).get("secretName")
                if secret and f"`{secret}`" not in page:
                    yield f"{called(document)}: docs/kubernetes.md tells nobody to make the secret {secret}"
        for job in self.of_kind("Job"):
            image = job["spec"]["template"]["spec"]["containers"][0]["image"]
            if images != {image}:
                yield f"{called(job)}: migrates with {image}, the fleet runs {sorted(images)}"
            tag = image.rpartition(":")[2] if ":" in image else None
            if tag and job["metadata"]["name"] != f"nightshift-migrate-{tag}":
                yield f"{called(job)}: is not named by its version {tag}"
        version = re.search(r'^version = "([^"]+)"', (tools.ROOT / "Cargo.toml").read_text(), re.M)[1]
        for image in images:
            if image.startswith("registry.example/") and not image.endswith(f":{version}"):
                yield f"the overlay's image is {image}, the program is {version}"

    def scaling(self):
        scaled = {document["spec"]["scaleTargetRef"]["name"]: document for document in self.of_kind("ScaledObject")}
        secrets = {document["metadata"]["name"] for document in self.of_kind("TriggerAuthentication")}
        most = 0
        for document, _, pod, env in self.deployments():
            name = document["metadata"]["name"]
            pool = int(env.get("NIGHTSHIFT__DATABASE__MAX_CONNECTIONS") or self.settings["database.max_connections"])
            if not name.startswith("nightshift-worker-"):
                replicas = document["spec"]["replicas"]
            else:
                if name not in scaled:
                    yield f"{called(document)}: no ScaledObject"
                    continue
                if "replicas" in document["spec"]:
                    yield f"{called(document)}: has replicas, which an apply would set back"
                yield from self.triggers(scaled[name], name.removeprefix("nightshift-worker-"), secrets)
                replicas = scaled[name]["spec"]["maxReplicaCount"]
            surge = document["spec"]["strategy"]["rollingUpdate"]["maxSurge"]
            surge = math.ceil(replicas * int(surge[:-1]) / 100) if isinstance(surge, str) else surge
            most += (replicas + surge) * pool
        for name in sorted(set(scaled) - {document["metadata"]["name"] for document, *_ in self.deployments()}):
            yield f"ScaledObject for {name}, which is not there"
        page = (tools.ROOT / "docs/kubernetes.md").read_text()
        if most > DATABASE_CONNECTIONS or f"`max_connections` of {DATABASE_CONNECTIONS}" not in page:
            yield f"the fleet opens up to {most} connections; docs/kubernetes.md promises that `max_connections` of {DATABASE_CONNECTIONS} suffice"

    def triggers(self, document, name, secrets):
        triggers = document["spec"]["triggers"]
        if [(trigger["type"], trigger["name"]) for trigger in triggers] != [("rabbitmq", "ready"), ("postgresql", "work"), ("postgresql", "oldest")]:
            yield f"{called(document)}: scales by the queue, the work and the age of the oldest job"
            return
        for trigger in triggers:
            if trigger["authenticationRef"]["name"] not in secrets:
                yield f"{called(document)}: {trigger['authenticationRef']['name']} is not there"
        if triggers[0]["metadata"]["queueName"] != f"{self.settings['broker.prefix']}.{name}":
            yield f"{called(document)}: looks at the queue {triggers[0]['metadata']['queueName']}"
        for trigger in triggers[1:]:
            if f"class = '{name}'" not in trigger["metadata"]["query"]:
                yield f"{called(document)}: {trigger['name']} counts another class"
        steps = self.settings[f"worker.{name}_concurrency"]
        if {triggers[0]["metadata"]["value"], triggers[1]["metadata"]["targetQueryValue"]} != {steps}:
            yield f"{called(document)}: one worker does {steps} steps at a time"
