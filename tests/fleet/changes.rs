//! What one difference between two nights costs and shows: a quiet night, one field, a sync that failed at its last
//! batch.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use nightshift_metadata::{Dated, registry};
use nightshift_simulator::{Call, Fault, FaultKind, OrgSpec};
use serde_json::json;

use crate::harness::{Fleet, contents, small_org};

/// What was asked for in the last sync, as long as the sweep has not taken the staged rows away.
const ASKED: &str = "SELECT DISTINCT type || ' ' || full_name FROM batch_member
      WHERE role = 'asked' AND sync_id = (SELECT id FROM sync ORDER BY admitted_at DESC LIMIT 1) ORDER BY 1";

#[allow(clippy::print_stdout, reason = "the list is to be read by people")]
#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_night_asks_only_for_members_without_a_trustworthy_date() {
    // a slow sweep, so that what was staged is still there to be looked at
    let fleet = Fleet::running(&[("JOBS__SWEEP_MILLIS", "1000")]).await;
    fleet
        .connect(OrgSpec::from_folder("small", small_org().join("night-1"), None))
        .await;
    let first = fleet.sync("small").await;
    let quiet = fleet.sync("small").await;
    let asked = fleet.database.texts(ASKED).await;
    println!("asked for on a quiet night:\n  {}", asked.join("\n  "));
    assert_eq!(quiet["asked"], asked.len());
    assert!(!asked.is_empty() && quiet["asked"].as_u64() < first["asked"].as_u64());
    for member in &asked {
        let (type_name, name) = member.split_once(' ').unwrap();
        let row = registry().by_name(type_name).unwrap();
        // standard objects are listed without a date
        let standard = type_name == "CustomObject" && !name.ends_with("__c") && !name.ends_with("__mdt");
        assert!(
            row.dated == Dated::Never || standard,
            "{member} has a date that can be trusted, and was asked for"
        );
    }
}

