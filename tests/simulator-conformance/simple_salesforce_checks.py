"""What simple-salesforce (PyPI) sees of a simulated org: one line for each check, exit 1 when any fails.

Usage: simple_salesforce_checks.py ACCESS.json     (one line of `nightshift simulator`; REQUESTS_CA_BUNDLE names the certificate)

The client is unmodified and unpatched. Its SOAP login is pointed at the simulator by its own `scratch_url`; its OAuth
logins can only reach *.salesforce.com and are left to jsforce.
"""
import io
import json
import sys
import time
import zipfile
from pathlib import Path

import requests
from simple_salesforce import Salesforce, SalesforceLogin, SalesforceAuthenticationFailed
from simple_salesforce.exceptions import SalesforceMalformedRequest, SalesforceExpiredSession, SalesforceResourceNotFound

sys.path.insert(0, str(Path(__file__).resolve().parent))
from checks import Checks  # noqa: E402

VERSION = "67.0"
ACCESS = json.loads(Path(sys.argv[1]).read_text())
URL = ACCESS["instance_url"]
checks = Checks(f"simple-salesforce/{ACCESS['name']}")


@checks.check("SOAP login gives a session and the instance")
def login():
    session, instance = SalesforceLogin(
        username=ACCESS["username"], password=ACCESS["password"], security_token="TOKEN", scratch_url=URL
    )
    assert session.startswith(ACCESS["organization_id"][:15] + "!"), session
    assert URL == f"https://{instance}", instance
    return session


@checks.check("SOAP login with a wrong password says INVALID_LOGIN")
def wrong_login():
    try:
        SalesforceLogin(username=ACCESS["username"], password="no", security_token="", scratch_url=URL)
    except SalesforceAuthenticationFailed as refused:
        assert refused.code == "INVALID_LOGIN", refused
        return
    raise AssertionError("it was let in")


SESSION = login.value
salesforce = Salesforce(instance_url=URL, session_id=SESSION, version=VERSION)


@checks.check("query brings typed records and the API usage")
def query():
    answer = salesforce.query("SELECT Id, Name, IsSandbox, TimeZoneSidKey, CreatedBy.Name FROM Organization")
    record = answer["records"][0]
    assert answer["done"] and answer["totalSize"] == 1
    assert record["attributes"]["type"] == "Organization" and record["Id"] == ACCESS["organization_id"]
    assert record["CreatedBy"]["Name"] == "Sim Admin" and record["IsSandbox"] is False
    usage = salesforce.api_usage["api-usage"]
    assert usage.total == 15000 and usage.used > 0, usage


@checks.check("query and query_more page 4,500 rows by 2,000")
def paging():
    answer = salesforce.query("SELECT Id, Name FROM Account ORDER BY Name")
    pages, names = 1, [record["Name"] for record in answer["records"]]
    assert answer["totalSize"] == 4500 and len(names) == 2000
    while not answer["done"]:
        answer = salesforce.query_more(answer["nextRecordsUrl"], identifier_is_url=True)
        names += [record["Name"] for record in answer["records"]]
        pages += 1
    assert pages == 3 and len(set(names)) == 4500 and names == sorted(names)


@checks.check("query_more by the identifier alone")
def paging_by_identifier():
    answer = salesforce.query("SELECT Id FROM Account")
    identifier = answer["nextRecordsUrl"].rsplit("/", 1)[1]
    assert len(salesforce.query_more(identifier)["records"]) == 2000


@checks.check("query_all_iter walks all pages, queryAll included")
def query_all():
    assert sum(1 for _ in salesforce.query_all_iter("SELECT Id FROM Contact", include_deleted=True)) == 3000


@checks.check("errors carry Salesforce's codes")
def errors():
    for soql, code in [
        ("SELECT Id FORM Account", "MALFORMED_QUERY"),
        ("SELECT Nope FROM Account", "INVALID_FIELD"),
        ("SELECT Id FROM Nope__c", "INVALID_TYPE"),
    ]:
        try:
            salesforce.query(soql)
        except SalesforceMalformedRequest as refused:
            assert refused.status == 400 and refused.content[0]["errorCode"] == code, refused
        else:
            raise AssertionError(soql)


@checks.check("a dead session is an expired session")
def dead_session():
    dead = Salesforce(instance_url=URL, session_id=SESSION[:16] + "dead", version=VERSION)
    try:
        dead.query("SELECT Id FROM User")
    except SalesforceExpiredSession as expired:
        assert expired.content[0]["errorCode"] == "INVALID_SESSION_ID"
        return
    raise AssertionError("it was let in")


@checks.check("global describe and describes of Organization, User, Account")
def describe():
    everything = salesforce.describe()
    names = {sobject["name"] for sobject in everything["sobjects"]}
    assert {"Organization", "User", "Account", "Contact", "ApexClass"} <= names and everything["encoding"] == "UTF-8"
    for name in ["Organization", "User", "Account"]:
        fields = {field["name"]: field["type"] for field in getattr(salesforce, name).describe()["fields"]}
        assert fields["Id"] == "id" and fields["CreatedById"] == "reference", fields
    assert any(name.endswith("__c") for name in names), "no custom object"


