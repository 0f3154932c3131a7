//! describe, list and retrieve on a generated org.

use nightshift_simulator::{OrgSpec, RetrievePace, SimulatorSettings};
use serde_json::json;

use crate::{
    client::{Session, element, rows},
    oddities::odd,
};

#[tokio::test]
async fn describe_names_types_folders_and_children() {
    let session = odd().await;
    let (status, text) = session
        .soap("<m:describeMetadata><m:asOfVersion>67.0</m:asOfVersion></m:describeMetadata>")
        .await;
    assert_eq!(status, 200);
    let types = rows(&text, "metadataObjects");
    let of = |name: &str| {
        types
            .iter()
            .find(|row| row["xmlName"] == name)
            .unwrap_or_else(|| panic!("{name}"))
    };
    assert!(types.len() > 90, "{}", types.len());
    assert_eq!(
        (
            of("Report")["inFolder"].as_str(),
            of("ApexClass")["metaFile"].as_str()
        ),
        ("true", "true")
    );
    assert_eq!(of("LightningComponentBundle").get("suffix"), None);
    assert!(text.contains("<childXmlNames>CustomField</childXmlNames>"));
    assert_eq!(of("NextReleaseThing")["directoryName"], "nextReleaseThings");
    assert!(
        types
            .iter()
            .all(|row| row["xmlName"] != "ReportFolder" && row["xmlName"] != "CustomField")
    );
}

#[tokio::test]
async fn a_listing_is_flat_and_takes_three_queries_at_most() {
    let session = odd().await;
    let queries = [("ApexClass", None), ("ApexTrigger", None), ("Layout", None)];
    let (status, text) = session.list_raw(&queries).await;
    assert_eq!(status, 200);
    let kinds: std::collections::BTreeSet<String> = rows(&text, "result")
        .into_iter()
        .map(|row| row["type"].clone())
        .collect();
    assert_eq!(
        kinds.into_iter().collect::<Vec<_>>(),
        ["ApexClass", "ApexTrigger", "Layout"]
    );
    let four = [
        ("ApexClass", None),
        ("ApexTrigger", None),
        ("Layout", None),
        ("Flow", None),
    ];
    let (status, text) = session.list_raw(&four).await;
    assert_eq!(status, 500);
    assert!(
        text.contains("LIMIT_EXCEEDED: No more than 3 allowed in request"),
        "{text}"
    );
}

#[tokio::test]
async fn b01_one_bad_query_of_three_fails_the_whole_call() {
    let session = odd().await;
    let (status, text) = session
        .list_raw(&[("ApexClass", None), ("TypeTheOrgLacks", None), ("Layout", None)])
        .await;
    assert_eq!(status, 500);
    assert!(
        text.contains("sf:INVALID_TYPE") && text.contains("Unknown type:TypeTheOrgLacks"),
        "{text}"
    );
    assert!(!text.contains("<result>"));
    let (_, text) = session.list_raw(&[("WaveLens", None)]).await;
    assert!(
        text.contains("Cannot use: WaveLens in this organization"),
        "{text}"
    );
}

#[tokio::test]
async fn b09_nothing_found_is_no_result_element() {
    let session = odd().await;
    for (kind, folder) in [
        ("StandardValueSet", None),
        ("Scontrol", None),
        ("Report", None),
        ("Report", Some("nope")),
    ] {
        assert_eq!(session.list(kind, folder).await.len(), 0, "{kind}");
    }
    assert_eq!(session.list("CustomLabels", None).await.len(), 1);
}

