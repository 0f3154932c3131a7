//! Members from their files, in whatever order and spelling the answer brings them.

use nightshift_domain::ComponentKey;
use nightshift_metadata::{Assembled, Assembler, Described, DescribedType, Member, MetadataError, Taken};

fn all(described: &Described, files: &[(&str, &str)]) -> Vec<Assembled> {
    let mut assembler = Assembler::new(described);
    let mut assembled: Vec<Assembled> = files
        .iter()
        .filter_map(|(path, content)| assembler.file(path, content.as_bytes()).assembled)
        .collect();
    assembled.extend(assembler.finish());
    assembled
}

fn one(files: &[(&str, &str)]) -> Member {
    match &all(&Described::default(), files)[..] {
        [Assembled::Member(member)] => (**member).clone(),
        other => panic!("not one member: {other:?}"),
    }
}

const CLASS: (&str, &str) = ("unpackaged/classes/A.cls", "class A {}");
const CLASS_META: (&str, &str) = (
    "unpackaged/classes/A.cls-meta.xml",
    "<ApexClass><apiVersion>47.0</apiVersion><status>Active</status></ApexClass>",
);

#[test]
fn a_body_and_its_meta_file_are_one_member_in_either_order() {
    let member = one(&[CLASS, CLASS_META]);
    assert_eq!(member, one(&[CLASS_META, CLASS]));
    assert_eq!(member.component.key, ComponentKey::new("ApexClass", "A"));
    assert_eq!(member.component.file_name, "classes/A.cls");
    assert_eq!(
        member.component.blob,
        *blake3::hash(CLASS.1.as_bytes()).as_bytes()
    );
    assert_eq!(member.files.len(), 2);
    assert!(!member.opaque);
}

#[test]
fn both_files_count_and_the_meta_file_in_canonical_form() {
    let member = one(&[CLASS, CLASS_META]);
    let hash = |content: &str, meta: &str| {
        one(&[(CLASS.0, content), (CLASS_META.0, meta)])
            .component
            .content_hash
    };
    let reordered =
        "<ApexClass xmlns=\"urn:m\">\n <status>Active</status><apiVersion>47.0</apiVersion></ApexClass>";
    assert_eq!(hash(CLASS.1, reordered), member.component.content_hash);
    assert_ne!(hash("class A { }", CLASS_META.1), member.component.content_hash);
    assert_ne!(hash(CLASS.1, "<ApexClass/>"), member.component.content_hash);
}

#[test]
fn a_body_without_its_meta_file_is_a_member_at_the_end() {
    let described = Described::default();
    let mut assembler = Assembler::new(&described);
    let taken = assembler.file(CLASS.0, CLASS.1.as_bytes());
    assert_eq!((taken.blob.is_some(), taken.assembled), (true, None));
    assert_eq!(assembler.open_members(), 1);
    let end = assembler.finish();
    assert!(matches!(&end[..], [Assembled::Member(member)] if member.files.len() == 1));
}

#[test]
fn a_bundle_ends_with_its_last_file_where_the_count_is_known_and_else_with_the_answer() {
    let files = [
        ("lwc/greet/greet.html", "<template/>"),
        ("lwc/greet/greet.js-meta.xml", "<LightningComponentBundle/>"),
        ("lwc/greet/greet.js", "export {}"),
    ];
    let unknown = one(&files);
    let described = Described::default();
    let mut assembler = Assembler::new(&described);
    assembler.expect(ComponentKey::new("LightningComponentBundle", "greet"), 3);
    let taken: Vec<Taken> = files
        .iter()
        .map(|(path, content)| assembler.file(path, content.as_bytes()))
        .collect();
    assert!(taken[0].assembled.is_none() && taken[1].assembled.is_none());
    assert_eq!(
        taken[2].assembled,
        Some(Assembled::Member(Box::new(unknown.clone())))
    );
    assert_eq!(assembler.finish(), []);
    assert_eq!(unknown.component.file_name, "lwc/greet/greet.js");
}

#[test]
fn the_markup_stands_for_an_aura_bundle_and_each_file_counts() {
    let files = [
        ("aura/greet/greet.cmp-meta.xml", "<AuraDefinitionBundle/>"),
        ("aura/greet/greetController.js", "({})"),
        ("aura/greet/greet.cmp", "<aura:component/>"),
        ("aura/greet/greet.design", "<design:component/>"),
    ];
    let bundle = one(&files);
    assert_eq!(bundle.component.file_name, "aura/greet/greet.cmp");
    let fewer = one(&files[..3]);
    assert_ne!(bundle.component.content_hash, fewer.component.content_hash);
    let moved = one(&[
        files[0],
        ("aura/greet/greetControllex.js", "({})"),
        files[2],
        files[3],
    ]);
    assert_ne!(
        bundle.component.content_hash, moved.component.content_hash,
        "the same bytes under another name"
    );
}

#[test]
fn the_file_that_is_called_like_its_bundle_stands_for_it() {
    let bundle = one(&[
        ("lwc/greet/another.js", "1"),
        ("lwc/greet/greet.html", "2"),
        ("lwc/greet/greet.js", "3"),
    ]);
    assert_eq!(bundle.component.file_name, "lwc/greet/greet.js");
    let markup = one(&[("lwc/greet/another.js", "1"), ("lwc/greet/greet.html", "2")]);
    assert_eq!(markup.component.file_name, "lwc/greet/greet.html");
}

