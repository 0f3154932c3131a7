//! Listings as Salesforce really sends them: what is missing is put back, and an entry is one name for ever.

use nightshift_domain::{ComponentKey, LeftOutReason, ListedEntry};
use nightshift_metadata::{
    Dated, Described, DescribedType, ListingContext, ListingFault, RawListing, Seen, correct_listing,
    name_of, real_date, registry,
};

fn raw(type_name: &str, full_name: &str, file_name: &str) -> RawListing {
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    RawListing {
        type_name: given(type_name),
        full_name: given(full_name),
        file_name: given(file_name),
        ..RawListing::default()
    }
}

fn of_package(raw: RawListing, namespace: &str) -> RawListing {
    RawListing {
        namespace_prefix: Some(namespace.to_owned()),
        manageable_state: Some("installed".to_owned()),
        ..raw
    }
}

fn corrected(raw: &RawListing, asked: &[&str]) -> Result<ListedEntry, ListingFault> {
    let described = Described::default();
    let context = ListingContext {
        asked,
        described: &described,
        own_namespace: None,
    };
    correct_listing(raw, &context)
}

fn entry(raw: &RawListing, asked: &[&str]) -> ListedEntry {
    corrected(raw, asked).unwrap()
}

#[test]
fn b03_the_layout_of_a_package_gets_its_namespace_back_behind_the_dash() {
    let sent = "SBQQ__Quote__c-Quote Layout";
    let path = format!("unpackaged/layouts/{sent}.layout");
    let got = entry(&of_package(raw("Layout", sent, &path), "SBQQ"), &["Layout"]);
    assert_eq!(got.full_name, "SBQQ__Quote__c-SBQQ__Quote Layout");
    assert_eq!(got.key, ComponentKey::new("Layout", &got.full_name));
    assert_eq!(got.file_name, "layouts/SBQQ__Quote__c-SBQQ__Quote Layout.layout");
    assert_eq!(
        name_of(&got.file_name, &Described::default()).key,
        got.key,
        "the file of the retrieve is the same one"
    );
    let again = entry(
        &of_package(raw("Layout", &got.full_name, ""), "SBQQ"),
        &["Layout"],
    );
    assert_eq!(again.full_name, got.full_name, "nothing is put there twice");
}

#[test]
fn b05_a_managed_and_an_unmanaged_record_of_one_name_are_two_components() {
    let own = entry(&raw("CustomMetadata", "Setting.Default", ""), &["CustomMetadata"]);
    let managed = entry(
        &of_package(raw("CustomMetadata", "Setting.Default", ""), "ns"),
        &["CustomMetadata"],
    );
    assert_eq!(own.full_name, "Setting.Default");
    assert_eq!(managed.full_name, "Setting.ns__Default");
    assert_ne!(own.key, managed.key);
    let mut seen = Seen::default();
    assert!(seen.first(&own) && seen.first(&managed) && !seen.first(&own));
}

#[test]
fn a_namespace_is_put_before_the_own_part_of_the_name_only() {
    let cases = [
        ("ApexClass", "Util", "ns__Util"),
        ("Layout", "ns__O__c-A-B", "ns__O__c-ns__A-B"),
        ("Layout", "NoDash", "NoDash"),
        ("ApexClass", "ns__Util", "ns__Util"),
        ("QuickAction", "Account.New", "Account.ns__New"),
        ("CustomField", "Account.ns__F__c", "Account.ns__F__c"),
        ("InstalledPackage", "ns", "ns"),
        ("Report", "Folder/Rep", "Folder/Rep"),
    ];
    for (type_name, sent, wanted) in cases {
        let got = entry(&of_package(raw(type_name, sent, ""), "ns"), &[type_name]);
        assert_eq!(
            (&*got.full_name, got.namespace.as_deref()),
            (wanted, Some("ns")),
            "{type_name} {sent}"
        );
    }
    let described = Described::default();
    let own = ListingContext {
        asked: &["ApexClass"],
        described: &described,
        own_namespace: Some("ns"),
    };
    let got = correct_listing(&of_package(raw("ApexClass", "Util", ""), "ns"), &own).unwrap();
    assert_eq!(
        got.full_name, "Util",
        "an org's own components are named as they come"
    );
}