#[tokio::test]
async fn a_retrieve_brings_members_children_and_folders_with_its_manifest() {
    let session = Session::open(OrgSpec::generated("Acme", 1, 400)).await;
    let field = session.list("CustomField", None).await[0].clone();
    let (object, key) = field["fullName"].split_once('.').unwrap();
    let class = session.list("ApexClass", None).await[0]["fullName"].clone();
    let tile = session.list("LightningComponentBundle", None).await[0]["fullName"].clone();
    let fetched = session
        .fetch(&[
            ("CustomField", &[&field["fullName"]]),
            ("ApexClass", &[&class, "Nobody"]),
            ("LightningComponentBundle", &[&tile]),
            ("StandardValueSet", &["AccountContactRole", "Nothing"]),
            ("Nonsense", &["A"]),
        ])
        .await;
    let alone = fetched.file(&format!("unpackaged/objects/{object}.object"));
    assert!(
        alone.matches("<fields>").count() == 1 && alone.contains(key) && !alone.contains("sharingModel"),
        "{alone}"
    );
    assert_eq!(field["fileName"], format!("objects/{object}.object"));
    fetched.file(&format!("unpackaged/classes/{class}.cls"));
    fetched.file(&format!("unpackaged/classes/{class}.cls-meta.xml"));
    fetched.file(&format!("unpackaged/lwc/{tile}/{tile}.js-meta.xml"));
    let manifest = fetched.file("unpackaged/package.xml");
    assert!(
        manifest.contains(&format!("<members>{class}</members>")) && !manifest.contains("Nobody"),
        "{manifest}"
    );
    assert_eq!(
        fetched.messages(),
        [
            "Entity of type 'ApexClass' named 'Nobody' cannot be found",
            "Entity of type 'StandardValueSet' named 'Nothing' cannot be found",
            "Entity type: 'Nonsense' is unknown",
        ]
    );
    let named: Vec<String> = rows(&fetched.text, "fileProperties")
        .into_iter()
        .map(|row| row["fileName"].clone())
        .collect();
    assert!(named.contains(&format!("unpackaged/classes/{class}.cls")));
    assert!(named.contains(&format!("unpackaged/lwc/{tile}/{tile}.html")));
    assert!(
        fetched
            .text
            .contains("<status>Succeeded</status><success>true</success><zipFile>")
    );
}

#[tokio::test]
async fn a_wildcard_brings_custom_objects_but_neither_standard_ones_nor_foldered_types() {
    let session = Session::open(OrgSpec::generated("Acme", 1, 400)).await;
    let fetched = session
        .fetch(&[("CustomObject", &["*"]), ("Report", &["*"]), ("Flow", &["*"])])
        .await;
    let below = |directory: &str| {
        fetched
            .files
            .keys()
            .filter(|path| path.contains(directory))
            .count()
    };
    let objects = session.list("CustomObject", None).await;
    let custom = objects
        .iter()
        .filter(|row| row["fullName"].ends_with("__c"))
        .count();
    assert!(custom > 0 && custom < objects.len());
    assert_eq!((below("/objects/"), below("/reports/")), (custom, 0));
    assert_eq!(below("/flows/"), session.list("Flow", None).await.len());
}

#[tokio::test]
async fn b31_the_zip_is_handed_over_once() {
    let session = Session::open(OrgSpec::generated("Acme", 1, 400)).await;
    let class = session.list("ApexClass", None).await[0]["fullName"].clone();
    let id = session.retrieve(&[("ApexClass", &[&class])]).await;
    assert!(session.wait(&id).await.contains("<zipFile xsi:nil=\"true\"/>"));
    assert!(
        session.wait(&id).await.contains("<fileProperties>"),
        "a poll may be repeated"
    );
    assert!(element(&session.status(&id, true).await.1, "zipFile").is_some());
    let (status, again) = session.status(&id, true).await;
    assert_eq!(status, 200);
    assert!(
        again.contains("<status>Succeeded</status>") && again.contains("<zipFile xsi:nil=\"true\"/>"),
        "{again}"
    );
}

#[tokio::test]
async fn a_retrieve_is_pending_then_in_progress_then_done() {
    let minute = std::time::Duration::from_mins(1);
    let pace = RetrievePace {
        pending: minute,
        in_progress: minute,
        per_file: minute,
    };
    let settings = SimulatorSettings {
        pace,
        ..SimulatorSettings::default()
    };
    let session = Session::open_with(OrgSpec::generated("Acme", 1, 400), settings).await;
    let class = session.list("ApexClass", None).await[0]["fullName"].clone();
    let id = session.retrieve(&[("ApexClass", &[&class])]).await;
    let (_, text) = session.status(&id, false).await;
    let pending = format!(
        "<result><done>false</done><id>{id}</id><status>Pending</status><success>false</success><zipFile xsi:nil=\"true\"/></result>"
    );
    assert!(text.contains(&pending), "{text}");
    session.simulator.advance(minute);
    assert!(
        session
            .status(&id, true)
            .await
            .1
            .contains("<status>InProgress</status>")
    );
    // Two files: one minute and two more.
    session.control("advance", json!({ "millis": 179_000 })).await;
    assert!(
        session
            .status(&id, false)
            .await
            .1
            .contains("<status>InProgress</status>")
    );
    session.simulator.advance(minute);
    assert!(
        session
            .status(&id[..15], false)
            .await
            .1
            .contains("<status>Succeeded</status>")
    );
    let (status, text) = session.status("09S000000000001AAA", false).await;
    assert!(
        status == 500 && text.contains("sf:INVALID_CROSS_REFERENCE_KEY"),
        "{text}"
    );
}

