"""What the Salesforce CLI (npm @salesforce/cli) sees of a simulated org: one line for each check, exit 1 when any fails.

Usage: salesforce_cli_checks.py ACCESS.json FOLDER [TREE [--converted]]

`sf` of the PATH runs unmodified, with a home of its own in FOLDER. With TREE (the folder in Metadata API format that the
org was made from) all that it retrieves is compared with the tree, file by file: as it came in the zip, byte for byte,
and after the way through the CLI's source format and back, element for element.
"""
import io
import json
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from checks import Checks  # noqa: E402

ACCESS = json.loads(Path(sys.argv[1]).read_text())
FOLDER = Path(sys.argv[2]).resolve()
TREE = Path(sys.argv[3]).resolve() if len(sys.argv) > 3 else None
# The tree was converted from source format by the CLI itself, which orders elements and packs zips in its own way.
CONVERTED = "--converted" in sys.argv
URL = ACCESS["instance_url"]
PROJECT = FOLDER / "project"
checks = Checks(f"Salesforce CLI/{ACCESS['name']}")

shutil.rmtree(FOLDER, ignore_errors=True)
(FOLDER / "home").mkdir(parents=True)
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "NODE_EXTRA_CA_CERTS": os.environ["NODE_EXTRA_CA_CERTS"],
    "HOME": str(FOLDER / "home"),
    "SF_DISABLE_TELEMETRY": "true",
    "SF_AUTOUPDATE_DISABLE": "true",
    "SF_SKIP_NEW_VERSION_CHECK": "true",
    "SF_HIDE_RELEASE_NOTES": "true",
    "SF_DISABLE_LOG_FILE": "true",
    "SF_USE_GENERIC_UNIX_KEYCHAIN": "true",
}


def sf(*words, inside=FOLDER, json_=True, **more):
    """The result of a command, which must succeed; what it prints, where it has no --json."""
    run = subprocess.run(
        ["sf", *words, *(["--json"] if json_ else [])], cwd=inside, env=ENVIRONMENT | more, capture_output=True, text=True, timeout=600
    )
    if not json_:
        assert run.returncode == 0, f"sf {' '.join(words)}: {run.stdout} {run.stderr}"
        return run.stdout
    begin = run.stdout.find("{")
    assert begin >= 0, f"sf {' '.join(words)}: {run.stdout} {run.stderr}"
    answer = json.loads(run.stdout[begin:])
    assert answer["status"] == 0, f"sf {' '.join(words)}: {answer.get('name')}: {answer.get('message')}"
    return answer["result"]


def control(what):
    """Asks the simulator itself."""
    script = "fetch(process.argv[1]).then((a) => a.text()).then(console.log)"
    run = subprocess.run(
        ["node", "-e", script, f"{URL}/_control/{what}?org={ACCESS['name']}"],
        env=ENVIRONMENT, capture_output=True, text=True, check=True, timeout=60,
    )
    return json.loads(run.stdout)


def order(what, body):
    """Tells the simulator itself."""
    script = "fetch(process.argv[1], {method: 'POST', body: process.argv[2]}).then((a) => process.exit(a.ok ? 0 : 1))"
    subprocess.run(["node", "-e", script, f"{URL}/_control/{what}", json.dumps(body)],
                   env=ENVIRONMENT, check=True, timeout=60)


@checks.check("org login jwt")
def login_jwt():
    key = FOLDER / "jwt.key"
    subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
    public = subprocess.run(["openssl", "rsa", "-in", str(key), "-pubout"], check=True, capture_output=True, text=True)
    order("key", {"org": ACCESS["name"], "public_key": public.stdout})
    result = sf("org", "login", "jwt", "--username", ACCESS["username"], "--client-id", ACCESS["client_id"],
                "--jwt-key-file", str(key), "--instance-url", URL, "--alias", "sim")
    assert result["orgId"] == ACCESS["organization_id"], result


@checks.check("org login access-token")
def login_token():
    token = sf("org", "auth", "show-access-token", "--target-org", "sim", "--no-prompt")["accessToken"]
    result = sf("org", "login", "access-token", "--instance-url", URL, "--no-prompt", "--alias", "sim",
                SF_ACCESS_TOKEN=token)
    assert result["orgId"] == ACCESS["organization_id"] and result["username"] == ACCESS["username"], result


@checks.check("org display says Connected; org list limits")
def display():
    assert sf("org", "display", "--target-org", "sim")["connectedStatus"] == "Connected"
    limits = {limit["name"]: limit for limit in sf("org", "list", "limits", "--target-org", "sim")}
    assert limits["DailyApiRequests"]["max"] == 15000


@checks.check("the identity document, by its address of the resources")
def identity():
    resources = sf("api", "request", "rest", "/services/data/v67.0", "--target-org", "sim", json_=False)
    path = "/id/" + json.loads(resources)["identity"].split("/id/")[1]
    document = json.loads(sf("api", "request", "rest", path, "--target-org", "sim", json_=False))
    assert document["organization_id"] == ACCESS["organization_id"] and document["username"] == ACCESS["username"], document