#[test]
fn b07_a_folder_is_listed_as_its_own_type_whatever_word_comes() {
    for (sent, asked) in [
        ("Folder", "ReportFolder"),
        ("ReportFolder", "ReportFolder"),
        ("", "ReportFolder"),
    ] {
        let got = entry(&raw(sent, "top/su/su1", "reports/top/su/su1"), &[asked]);
        assert_eq!(got.key, ComponentKey::new("ReportFolder", "top/su/su1"));
        assert_eq!(got.file_name, "reports/top/su/su1-meta.xml");
    }
    for (sent, asked) in [
        ("Folder", "EmailTemplateFolder"),
        ("", "EmailTemplateFolder"),
        ("EmailTemplateFolder", "EmailFolder"),
    ] {
        assert_eq!(
            entry(&raw(sent, "F", ""), &[asked]).key,
            ComponentKey::new("EmailFolder", "F"),
            "{sent} {asked}"
        );
    }
}

#[test]
fn b11_a_missing_file_name_is_made_from_directory_and_suffix() {
    let cases = [
        ("CustomTab", "Invoice__c", "tabs/Invoice__c.tab"),
        ("ApexClass", "Util", "classes/Util.cls"),
        ("Settings", "Account", "settings/Account.settings"),
        ("CustomField", "Invoice__c.A__c", "objects/Invoice__c.object"),
        ("CustomLabel", "Hello", "labels/CustomLabels.labels"),
        ("LightningComponentBundle", "greet", "lwc/greet"),
    ];
    for (type_name, full_name, wanted) in cases {
        assert_eq!(
            entry(&raw(type_name, full_name, ""), &[type_name]).file_name,
            wanted
        );
    }
    let described = Described::new(vec![DescribedType {
        name: "NextThing".to_owned(),
        directory: "nextThings".to_owned(),
        suffix: Some("next".to_owned()),
        ..DescribedType::default()
    }]);
    let context = ListingContext {
        asked: &["NextThing"],
        described: &described,
        own_namespace: None,
    };
    let got = correct_listing(&raw("NextThing", "A", ""), &context).unwrap();
    assert_eq!(got.file_name, "nextThings/A.next");
}

#[test]
fn b13_an_entry_without_a_type_is_of_the_type_asked_for_and_costs_none_of_the_others() {
    let listing: Vec<RawListing> = (0..500)
        .map(|at| raw("AnimationRule", &format!("Rule{at}"), ""))
        .chain([raw("", "_Default", ""), raw("", "", "")])
        .collect();
    let (good, bad): (Vec<_>, Vec<_>) = listing
        .iter()
        .map(|raw| corrected(raw, &["AnimationRule"]))
        .partition(Result::is_ok);
    assert_eq!((good.len(), bad.len()), (501, 1));
    let default = good[500].as_ref().unwrap();
    assert_eq!(default.key, ComponentKey::new("AnimationRule", "_Default"));
    assert_eq!(default.file_name, "animationRules/_Default.animationRule");
}

#[test]
fn b13_where_three_types_were_asked_for_the_file_tells_or_the_entry_is_a_warning() {
    let asked = ["AnimationRule", "ApexClass", "Layout"];
    let told = entry(&raw("", "Util", "unpackaged/classes/Util.cls"), &asked);
    assert_eq!(told.key.type_name, "ApexClass");
    let fault = corrected(&raw("", "_Default", ""), &asked).unwrap_err();
    let left_out = fault.left_out();
    assert_eq!(left_out.reason, LeftOutReason::Unnamed);
    assert_eq!(left_out.name, "_Default");
    assert_eq!(left_out.type_name, "AnimationRule, ApexClass, Layout");
    let nameless = corrected(&raw("ApexClass", "  ", ""), &asked).unwrap_err();
    assert_eq!(nameless.left_out().name, "");
    let long = corrected(&raw("", &"x".repeat(5000), ""), &asked).unwrap_err();
    assert_eq!(long.left_out().detail.chars().count(), 1000);
}

#[test]
fn a_name_that_no_index_can_hold_is_a_warning_and_the_longest_one_is_taken() {
    let longest = "x".repeat(1_024);
    assert!(corrected(&raw("ApexClass", &longest, ""), &["ApexClass"]).is_ok());
    for (type_name, name, file) in [
        ("ApexClass", "x".repeat(1_025), String::new()),
        ("ApexClass", "A".to_owned(), "x".repeat(1_025)),
        (&"T".repeat(256), "A".to_owned(), String::new()),
    ] {
        let fault = corrected(&raw(type_name, &name, &file), &["ApexClass"]).unwrap_err();
        assert!(matches!(fault, ListingFault::TooLong { .. }), "{fault}");
        assert!(fault.left_out().name.len() <= 100);
    }
}

