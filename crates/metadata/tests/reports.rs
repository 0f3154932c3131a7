//! What broke for others with names, listings and XML (docs: bug reports), each as a test with the report's id.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

use nightshift_domain::component::{LeftOut, LeftOutReason};
use nightshift_metadata::{
    Assembled, Assembler, Described, DescribedType, ListingContext, ListingFault, RawListing, Rules, Seen,
    XmlLimits, canonical_form, correct_listing, grouped, name_of, read_message, real_date,
};

fn raw(type_name: &str, full_name: &str, file_name: &str) -> RawListing {
    RawListing {
        type_name: Some(type_name.into()),
        full_name: Some(full_name.into()),
        file_name: Some(file_name.into()),
        ..RawListing::default()
    }
}

fn plain(xml: &str) -> Vec<u8> {
    canonical_form(xml.as_bytes(), Rules::PLAIN, XmlLimits::DEFAULT).unwrap()
}

#[test]
fn b05_a_managed_and_an_unmanaged_record_of_one_name_are_two() {
    let described = Described::default();
    let context = ListingContext {
        asked: &["CustomMetadata"],
        described: &described,
        own_namespace: None,
    };
    let file = "customMetadata/Setting.Default.md";
    let managed = RawListing {
        namespace_prefix: Some("ns".into()),
        ..raw("CustomMetadata", "Setting.Default", file)
    };
    let managed = RawListing {
        manageable_state: Some("installed".into()),
        ..managed
    };
    let mut seen = Seen::default();
    let managed = correct_listing(&managed, &context).unwrap();
    let own = correct_listing(&raw("CustomMetadata", "Setting.Default", file), &context).unwrap();
    assert!(seen.first(&managed) && seen.first(&own), "{managed:?} {own:?}");
    assert_ne!(managed.key, own.key);
}

#[test]
fn b13_an_entry_that_names_nothing_is_reported_and_the_others_stay() {
    let described = Described::default();
    let context = ListingContext {
        asked: &["AnimationRule"],
        described: &described,
        own_namespace: None,
    };
    let nameless = RawListing::default();
    let fault: ListingFault = correct_listing(&nameless, &context).unwrap_err();
    assert_eq!(fault.left_out().reason, LeftOutReason::Unnamed);
    let good = (0..500).map(|n| {
        raw(
            "AnimationRule",
            &format!("Rule_{n}"),
            &format!("animationRules/Rule_{n}.animationRule"),
        )
    });
    assert_eq!(
        good.filter(|entry| correct_listing(entry, &context).is_ok())
            .count(),
        500
    );
}

#[test]
fn b23_many_messages_of_one_kind_are_told_as_one_group() {
    let described = Described::default();
    let left_out: Vec<LeftOut> = (0..201)
        .map(|n| {
            let problem = format!("Entity of type 'Report' named 'Folder/Report_{n}' cannot be found");
            let told = read_message(&problem, None, &described).unwrap();
            let name = told.name.unwrap();
            LeftOut {
                type_name: told.type_name.unwrap(),
                name,
                reason: told.reason,
                detail: told.detail,
            }
        })
        .chain([LeftOut {
            type_name: "Flow".into(),
            name: "One".into(),
            reason: LeftOutReason::NoAccess,
            detail: "insufficient access".into(),
        }])
        .collect();
    let groups = grouped(&left_out);
    assert_eq!(groups.len(), 2, "{groups:?}");
    assert_eq!(groups.iter().map(|group| group.count).max(), Some(201));
    assert!(groups.iter().all(|group| group.first_names.len() < 20));
}

#[test]
fn b45_an_escaped_dot_in_a_layouts_name_makes_one_component() {
    let described = Described::default();
    let name = "Broker__c-v1%2E1 Broker Layout";
    let path = format!("layouts/{name}.layout");
    let named = name_of(&path, &described);
    assert_eq!(named.full_name, name);
    let context = ListingContext {
        asked: &["Layout"],
        described: &described,
        own_namespace: None,
    };
    let listed = correct_listing(&raw("Layout", name, &path), &context).unwrap();
    assert_eq!(listed.key, named.key);
}

#[test]
fn b47_a_type_of_a_coming_release_is_kept_whole() {
    let described = Described::new(vec![DescribedType {
        name: "NextReleaseThing".into(),
        directory: "nextreleasethings".into(),
        suffix: Some("nextreleasething".into()),
        in_folder: false,
        meta_file: false,
        children: vec!["MarketingAppExtActivity".into()],
    }]);
    assert_eq!(described.unknown().count(), 1);
    let mut assembler = Assembler::new(&described);
    let mut members = Vec::new();
    for n in 0..3 {
        let path = format!("nextreleasethings/Ext_{n}.nextreleasething");
        members.extend(
            assembler
                .file(&path, b"<NextReleaseThing><a>1</a></NextReleaseThing>")
                .assembled,
        );
    }
    members.extend(assembler.finish());
    assert_eq!(members.len(), 3);
    for member in members {
        let Assembled::Member(member) = member else {
            panic!("{member:?}")
        };
        assert_eq!(member.component.key.type_name, "NextReleaseThing");
        assert!(
            member.component.full_name.starts_with("Ext_"),
            "{}",
            member.component.full_name
        );
    }
}

#[test]
fn b49_two_spellings_of_an_apostrophe_are_no_change() {
    let named = plain("<F><formula>it&apos;s</formula></F>");
    assert_eq!(named, plain("<F><formula>it&#39;s</formula></F>"));
    assert_eq!(named, plain("<F><formula>it's</formula></F>"));
    assert_ne!(named, plain("<F><formula>its</formula></F>"));
}

#[test]
fn b51_text_in_pieces_around_entities_is_kept_whole() {
    let whole = plain("<F><formula>_xlfn.X(&quot;A&quot;,1)</formula><label>&amp; more</label></F>");
    assert_ne!(
        whole,
        plain("<F><formula>_xlfn.X(&quot;A&quot;,2)</formula><label>&amp; more</label></F>")
    );
    assert_ne!(
        whole,
        plain("<F><formula>X(&quot;A&quot;,1)</formula><label>&amp; more</label></F>")
    );
    assert_ne!(
        whole,
        plain("<F><formula>_xlfn.X(&quot;A&quot;,1)</formula><label>&amp;</label></F>")
    );
    assert_eq!(
        whole,
        plain("<F><formula>_xlfn.X(\"A\",1)</formula><label>&#38; more</label></F>")
    );
}

#[test]
fn b53_a_date_of_1970_is_none_that_could_be_trusted() {
    assert_eq!(real_date("1970-01-01T00:00:00.000Z"), None);
    assert!(real_date("2026-05-01T03:04:05.000Z").is_some());
    let described = Described::default();
    let context = ListingContext {
        asked: &["CustomMetadata"],
        described: &described,
        own_namespace: None,
    };
    let record = RawListing {
        last_modified_date: Some("1970-01-01T00:00:00.000Z".into()),
        ..raw(
            "CustomMetadata",
            "Setting.Default",
            "customMetadata/Setting.Default.md",
        )
    };
    assert_eq!(correct_listing(&record, &context).unwrap().last_modified, None);
}