@checks.check("a record by its id, and one that is not there")
def record():
    account = salesforce.query("SELECT Id, Name FROM Account LIMIT 1")["records"][0]
    assert salesforce.Account.get(account["Id"])["Name"] == account["Name"]
    try:
        salesforce.Account.get("001000000000000AAA")
    except SalesforceResourceNotFound as missing:
        assert missing.content[0]["errorCode"] == "NOT_FOUND"
        return
    raise AssertionError("it was found")


@checks.check("Tooling query of ApexClass agrees with listMetadata")
def tooling():
    answer = salesforce.toolingexecute("query/?q=SELECT+Id,Name,ApiVersion,LastModifiedBy.Name+FROM+ApexClass")
    listed = salesforce.mdapi.list_metadata([salesforce.mdapi.ListMetadataQuery(type="ApexClass")])
    assert answer["entityTypeName"] == "ApexClass" and answer["size"] == len(answer["records"])
    assert {row["Id"] for row in answer["records"]} == {entry.id for entry in listed}


@checks.check("limits")
def limits():
    daily = salesforce.limits()["DailyApiRequests"]
    assert daily["Max"] == 15000 and 0 < daily["Remaining"] < 15000


@checks.check("identity and userinfo")
def identity():
    url = salesforce.restful("")["identity"]
    answer = requests.get(url, headers={"Authorization": f"Bearer {SESSION}"}, timeout=30).json()
    assert answer["organization_id"] == ACCESS["organization_id"] and answer["user_id"] == ACCESS["user_id"]
    assert salesforce.oauth2("userinfo")["organization_id"] == ACCESS["organization_id"]


@checks.check("composite and batch")
def composite():
    one = {"method": "GET", "url": f"/services/data/v{VERSION}/query?q=SELECT+Id+FROM+Organization", "referenceId": "a"}
    two = {"method": "GET", "url": f"/services/data/v{VERSION}/sobjects/Nope/describe", "referenceId": "b"}
    answer = salesforce.restful("composite", method="POST", json={"compositeRequest": [one, two]})
    assert [part["httpStatusCode"] for part in answer["compositeResponse"]] == [200, 404], answer
    parts = [{"method": "GET", "url": f"v{VERSION}/limits"}, {"method": "GET", "url": f"v{VERSION}/nope"}]
    answer = salesforce.restful("composite/batch", method="POST", json={"batchRequests": parts})
    assert answer["hasErrors"] and [part["statusCode"] for part in answer["results"]] == [200, 404], answer


@checks.check("Bulk 2.0 query in pages")
def bulk():
    pages = list(salesforce.bulk2.Account.query("SELECT Id, Name, Description FROM Account", max_records=2000))
    assert len(pages) == 3, len(pages)
    assert sum(page.count('"Account ') for page in pages) == 4500


@checks.check("mdapi describe_metadata")
def describe_metadata():
    described = salesforce.mdapi.describe_metadata()
    types = {entry.xmlName: entry for entry in described.metadataObjects}
    assert types["ApexClass"].suffix == "cls" and types["ApexClass"].metaFile is True
    assert "CustomField" in types["CustomObject"].childXmlNames


@checks.check("mdapi list_metadata, three types at once")
def list_metadata():
    query = salesforce.mdapi.ListMetadataQuery
    listed = salesforce.mdapi.list_metadata([query(type=name) for name in ["ApexClass", "CustomObject", "Layout"]])
    assert {entry.type for entry in listed} == {"ApexClass", "CustomObject", "Layout"}
    assert all(len(entry.createdById) == 18 for entry in listed)


def retrieved(types):
    """The id of a retrieve that is done; the client's own parser of messages looks where Salesforce has none."""
    job, state = salesforce.mdapi.retrieve("", unpackaged=types, single_package=True)
    assert job.startswith("09S") and len(job) == 18 and state == "Queued", (job, state)
    deadline = time.monotonic() + 60
    while True:
        state, error, _ = salesforce.mdapi.check_retrieve_status(job)
        if state not in ("Pending", "InProgress"):
            assert state == "Succeeded" and not error, (state, error)
            return job
        assert time.monotonic() < deadline, state
        time.sleep(0.2)


@checks.check("mdapi retrieve, check_retrieve_status and retrieve_zip, which hands it over once")
def retrieve():
    job = retrieved({"ApexClass": ["*"], "CustomObject": ["*"]})
    state, _, _, body = salesforce.mdapi.retrieve_zip(job)
    names = zipfile.ZipFile(io.BytesIO(body)).namelist()
    assert state == "Succeeded" and "package.xml" in names and any(name.endswith(".cls") for name in names), names[:5]
    try:
        salesforce.mdapi.retrieve_zip(job)
    except TypeError:  # so the client meets a zip that is nil
        return
    raise AssertionError("the zip came twice")


sys.exit(checks.end())