#[test]
fn b43_the_listed_and_the_delivered_spelling_are_one_component() {
    let listed = entry(
        &raw(
            "Profile",
            "My(awesome)profile",
            "profiles/My(awesome)profile.profile",
        ),
        &["Profile"],
    );
    let delivered = name_of(
        "unpackaged/profiles/My%28awesome%29profile.profile",
        &Described::default(),
    );
    assert_eq!(listed.key, delivered.key);
    assert_eq!(
        listed.full_name, "My(awesome)profile",
        "it is asked for as it was listed"
    );
}

#[test]
fn b53_a_type_without_real_dates_never_has_one() {
    let date = "2024-05-01T10:00:00.000Z";
    let dated = |type_name: &str, date: &str| {
        let sent = RawListing {
            last_modified_date: Some(date.to_owned()),
            ..raw(type_name, "Setting.Default", "")
        };
        entry(&sent, &[type_name]).last_modified
    };
    let mut never = 0;
    for info in registry().types() {
        let real = registry().by_name(info.name).unwrap();
        let undated = matches!(real.dated, Dated::Never | Dated::ByReading);
        let wanted = (!undated).then(|| date.parse().unwrap());
        assert_eq!(dated(info.name, date), wanted, "{}", info.name);
        assert_eq!(
            dated(info.name, "1970-01-01T00:00:00.000Z"),
            None,
            "{}",
            info.name
        );
        never += usize::from(undated);
    }
    assert!(
        never >= 4,
        "custom metadata, settings, standard value sets and their translations at least"
    );
    for type_name in [
        "CustomMetadata",
        "Settings",
        "StandardValueSet",
        "StandardValueSetTranslation",
    ] {
        assert_eq!(dated(type_name, date), None, "{type_name}");
    }
}

#[test]
fn a_date_is_a_date_only_when_somebody_could_have_changed_something_then() {
    for none in [
        "",
        "1970-01-01T00:00:00.000Z",
        "1970-01-01T00:00:00Z",
        "yesterday",
    ] {
        assert_eq!(real_date(none), None, "{none}");
    }
    let plus = real_date("2024-05-01T12:00:00.000+02:00");
    assert_eq!(plus, real_date(" 2024-05-01T10:00:00.000Z "));
    assert!(plus.is_some());
}

#[test]
fn a_file_in_a_directory_of_its_own_spelling_is_put_where_the_zip_has_it() {
    let got = entry(
        &raw("Workflow", "Invoice__c", "Workflow/Invoice__c.workflow"),
        &["Workflow"],
    );
    assert_eq!(got.file_name, "workflows/Invoice__c.workflow");
}

#[test]
fn a_child_knows_its_parent() {
    let field = entry(
        &raw("CustomField", "Account.A__c", "objects/Account.object"),
        &["CustomField"],
    );
    assert_eq!(field.parent, Some(ComponentKey::new("CustomObject", "Account")));
    let label = entry(
        &raw("CustomLabel", "Hello", "labels/CustomLabels.labels"),
        &["CustomLabel"],
    );
    assert_eq!(
        label.parent,
        Some(ComponentKey::new("CustomLabels", "CustomLabels"))
    );
    let rule = entry(&raw("WorkflowRule", "Account.A %2E B", ""), &["WorkflowRule"]);
    assert_eq!(rule.parent, Some(ComponentKey::new("Workflow", "Account")));
    assert_eq!(rule.key.name, "Account.A . B");
}

#[test]
fn an_empty_id_is_none_and_a_real_one_stays() {
    let with_id = |id: &str| RawListing {
        id: Some(id.to_owned()),
        ..raw("ApexClass", "Util", "")
    };
    assert_eq!(entry(&with_id(""), &["ApexClass"]).salesforce_id, None);
    assert_eq!(
        entry(&with_id("000000000000000AAA"), &["ApexClass"]).salesforce_id,
        None
    );
    let real = entry(&with_id("01p5g00000AbCdEAAV"), &["ApexClass"]);
    assert_eq!(real.salesforce_id.as_deref(), Some("01p5g00000AbCdEAAV"));
}
