//! XML files that are a mistake or an attack, each in a zip between good ones.

use std::fmt::Write as _;

use nightshift_archive::Limits;

use crate::{
    Judged, Prepared,
    retrieves::{Brought, answer_with, prepared},
    writer::{Entry, zip},
};

const PATH: &str = "unpackaged/objects/Bad__c.object";

pub fn prepare(name: &str) -> Prepared {
    let file = file(name);
    let good = Entry::deflated(
        "unpackaged/tabs/Before.tab",
        b"<CustomTab><motif>1</motif></CustomTab>",
    );
    let after = Entry::deflated(
        "unpackaged/tabs/Behind.tab",
        b"<CustomTab><motif>2</motif></CustomTab>",
    );
    let mut entries = vec![good, Entry::stored(PATH, &file), after];
    if name == "xml_member_twice" {
        entries.push(Entry::stored("unpackaged/objects/Bad%5F%5Fc.object", &file));
    }
    prepared(answer_with(&zip(&entries)), Limits::default(), judge)
}

/// One member is lost, by name; those beside it in the zip have come.
fn judge(brought: Brought) -> Judged {
    let whole = brought
        .members
        .iter()
        .filter(|name| name.starts_with("CustomTab"));
    let whole = whole.eq(["CustomTab Before", "CustomTab Behind"]);
    let alone = brought.lost.iter().all(|(key, ..)| key == "CustomObject Bad__c") && brought.end == Ok(());
    let harm = if whole && alone {
        String::new()
    } else {
        format!("{brought:?}")
    };
    let first = brought.lost.into_iter().next();
    let (code, text) = first.map_or_else(Default::default, |(_, code, words)| (code.to_owned(), words));
    Judged { code, text, harm }
}

fn levels(count: usize) -> String {
    "<a>".repeat(count) + &"</a>".repeat(count)
}

fn around(inside: &str) -> String {
    format!("<CustomObject>{inside}</CustomObject>")
}

fn file(name: &str) -> Vec<u8> {
    let text = match name {
        "xml_billion_laughs" => {
            "<!DOCTYPE l [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;&a;\"><!ENTITY c \"&b;&b;&b;&b;\">]><l>&c;</l>".to_owned()
        }
        "xml_entity_of_a_file" => {
            "<!DOCTYPE l [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><l>&x;</l>".to_owned()
        }
        "xml_processing_instruction" => around("<?php system('id') ?>"),
        "xml_unknown_entity" => around("<label>&nope;</label>"),
        "xml_unknown_entity_in_an_attribute" => around("<label a=\"&nope;\"/>"),
        "xml_reference_to_nul" => around("<label>&#0;</label>"),
        "xml_reference_to_half_a_character" => around("<label>&#xD800;</label>"),
        "xml_reference_with_a_sign" => around("<label>&#+65;</label>"),
        "xml_deeper_than_its_limit" => levels(257),
        "xml_ten_thousand_levels" => levels(10_000),
        "xml_a_million_open_elements" => "<a>".repeat(1_000_000),
        "xml_more_attributes_than_its_limit" => (0..65).fold("<a".to_owned(), |mut tag, at| {
            let _ = write!(tag, " a{at}=\"\"");
            tag
        }) + "/>",
        "xml_tag_longer_than_its_limit" => format!("<a b=\"{}\"/>", "x".repeat(64 << 10)),
        "xml_text_longer_than_its_limit" => around(&format!("<label>{}</label>", "x".repeat((32 << 20) + 1))),
        "xml_more_elements_than_its_limit" => around(&"<b/>".repeat(2_000_000)),
        "xml_name_longer_than_its_limit" => {
            around(&format!("<fields><fullName>{}</fullName></fields>", "x".repeat(1_025)))
        }
        "xml_empty" => String::new(),
        "xml_cut_in_an_element" => "<CustomObject><label>Reg".to_owned(),
        "xml_cut_in_a_tag" => "<CustomObject><lab".to_owned(),
        "xml_cut_in_a_comment" => "<CustomObject><!-- never closed".to_owned(),
        "xml_cut_in_cdata" => "<CustomObject><label><![CDATA[never closed".to_owned(),
        "xml_two_roots" => around("") + "<b/>",
        "xml_text_behind_its_root" => around("") + "text",
        "xml_wrong_end_tag" => "<CustomObject><label></CustomObject></label>".to_owned(),
        "xml_attribute_without_quotes" => around("<label a=1/>"),
        "xml_attribute_twice" => around("<label a=\"1\" a=\"2\"/>"),
        "xml_bare_ampersand" => around("<label>1 & 2</label>"),
        "xml_name_that_begins_with_a_digit" => around("<1a/>"),
        "xml_late_declaration" => format!(" <?xml version=\"1.0\"?>{}", around("")),
        "xml_latin_1" => format!("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>{}", around("")),
        "xml_that_is_a_web_page" => "<!DOCTYPE html><html><body>Login</body></html>".to_owned(),
        "xml_member_twice" => around("<label>x</label>"),
        "xml_utf_16" => return b"\xff\xfe<\0a\0/\0>\0".to_vec(),
        "xml_bytes_that_are_no_utf8" => return b"<CustomObject><label>\xc3\x28</label></CustomObject>".to_vec(),
        "xml_nul_byte" => return b"<CustomObject>\0</CustomObject>".to_vec(),
        other => panic!("{other} is not made here"),
    };
    text.into_bytes()
}