@checks.check("data query by REST, by the Tooling API and in bulk")
def data_query():
    rows = sf("data", "query", "--target-org", "sim", "--query", "SELECT Id, Name FROM Account")
    assert rows["totalSize"] == 4500 and len(rows["records"]) == 4500
    rows = sf("data", "query", "--target-org", "sim", "--use-tooling-api", "--query", "SELECT Id, Name FROM ApexClass")
    assert rows["totalSize"] == control("counts")["ApexClass"]
    exported = FOLDER / "accounts.csv"
    sf("data", "export", "bulk", "--target-org", "sim", "--query", "SELECT Id, Name FROM Account",
       "--output-file", str(exported), "--wait", "5")
    assert exported.read_text().count("\n") == 4501


@checks.check("sobject list and sobject describe")
def sobjects():
    assert "Account" in sf("sobject", "list", "--target-org", "sim", "--sobject", "all")
    assert sf("sobject", "describe", "--target-org", "sim", "--sobject", "Account")["name"] == "Account"


@checks.check("org list metadata-types")
def metadata_types():
    types = sf("org", "list", "metadata-types", "--target-org", "sim")
    assert any(entry["xmlName"] == "ApexClass" for entry in types["metadataObjects"])


@checks.check("org list metadata: as many as the org holds, folders included")
def list_metadata():
    counts = control("counts")
    for kind in ["ApexClass", "CustomObject", "CustomField", "Layout", "ReportFolder"]:
        listed = sf("org", "list", "metadata", "--metadata-type", kind, "--target-org", "sim")
        assert len(listed) == counts.get(kind, 0), (kind, len(listed), counts.get(kind))
    folders = sf("org", "list", "metadata", "--metadata-type", "ReportFolder", "--target-org", "sim")
    reports = sum(
        len(sf("org", "list", "metadata", "--metadata-type", "Report", "--folder", folder["fullName"], "--target-org", "sim"))
        for folder in folders[:3]
    )
    assert reports > 0 or not folders, folders


def members(manifest):
    """(type, member) of a package.xml."""
    space = "{http://soap.sforce.com/2006/04/metadata}"
    return {
        (types.find(f"{space}name").text, member.text)
        for types in ElementTree.parse(manifest).getroot().findall(f"{space}types")
        for member in types.findall(f"{space}members")
    }


@checks.check("project generate manifest --from-org names what is there")
def manifest():
    sf("project", "generate", "--name", "project", "--output-dir", str(FOLDER))
    sf("project", "generate", "manifest", "--from-org", "sim", "--name", "all", inside=PROJECT)
    counts = control("counts")
    named = members(PROJECT / "all.xml")
    for kind in ["ApexClass", "CustomField", "Layout", "StandardValueSet"]:
        found = sum(1 for of, _ in named if of == kind)
        assert found == counts.get(kind, 0), (kind, found, counts.get(kind))
    reports = {member for kind, member in named if kind == "Report"}
    assert len(reports) == counts.get("Report", 0) + counts.get("ReportFolder", 0), sorted(reports)
    return named


@checks.check("project retrieve start brings all that the manifest names")
def retrieve():
    result = sf("project", "retrieve", "start", "--manifest", "all.xml", "--target-org", "sim", inside=PROJECT)
    assert result["success"] and not result["messages"], result["messages"][:5]
    failed = [file for file in result["files"] if file["state"] == "Failed"]
    assert not failed, failed[:5]
    print(f"                {len(result['files'])} files of source format", flush=True)


def files(root):
    """Path to bytes, without package.xml."""
    found = {path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if name != "package.xml"}


def sorted_tree(element):
    """An element as text, its children in an order that does not depend on theirs."""
    children = sorted(sorted_tree(child) for child in element)
    text = (element.text or "").strip()
    attributes = sorted(element.attrib.items())
    return f"<{element.tag}{attributes}>{text}{''.join(children)}"


def unpacked(content):
    """The entries of a zip; the CLI unpacks static resources and packs them again."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}


def same(_, one, other):
    """Whether two files say the same; the CLI may order the elements of XML, and pack zips, as it likes."""
    if one == other:
        return True
    if one.startswith(b"PK") and other.startswith(b"PK"):
        return unpacked(one) == unpacked(other)
    try:
        trees = [ElementTree.fromstring(content) for content in (one, other)]
    except ElementTree.ParseError:
        return False
    return sorted_tree(trees[0]) == sorted_tree(trees[1])


def compare(wanted, found, equal):
    missing, extra = sorted(wanted.keys() - found.keys()), sorted(found.keys() - wanted.keys())
    different = sorted(name for name in wanted.keys() & found.keys() if not equal(name, wanted[name], found[name]))
    print(f"                {len(wanted)} files of the tree: {len(missing)} missing, {len(extra)} more, {len(different)} differ", flush=True)
    assert not missing and not extra and not different, {"missing": missing[:8], "more": extra[:8], "differ": different[:8]}


if TREE:

    @checks.check("what the zip holds is the tree, " + ("element for element" if CONVERTED else "byte for byte"))
    def raw():
        sf("project", "retrieve", "start", "--manifest", "all.xml", "--target-org", "sim", "--target-metadata-dir", "raw",
           "--unzip", inside=PROJECT)
        equal = same if CONVERTED else lambda _, one, other: one == other
        compare(files(TREE), files(PROJECT / "raw" / "unpackaged" / "unpackaged"), equal)

    @checks.check("what came into source format, converted back, is the tree")
    def back():
        sf("project", "convert", "source", "--root-dir", "force-app", "--output-dir", "back", inside=PROJECT)
        compare(files(TREE), files(PROJECT / "back"), same)


sys.exit(checks.end())