#[test]
fn b43_a_member_in_two_spellings_has_one_key_and_one_hash() {
    let listed = one(&[("classes/A(b).cls", "x"), ("classes/A(b).cls-meta.xml", "<a/>")]);
    let escaped = one(&[
        ("classes/A%28b%29.cls", "x"),
        ("classes/A(b).cls-meta.xml", "<a/>"),
    ]);
    assert_eq!(listed.component.key, escaped.component.key);
    assert_eq!(listed.component.content_hash, escaped.component.content_hash);
}

#[test]
fn one_member_twice_in_one_answer_is_reported_once_and_by_name() {
    let files = [
        ("profiles/A(b).profile", "<Profile/>"),
        (
            "profiles/A%28b%29.profile",
            "<Profile><custom>true</custom></Profile>",
        ),
        ("profiles/A%28b%29.profile", "<Profile/>"),
    ];
    let assembled = all(&Described::default(), &files);
    assert_eq!(assembled.len(), 2, "{assembled:?}");
    let Assembled::Unreadable(lost) = &assembled[1] else {
        panic!("{assembled:?}")
    };
    assert_eq!(
        (lost.error.clone(), &*lost.path),
        (MetadataError::Duplicate, "profiles/A%28b%29.profile")
    );
    let open = [
        ("classes/A.cls", "x"),
        ("classes/A.cls", "y"),
        ("classes/A.cls-meta.xml", "<a/>"),
    ];
    let assembled = all(&Described::default(), &open);
    assert!(
        matches!(&assembled[..], [Assembled::Unreadable(lost)] if lost.error == MetadataError::Duplicate)
    );
}

#[test]
fn a_member_with_an_unreadable_file_is_lost_whole_and_told_once() {
    let files = [
        ("lwc/bad/bad.js", "x"),
        ("lwc/bad/bad.js-meta.xml", "<a>"),
        ("lwc/bad/bad.html", "<template/>"),
        ("lwc/bad/bad.css-meta.xml", "<a>"),
    ];
    let assembled = all(&Described::default(), &files);
    let [Assembled::Unreadable(lost)] = &assembled[..] else {
        panic!("{assembled:?}")
    };
    assert_eq!((&*lost.full_name, lost.error.code()), ("bad", "xml_truncated"));
}

#[test]
fn a_body_is_never_read_as_xml() {
    let page = one(&[
        ("pages/P.page", "<a>&nope;</b>"),
        ("pages/P.page-meta.xml", "<ApexPage/>"),
    ]);
    assert_eq!(page.files.len(), 2);
    let file = page
        .files
        .iter()
        .find(|file| file.path == "pages/P.page")
        .unwrap();
    assert_eq!(file.canonical_hash, file.blob);
}

#[test]
fn children_carry_their_parent_and_lie_in_its_file() {
    let xml = "<CustomObject><fields><fullName>A__c</fullName></fields></CustomObject>";
    let member = one(&[("objects/I__c.object", xml)]);
    let [child] = &member.children[..] else {
        panic!("{member:?}")
    };
    assert_eq!(child.key, ComponentKey::new("CustomField", "I__c.A__c"));
    assert_eq!(child.parent.as_ref(), Some(&member.component.key));
    assert_eq!(
        (&child.file_name, child.blob),
        (&member.component.file_name, member.component.blob)
    );
    assert_eq!(child.slice, Some((14, xml.len() as u32 - 15)));
}

#[test]
fn b07_the_shares_of_a_folder_count_and_its_content_knows_its_folder() {
    let folder = |level: &str| {
        let xml = format!(
            "<ReportFolder><name>top</name><folderShares><accessLevel>{level}</accessLevel><sharedTo>All</sharedTo>\
             </folderShares></ReportFolder>"
        );
        one(&[("reports/top-meta.xml", &xml)]).component
    };
    assert_eq!(folder("View").key, ComponentKey::new("ReportFolder", "top"));
    assert_eq!(folder("View").content_hash, folder("View").content_hash);
    assert_ne!(folder("View").content_hash, folder("Manage").content_hash);
    let parent = nightshift_metadata::folder_of("Dashboard", "top/su/su1/D");
    assert_eq!(parent, Some(ComponentKey::new("DashboardFolder", "top/su/su1")));
}

#[test]
fn b47_three_components_of_the_next_release_are_kept_as_they_are() {
    let described = Described::new(vec![DescribedType {
        name: "NextThing".to_owned(),
        directory: "nextThings".to_owned(),
        suffix: Some("next".to_owned()),
        ..DescribedType::default()
    }]);
    let files = [
        ("nextThings/A.next", "<not <xml at all"),
        ("nextThings/B.next", "<a/>"),
        ("nextThings/C.next", "\0\u{1}"),
    ];
    let assembled = all(&described, &files);
    for (assembled, name) in assembled.iter().zip(["A", "B", "C"]) {
        let Assembled::Member(member) = assembled else {
            panic!("{assembled:?}")
        };
        assert_eq!(member.component.key, ComponentKey::new("NextThing", name));
        assert!(member.opaque);
        assert_eq!(
            member.component.content_hash, member.component.blob,
            "the raw hash"
        );
    }
    assert_eq!(assembled.len(), 3);
}

#[test]
fn package_xml_and_stray_meta_files_bring_nothing() {
    let files = [
        ("unpackaged/package.xml", "<Package>"),
        ("layouts/A-B.layout-meta.xml", "<broken"),
    ];
    assert_eq!(all(&Described::default(), &files), []);
}
