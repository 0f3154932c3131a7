//! From paths to names where the name itself is the difficulty.

use nightshift_domain::ComponentKey;
use nightshift_metadata::{Described, DescribedType, Role, name_of, path_of, registry, standard_value_sets};

fn key(path: &str) -> ComponentKey {
    name_of(path, &Described::default()).key
}

#[test]
fn b41_a_layout_of_nearly_any_character_is_one_component_and_asked_for_as_it_came() {
    let sent =
        "Broker__c-layout %5E %C2%B0 %21 %22 %C2%A7 %24 %25 %26 %2F %28 %29 %3D %3F %C3%A4 %C3%9F %E8%A3%BD";
    let readable = "Broker__c-layout ^ ° ! \" § $ % & / ( ) = ? ä ß 製";
    let named = name_of(
        &format!("unpackaged/layouts/{sent}.layout"),
        &Described::default(),
    );
    assert_eq!(named.key.type_name, "Layout");
    assert_eq!(named.key.name, readable);
    assert_eq!(named.full_name, sent);
    let info = registry().by_name("Layout").unwrap();
    assert_eq!(
        path_of(info, &named.full_name),
        Some(format!("layouts/{sent}.layout"))
    );
}

#[test]
fn b43_a_profile_with_parentheses_is_one_in_both_spellings() {
    let listed = key("profiles/My(awesome)profile.profile");
    assert_eq!(listed, key("profiles/My%28awesome%29profile.profile"));
    assert_eq!(listed.name, "My(awesome)profile");
    let brackets = key("layouts/A-B %5Bold%5D.layout");
    assert_eq!(brackets, key("layouts/A-B [old].layout"));
}

#[test]
fn b45_the_suffix_is_cut_at_the_last_dot_and_the_escaped_one_is_a_dot() {
    let escaped = name_of(
        "layouts/Broker__c-v1%2E1 Broker Layout.layout",
        &Described::default(),
    );
    assert_eq!(
        escaped.key,
        ComponentKey::new("Layout", "Broker__c-v1.1 Broker Layout")
    );
    assert_eq!(escaped.full_name, "Broker__c-v1%2E1 Broker Layout");
    assert_eq!(key("layouts/Broker__c-v1.1 Broker Layout.layout"), escaped.key);
    assert_eq!(
        key("customMetadata/Setting.My.Default.md").name,
        "Setting.My.Default"
    );
}

#[test]
fn b07_folders_and_their_content_are_named_at_every_level() {
    assert_eq!(
        key("dashboards/top-meta.xml"),
        ComponentKey::new("DashboardFolder", "top")
    );
    assert_eq!(
        key("dashboards/top/su/su1-meta.xml"),
        ComponentKey::new("DashboardFolder", "top/su/su1")
    );
    assert_eq!(
        key("dashboards/top/su/su1/D.dashboard"),
        ComponentKey::new("Dashboard", "top/su/su1/D")
    );
    assert_eq!(
        key("reports/top.reportFolder-meta.xml"),
        ComponentKey::new("ReportFolder", "top")
    );
    assert_eq!(
        key("email/unfiled$public/T.email-meta.xml"),
        ComponentKey::new("EmailTemplate", "unfiled$public/T")
    );
    assert_eq!(key("email/F-meta.xml"), ComponentKey::new("EmailFolder", "F"));
    assert_eq!(
        key("documents/F-meta.xml"),
        ComponentKey::new("DocumentFolder", "F")
    );
    assert_eq!(
        key("documents/F/a.b.csv"),
        ComponentKey::new("Document", "F/a.b.csv")
    );
    assert_eq!(
        key("documents/F/noSuffix"),
        ComponentKey::new("Document", "F/noSuffix")
    );
}

fn next_release() -> Described {
    let described = |name: &str, directory: &str, suffix: Option<&str>| DescribedType {
        name: name.to_owned(),
        directory: directory.to_owned(),
        suffix: suffix.map(str::to_owned),
        ..DescribedType::default()
    };
    Described::new(vec![
        described("ApexClass", "classes", Some("cls")),
        described("NextThing", "nextThings", Some("next")),
        DescribedType {
            meta_file: true,
            in_folder: true,
            ..described("NextBody", "nextBodies", Some("body"))
        },
        described("NextBundle", "nextBundles", None),
    ])
}

