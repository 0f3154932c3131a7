"""Kustomizations, rendered and compared with schemas: Kubernetes' own for the oldest and the newest version that we
support, and for custom resources those of their operators. No cluster is asked: what an admission controller would
say, nobody here knows.
"""
import json
import subprocess
from pathlib import Path

import jsonschema
import kubernetes_validate
import yaml

import tools

HERE = Path(__file__).resolve().parent
KUBERNETES = ["1.27", "1.37"]
KUSTOMIZATIONS = {
    "base": "deploy/kubernetes/base",
    "small": "deploy/kubernetes/overlays/small",
    "production": "deploy/kubernetes/overlays/production",
    "operators-overlay": "tests/manifests/operators-overlay",
}
OWN_SCHEMAS = {"RabbitmqCluster": "rabbitmqcluster.json"}


def all():
    """Name of each kustomization, and its documents."""
    kubectl = tools.venv() / "kubectl"
    documents = {}
    for name, path in KUSTOMIZATIONS.items():
        text = subprocess.run([kubectl, "kustomize", tools.ROOT / path], check=True, capture_output=True, text=True).stdout
        documents[name] = [document for document in yaml.safe_load_all(text) if document]
    return documents


def called(document):
    return f"{document['kind']} {document['metadata']['name']}"


def is_custom(document):
    """Groups of Kubernetes itself have no dot, or end with k8s.io."""
    group = document["apiVersion"].rpartition("/")[0]
    return "." in group and not group.endswith("k8s.io")


def of_each_version(documents):
    for version in KUBERNETES:
        for name, found in documents.items():
            native = [document for document in found if not is_custom(document)]
            errors = []
            for document in native:
                try:
                    kubernetes_validate.validate(document, version, strict=True)
                except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
                    errors.append(f"{called(document)}: {error.message}")
            yield f"{name}: {len(native)} resources are valid in Kubernetes {version}", errors


def custom_resources(documents):
    for name, found in documents.items():
        custom = [document for document in found if is_custom(document)]
        if not custom:
            continue
        ours = [document for document in custom if document["kind"] in OWN_SCHEMAS]
        theirs = [document for document in custom if document["kind"] not in OWN_SCHEMAS]
        errors = [*by_operators_types(theirs), *by_own_schemas(ours), *known_triggers(theirs)]
        yield f"{name}: {len(custom)} custom resources are valid by their operators' schemas", errors


def by_operators_types(documents):
    answer = subprocess.run(
        ["node", HERE / "custom_resources.mjs", tools.npm()],
        input=json.dumps(documents), check=True, capture_output=True, text=True,
    )
    return json.loads(answer.stdout)


def by_own_schemas(documents):
    for document in documents:
        schema = json.loads((HERE / "schemas" / OWN_SCHEMAS[document["kind"]]).read_text())
        definitions = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
        core = json.loads((definitions / f"v{KUBERNETES[-1]}.0-local-strict" / "_definitions.json").read_text())
        schema["$defs"] = core["$defs"]
        for error in jsonschema.Draft202012Validator(schema).iter_errors(document):
            yield f"{called(document)}: {'.'.join(map(str, error.path))}: {error.message}"


def known_triggers(documents):
    """Metadata of a trigger is free text to the schema: the scalers' documentation says which words they know."""
    scalers = json.loads((HERE / "schemas" / "scalers.json").read_text())
    for document in documents:
        for trigger in document.get("spec", {}).get("triggers", []):
            known = scalers.get(trigger["type"])
            if known is None:
                yield f"{called(document)}: scaler {trigger['type']} is not in schemas/scalers.json"
                continue
            given = set(trigger["metadata"])
            for word in sorted(given - set(known["metadata"])):
                yield f"{called(document)}: scaler {trigger['type']} knows no {word}"
            for word in sorted(set(known["required"]) - given):
                yield f"{called(document)}: scaler {trigger['type']} needs {word}"