/// A copy of the first night in which one file is another.
fn edited(folder: &Path, file: &str, edit: impl FnOnce(String) -> String) -> PathBuf {
    let to = folder.join("edited");
    copy(&small_org().join("night-1"), &to);
    let path = to.join(file);
    let before = fs::read_to_string(&path).unwrap();
    let after = edit(before.clone());
    assert_ne!(before, after, "the edit found nothing");
    fs::write(path, after).unwrap();
    to
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The difference that a second night with one edited file makes.
async fn difference(file: &str, edit: impl FnOnce(String) -> String) -> serde_json::Value {
    let fleet = Fleet::running(&[]).await;
    let next = edited(fleet.folder.path(), file, edit);
    let one = small_org().join("night-1");
    fleet
        .connect(OrgSpec::from_folder("small", one, Some(next)))
        .await;
    fleet.sync("small").await;
    fleet.simulator.next_night("small").unwrap();
    assert_eq!(fleet.sync("small").await["state"], "succeeded");
    fleet
        .json(&["dictionary", "diff", "small", "1", "2", "--json"])
        .await
}

const FIELD: &str = "Context_Type__c";

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_field_is_one_change() {
    let field = format!("Error__c.{FIELD}");
    let diff = difference("objects/Error__c.object", |text| {
        text.replace("<label>Context Type</label>", "<label>Kind of context</label>")
    });
    assert_eq!(
        diff.await,
        json!([{ "type": "CustomField", "full_name": field, "change": "changed" }])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_field_is_seen_though_its_objects_date_stays() {
    let field = format!("Error__c.{FIELD}");
    let diff = difference("objects/Error__c.object", |text| {
        let name = text.find(&format!("<fullName>{FIELD}<")).unwrap();
        let (begin, end) = (
            text[..name].rfind("<fields>").unwrap(),
            text[name..].find("</fields>").unwrap(),
        );
        format!("{}{}", &text[..begin], &text[name + end + "</fields>".len()..])
    });
    assert_eq!(
        diff.await,
        json!([{ "type": "CustomField", "full_name": field, "change": "deleted" }])
    );
}

/// The org's readers see its first revision.
async fn is_still_of(fleet: &Fleet, first: &[serde_json::Value]) {
    let shown = fleet.json(&["org", "show", "small", "--json"]).await;
    assert_eq!(shown["revision"], 1, "{shown}");
    assert!(
        fleet.export("small").await == first,
        "the last good revision differs"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_sync_leaves_the_last_good_revision_untouched() {
    let fleet = Fleet::running(&[("SYNC__BATCH_FILES", "10"), ("JOBS__MAX_ATTEMPTS", "1")]).await;
    let nights = || (small_org().join("night-1"), Some(small_org().join("night-2")));
    for org in ["twin", "small"] {
        let (one, two) = nights();
        fleet.connect(OrgSpec::from_folder(org, one, two)).await;
        assert_eq!(fleet.sync(org).await["state"], "succeeded");
        fleet.simulator.next_night(org).unwrap();
    }
    let first = fleet.export("small").await;
    let twin = fleet.sync("twin").await;
    let batches = twin["api_calls"]["retrieve"].as_u64().unwrap();
    assert!(batches > 3, "{twin}");

    let last_zip = Fault {
        after: u32::try_from(batches - 1).unwrap(),
        ..Fault::new(FaultKind::TruncatedZip)
    };
    fleet.simulator.fault("small", last_zip.clone()).unwrap();
    let failed = fleet.sync("small").await;
    assert_eq!(
        (failed["state"].as_str(), failed["failure"]["code"].as_str()),
        (Some("failed"), Some("archive_truncated")),
        "{failed}"
    );
    assert_eq!(failed["revision"], json!(null));
    is_still_of(&fleet, &first).await;

    // it fails while the one before is at work: what that one still brings is nobody's
    fleet.simulator.clear_faults("small", None).unwrap();
    let slow = Fault {
        after: last_zip.after - 1,
        times: Some(1),
        millis: Some(15_000),
        ..Fault::new(FaultKind::Slow)
    };
    for fault in [last_zip, slow.on(&[Call::Download])] {
        fleet.simulator.fault("small", fault).unwrap();
    }
    assert_eq!(fleet.sync("small").await["state"], "failed");
    let at_work = "SELECT count(*) FROM job JOIN org ON org.id = org_id WHERE org.name = 'small'";
    assert!(fleet.database.count(at_work).await > 0, "nobody was at work");
    while fleet.database.count(at_work).await > 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    is_still_of(&fleet, &first).await;

    // nor does the next one find anything of it
    fleet.simulator.clear_faults("small", None).unwrap();
    assert_eq!(fleet.sync("small").await["revision"], 2);
    let (small, twin) = (fleet.export("small").await, fleet.export("twin").await);
    assert_eq!(contents(&small), contents(&twin));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_in_parts_is_what_would_have_come_whole() {
    let mut dictionaries = Vec::new();
    for files in ["5000", "10"] {
        let fleet = Fleet::running(&[("SYNC__BATCH_FILES", files)]).await;
        let (one, two) = (small_org().join("night-1"), small_org().join("night-2"));
        fleet.connect(OrgSpec::from_folder("small", one, Some(two))).await;
        assert_eq!(fleet.sync("small").await["state"], "succeeded");
        let first = contents(&fleet.export("small").await);
        fleet.simulator.next_night("small").unwrap();
        let second = fleet.sync("small").await;
        let merged = "SELECT count(*) FROM timeline WHERE kind = 'merge'";
        assert_eq!(fleet.database.count(merged).await > 0, files == "10");
        let counts = ["asked", "got", "added", "changed", "deleted"].map(|count| second[count].as_i64());
        dictionaries.push((first, counts, contents(&fleet.export("small").await)));
    }
    assert!(dictionaries[0] == dictionaries[1], "the dictionaries differ");
}

/// A record of custom metadata: all of them are listed as changed in 1970.
const RECORD: &str = "customMetadata/Data_Import_Object_Mapping.GAU_Allocation_1.md";

/// How many records of custom metadata the last sync asked for.
const RECORDS_ASKED: &str = "SELECT count(DISTINCT name) FROM batch_member
      WHERE role = 'asked' AND type = 'CustomMetadata'
        AND sync_id = (SELECT id FROM sync ORDER BY admitted_at DESC LIMIT 1)";

#[tokio::test(flavor = "multi_thread")]
async fn b53_a_record_without_a_real_date_is_retrieved_only_when_what_is_read_of_it_differs() {
    let fleet = Fleet::running(&[("JOBS__SWEEP_MILLIS", "1000")]).await;
    let next = edited(fleet.folder.path(), RECORD, |text| {
        text.replacen("<label>", "<label>Other ", 1)
    });
    let one = small_org().join("night-1");
    fleet
        .connect(OrgSpec::from_folder("small", one, Some(next)))
        .await;
    fleet.sync("small").await;
    let quiet = fleet.sync("small").await;
    assert_eq!(quiet["api_calls"]["read"], 1, "{quiet}");
    assert_eq!(fleet.database.count(RECORDS_ASKED).await, 0);
    fleet.simulator.next_night("small").unwrap();
    let changed = fleet.sync("small").await;
    assert_eq!(fleet.database.count(RECORDS_ASKED).await, 1);
    assert_eq!(changed["changed"], 1, "{changed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_cannot_be_read_are_retrieved() {
    let fleet = Fleet::running(&[("JOBS__SWEEP_MILLIS", "1000")]).await;
    fleet
        .connect(OrgSpec::from_folder("small", small_org().join("night-1"), None))
        .await;
    fleet.sync("small").await;
    for kind in [
        FaultKind::Error,
        FaultKind::Html503,
        FaultKind::Html200,
        FaultKind::Reset,
    ] {
        let unread = Fault {
            calls: vec![Call::Read],
            code: Some("UNKNOWN_EXCEPTION".to_owned()),
            ..Fault::new(kind)
        };
        fleet.simulator.fault("small", unread).unwrap();
        let sync = fleet.sync("small").await;
        assert_eq!(sync["state"], "succeeded", "{kind:?}: {sync}");
        assert_eq!(fleet.database.count(RECORDS_ASKED).await, 3, "{kind:?}");
        fleet.simulator.clear_faults("small", None).unwrap();
    }
}

/// What a sync left out, by its report: type and reason.
fn left_out(sync: &serde_json::Value) -> BTreeSet<(String, String)> {
    let word = |entry: &serde_json::Value, key: &str| entry[key].as_str().unwrap().to_owned();
    let all = sync["left_out"].as_array().unwrap().iter();
    all.map(|entry| (word(entry, "type"), word(entry, "reason")))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_that_came_without_a_tab_is_not_taken_for_whole() {
    let fleet = Fleet::running(&[]).await;
    for org in ["quiet", "lacks"] {
        fleet
            .connect(OrgSpec::from_folder(org, small_org().join("night-1"), None))
            .await;
        assert_eq!(fleet.sync(org).await["state"], "succeeded");
    }
    let whole = contents(&fleet.export("quiet").await);
    let tab = |times| {
        Fault::new(FaultKind::LeftOut)
            .of_type("CustomTab")
            .named("Address__c")
            .saying("", "Entity of type '{type}' named '{name}' cannot be found")
            .times(times)
    };
    let entry = |type_name: &str, reason: &str| (type_name.to_owned(), reason.to_owned());

    // from its own retrieve and once from that of the profiles: the second is asked for again, and all is whole
    let full = async || {
        let said = fleet.run(&["sync", "lacks", "--full", "--wait", "--json"]).await;
        serde_json::from_slice::<serde_json::Value>(&said.stdout).unwrap()
    };
    let before = full().await;
    fleet.simulator.fault("lacks", tab(2)).unwrap();
    let healed = full().await;
    let retrieves = |sync: &serde_json::Value| sync["api_calls"]["retrieve"].as_u64().unwrap();
    assert_eq!(retrieves(&healed), retrieves(&before) + 1, "{healed}");
    assert_eq!(left_out(&healed), left_out(&before), "{healed}");
    assert_eq!(contents(&fleet.export("lacks").await), whole);

    // for a whole sync: a gap, and nothing that is silently poorer
    fleet.simulator.fault("lacks", tab(99)).unwrap();
    let poorer = full().await;
    assert_eq!(poorer["state"], "succeeded_with_gaps", "{poorer}");
    let gaps = left_out(&poorer);
    assert!(gaps.contains(&entry("Profile", "not_whole")), "{gaps:?}");
    assert!(gaps.contains(&entry("CustomTab", "cannot_be_found")), "{gaps:?}");

    // a tab that does not come for longer is a gap alone
    let used_to = fleet.sync("lacks").await;
    let gaps = left_out(&used_to);
    assert!(!gaps.contains(&entry("Profile", "not_whole")), "{gaps:?}");
    assert!(gaps.contains(&entry("CustomTab", "cannot_be_found")), "{gaps:?}");
    assert_ne!(contents(&fleet.export("lacks").await), whole);

    // it comes again: what may be poorer for it is asked for in the night after
    fleet.simulator.clear_faults("lacks", None).unwrap();
    assert_eq!(fleet.sync("lacks").await["state"], "succeeded");
    assert_eq!(fleet.sync("lacks").await["state"], "succeeded");
    assert_eq!(contents(&fleet.export("lacks").await), whole);
}