#[tokio::test]
async fn b15_too_many_files_fail_in_the_answer_not_in_a_fault() {
    let settings = SimulatorSettings {
        most_files: 10,
        ..SimulatorSettings::default()
    };
    let session = Session::open_with(OrgSpec::generated("Acme", 1, 400), settings).await;
    let id = session.retrieve(&[("ApexClass", &["*"])]).await;
    let text = session.wait(&id).await;
    assert_eq!(element(&text, "errorStatusCode").unwrap(), "LIMIT_EXCEEDED");
    assert_eq!(
        element(&text, "errorMessage").unwrap(),
        "LIMIT_EXCEEDED: Too many files in retrieve call, limit is: 10."
    );
    assert!(text.contains("<status>Failed</status><success>false</success><zipFile xsi:nil=\"true\"/>"));
}

#[tokio::test]
async fn clients_of_other_habits_are_understood() {
    let session = Session::open(OrgSpec::generated("Acme", 1, 400)).await;
    let class = session.list("ApexClass", None).await[0]["fullName"].clone();
    // jsforce: `request`, no prefixes, the name before the members; simple-salesforce: `True`, a path of its own.
    let body = format!(
        "<retrieve><request><apiVersion>67.0</apiVersion><singlePackage>True</singlePackage><unpackaged><types>\
         <name>ApexClass</name><members>{class}</members></types></unpackaged></request></retrieve>"
    );
    let envelope = format!(
        "<Envelope><Header><SessionHeader><sessionId>{}</sessionId></SessionHeader></Header><Body>{body}</Body></Envelope>",
        session.token
    );
    let url = session.url("/services/Soap/m/67.0/deployRequest/123");
    let answer = session.http.post(url).body(envelope).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/xml; charset=UTF-8");
    let id = element(&answer.text().await.unwrap(), "id").unwrap();
    session.wait(&id).await;
    let (_, text) = session
        .soap(&format!(
            "<checkRetrieveStatus><asyncProcessId>{id}</asyncProcessId></checkRetrieveStatus>"
        ))
        .await;
    assert!(
        text.contains(&format!("<fileName>classes/{class}.cls</fileName>")),
        "{text}"
    );
    assert!(
        element(&text, "zipFile").is_some(),
        "includeZip is true when absent"
    );
    let (status, text) = session.soap("<checkStatus/>").await;
    assert!(status == 500 && text.contains("faultcode"), "{text}");
    let answer = session
        .http
        .post(session.url("/services/Soap/m/67.0"))
        .body("no xml")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 500);
    assert!(answer.text().await.unwrap().contains("soapenv:Client"));
}

#[tokio::test]
async fn answers_are_compressed_for_those_who_ask() {
    let session = Session::open(OrgSpec::generated("Acme", 1, 4_000)).await;
    let plain = reqwest::Client::builder().no_gzip().build().unwrap();
    let envelope = format!(
        "<E><Header><SessionHeader><sessionId>{}</sessionId></SessionHeader></Header><Body><listMetadata><queries>\
         <type>CustomField</type></queries></listMetadata></Body></E>",
        session.token
    );
    let ask = |coding: &'static str| {
        let request = plain
            .post(session.url("/services/Soap/m/67.0"))
            .header("accept-encoding", coding);
        let request = request.body(envelope.clone());
        async move {
            let answer = request.send().await.unwrap();
            let coded = answer.headers().get("content-encoding").cloned();
            (coded, answer.bytes().await.unwrap())
        }
    };
    let (none, whole) = ask("identity").await;
    let (gzip, packed) = ask("gzip,deflate").await;
    assert_eq!((none, gzip.unwrap().to_str().unwrap()), (None, "gzip"));
    let mut text = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&packed[..]), &mut text).unwrap();
    assert_eq!(text, whole);
    assert!(packed.len() * 4 < whole.len());
}
