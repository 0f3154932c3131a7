//! Components inside their parent's file: one changed field is one change, one deleted field is seen.

use nightshift_metadata::{Child, ParsedFile, parse_file, registry};

fn object(body: &str) -> ParsedFile {
    let info = registry().by_name("CustomObject").unwrap();
    let xml = format!("<CustomObject xmlns=\"urn:m\">{body}<label>Invoice</label></CustomObject>");
    parse_file(info, "Invoice__c", xml.as_bytes()).unwrap()
}

fn field(name: &str, label: &str) -> String {
    format!("<fields><fullName>{name}</fullName><label>{label}</label></fields>")
}

fn names(parsed: &ParsedFile) -> Vec<&str> {
    parsed.children.iter().map(|child| &*child.full_name).collect()
}

fn hash(parsed: &ParsedFile, name: &str) -> [u8; 32] {
    let named = |child: &&Child| child.full_name == name;
    parsed.children.iter().find(named).unwrap().content_hash
}

#[test]
fn a_changed_field_is_one_change_and_not_one_of_its_object() {
    let before = object(&(field("A__c", "a") + &field("B__c", "b")));
    let after = object(&(field("A__c", "a") + &field("B__c", "new")));
    assert_eq!(before.content_hash, after.content_hash);
    assert_ne!(before.canonical_hash, after.canonical_hash);
    assert_eq!(hash(&before, "Invoice__c.A__c"), hash(&after, "Invoice__c.A__c"));
    assert_ne!(hash(&before, "Invoice__c.B__c"), hash(&after, "Invoice__c.B__c"));
}

#[test]
fn a_changed_label_of_the_object_is_none_of_its_fields() {
    let before = object(&field("A__c", "a"));
    let after = object(&(field("A__c", "a") + "<description>new</description>"));
    assert_ne!(before.content_hash, after.content_hash);
    assert_eq!(before.children[0].content_hash, after.children[0].content_hash);
}

#[test]
fn b55_a_deleted_field_is_missing_from_the_file_while_its_object_stays_the_same() {
    let before = object(&(field("Kept__c", "k") + &field("Old__c", "o")));
    let after = object(&field("Kept__c", "k"));
    assert_eq!(names(&before), ["Invoice__c.Kept__c", "Invoice__c.Old__c"]);
    assert_eq!(names(&after), ["Invoice__c.Kept__c"]);
    assert_eq!(before.content_hash, after.content_hash);
}

#[test]
fn fields_in_another_order_are_no_change_and_their_slices_follow() {
    let (a, b) = (field("A__c", "a"), field("B__c", "b"));
    let before = object(&format!("{a}{b}"));
    let after = object(&format!("{b}<!-- moved -->{a}"));
    assert_eq!(before.canonical_hash, after.canonical_hash);
    assert_eq!(names(&before), names(&after));
    let from = "<CustomObject xmlns=\"urn:m\">".len();
    let first = after
        .children
        .iter()
        .find(|child| child.full_name.ends_with("B__c"))
        .unwrap();
    assert_eq!(first.slice, (from as u32, (from + b.len()) as u32));
}

#[test]
fn a_slice_is_the_element_also_behind_a_byte_order_mark() {
    let info = registry().by_name("CustomLabels").unwrap();
    let xml = "\u{feff}<CustomLabels>\n <labels><fullName>ä</fullName></labels>\n</CustomLabels>";
    let parsed = parse_file(info, "CustomLabels", xml.as_bytes()).unwrap();
    let (from, to) = parsed.children[0].slice;
    assert_eq!(
        &xml[from as usize..to as usize],
        "<labels><fullName>ä</fullName></labels>"
    );
}

#[test]
fn a_second_element_of_one_name_stays_in_its_parents_own_content() {
    let once = object(&field("A__c", "a"));
    let twice = object(&(field("A__c", "a") + &field("A__c", "b")));
    assert_eq!(names(&twice), ["Invoice__c.A__c"]);
    assert_ne!(once.content_hash, twice.content_hash);
    let other = object(&(field("A__c", "a") + &field("A__c", "c")));
    assert_ne!(twice.content_hash, other.content_hash);
}

#[test]
fn b43_two_spellings_of_a_child_in_one_file_are_one_component() {
    let twice = object(&(field("My(x)__c", "a") + &field("My%28x%29__c", "b")));
    assert_eq!(names(&twice), ["Invoice__c.My(x)__c"]);
}

#[test]
fn an_element_without_a_name_is_no_component() {
    let nameless = object("<fields><label>x</label></fields><fields><fullName/></fields>");
    assert_eq!(names(&nameless), Vec::<&str>::new());
    assert_ne!(nameless.content_hash, object("").content_hash);
    assert_eq!(nameless.content_hash, nameless.canonical_hash);
}

#[test]
fn only_elements_below_the_root_are_components() {
    let nested = object("<other><fields><fullName>A__c</fullName></fields></other>");
    assert_eq!(names(&nested), Vec::<&str>::new());
    let shadowed = object(&format!(
        "<other>{}</other>{}",
        field("A__c", "x"),
        field("A__c", "a")
    ));
    assert_eq!(names(&shadowed), ["Invoice__c.A__c"]);
    assert_eq!(
        shadowed.children[0].content_hash,
        object(&field("A__c", "a")).children[0].content_hash
    );
}

#[test]
fn the_name_is_the_elements_own_child_and_not_a_deeper_one() {
    let deep = object("<fields><type><fullName>No</fullName></type><fullName>Yes__c</fullName></fields>");
    assert_eq!(names(&deep), ["Invoice__c.Yes__c"]);
}