#[test]
fn b47_a_type_of_the_next_release_is_named_by_the_describe_answer() {
    let described = next_release();
    let unknown: Vec<&str> = described.unknown().map(|one| &*one.name).collect();
    assert_eq!(unknown, ["NextThing", "NextBody", "NextBundle"]);
    let cases = [
        ("nextThings/A.B.next", "NextThing A.B", "", Some(1)),
        ("nextBodies/F/A.body", "NextBody F/A", "content", Some(2)),
        ("nextBodies/F/A.body-meta.xml", "NextBody F/A", "meta", Some(2)),
        ("nextBodies/F-meta.xml", "NextBodyFolder F", "", Some(1)),
        ("nextBundles/A/a.js", "NextBundle A", "a.js", None),
        ("nextBundles/A/sub/b.js", "NextBundle A", "sub/b.js", None),
    ];
    for (path, wanted, part, files) in cases {
        let named = name_of(path, &described);
        assert_eq!(named.role, Role::Opaque, "{path}");
        assert_eq!(
            (&*named.key.to_string(), &*named.part, named.files),
            (wanted, part, files),
            "{path}"
        );
    }
    assert_eq!(
        described.folder_type("NextBody").as_deref(),
        Some("NextBodyFolder")
    );
    assert_eq!(described.folder_type("NextThing"), None);
    assert_eq!(described.files_expected("NextThing"), 1);
    assert_eq!(described.files_expected("NextBody"), 2);
    assert_eq!(described.files_expected("NextBundle"), 10);
}

#[test]
fn b47_a_file_that_nobody_announced_is_kept_under_its_directory() {
    let described = next_release();
    for (path, wanted) in [
        ("mysteries/A.mystery", "mysteries A.mystery"),
        ("nextThings/A.else", "nextThings A.else"),
        ("classes/README", "classes README"),
        ("alone.txt", " alone.txt"),
    ] {
        let named = name_of(path, &described);
        assert_eq!(
            (named.role, &*named.key.to_string()),
            (Role::Opaque, wanted),
            "{path}"
        );
    }
}

#[test]
fn b47_two_types_of_the_next_release_in_one_directory_are_told_apart_by_suffix() {
    let described = |name: &str, suffix: &str| DescribedType {
        name: name.to_owned(),
        directory: "shared".to_owned(),
        suffix: Some(suffix.to_owned()),
        ..DescribedType::default()
    };
    let both = Described::new(vec![described("One", "one"), described("Two", "two")]);
    assert_eq!(name_of("shared/A.two", &both).key, ComponentKey::new("Two", "A"));
    assert_eq!(name_of("shared/A.one", &both).key, ComponentKey::new("One", "A"));
}

#[test]
fn a_report_called_like_its_folder_keeps_both_names() {
    assert_eq!(
        key("reports/Sales/Sales.report"),
        ComponentKey::new("Report", "Sales/Sales")
    );
    assert_eq!(
        key("territory2Models/M/M.territory2Model"),
        ComponentKey::new("Territory2Model", "M")
    );
}

#[test]
fn the_list_of_what_came_is_no_component_and_neither_is_a_stray_meta_file() {
    assert_eq!(
        name_of("unpackaged/package.xml", &Described::default()).role,
        Role::PackageXml
    );
    assert_eq!(
        name_of("layouts/A-B.layout-meta.xml", &Described::default()).role,
        Role::Stray
    );
}

#[test]
fn the_files_of_a_bundle_belong_to_it_and_have_parts_of_their_own() {
    let named = name_of("lwc/greet/__tests__/greet.test.js", &Described::default());
    assert_eq!(
        (&*named.full_name, &*named.part),
        ("greet", "__tests__/greet.test.js")
    );
    assert_eq!(named.files, None);
    let loose = key("digitalExperiences/site.x-meta.xml");
    assert_eq!(loose, ComponentKey::new("digitalExperiences", "site.x-meta.xml"));
    let deep = name_of("digitalExperiences/site/Shop/a/b.json", &Described::default());
    assert_eq!((&*deep.full_name, &*deep.part), ("site/Shop", "a/b.json"));
    assert_eq!(
        key("digitalExperiences/site"),
        ComponentKey::new("digitalExperiences", "site")
    );
}

#[test]
fn standard_value_sets_are_known_by_name_and_each_can_be_asked_for() {
    let names = standard_value_sets();
    assert!(names.len() >= 140, "{}", names.len());
    assert!(
        names.windows(2).all(|pair| pair[0] < pair[1]),
        "in order, none twice"
    );
    for name in names {
        assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{name:?}");
        assert!(
            !matches!(*name, "AddressCountryCode" | "AddressStateCode"),
            "too large to ask for"
        );
        let info = registry().by_name("StandardValueSet").unwrap();
        let path = path_of(info, name).unwrap();
        assert_eq!(key(&path), ComponentKey::new("StandardValueSet", name));
    }
    for name in [
        "LeadSource",
        "OpportunityStage",
        "CaseStatus",
        "Industry",
        "AccountType",
        "TaskStatus",
        "ContactRole",
    ] {
        assert!(names.contains(&name), "{name}");
    }
}
