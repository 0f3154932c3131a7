//! XML that is a mistake or an attack: each gets the code of its own kind, and costs nobody else anything.

use std::fmt::Write as _;

use nightshift_metadata::{
    Assembled, Assembler, Described, MetadataError, Rules, XmlLimits, canonical_form, parse_file, registry,
};
use proptest::prelude::*;

fn refused(bytes: &[u8], limits: XmlLimits) -> MetadataError {
    match canonical_form(bytes, Rules::PLAIN, limits) {
        Err(error) => error,
        Ok(_) => panic!(
            "was read: {}",
            String::from_utf8_lossy(&bytes[..bytes.len().min(200)])
        ),
    }
}

fn levels(count: usize) -> String {
    "<a>".repeat(count) + &"</a>".repeat(count)
}

#[test]
fn each_kind_of_bad_xml_has_its_code() {
    let laughs = "<!DOCTYPE l [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;\">]><l>&b;</l>";
    let external = "<!DOCTYPE l [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><l>&x;</l>";
    let many_attributes = (0..65).fold("<a".to_owned(), |mut tag, at| {
        let _ = write!(tag, " a{at}=\"\"");
        tag
    }) + "/>";
    let long_tag = format!("<a b=\"{}\"/>", "x".repeat(65 << 10));
    let ten_thousand = levels(10_000);
    let million_open = "<a>".repeat(1_000_000);
    let cases: Vec<(&str, &[u8])> = vec![
        ("xml_doctype", laughs.as_bytes()),
        ("xml_doctype", external.as_bytes()),
        ("xml_doctype", b"<!DOCTYPE a><a/>"),
        ("xml_doctype", b"<?php echo 1 ?><a/>"),
        ("xml_doctype", b"<a><?go away?></a>"),
        ("xml_entity", b"<a>&nope;</a>"),
        ("xml_entity", b"<a>&#0;</a>"),
        ("xml_entity", b"<a>&#xD800;</a>"),
        ("xml_entity", b"<a>&#x110000;</a>"),
        ("xml_entity", b"<a>&#+65;</a>"),
        ("xml_entity", b"<a b=\"&nope;\"/>"),
        ("xml_too_deep", ten_thousand.as_bytes()),
        ("xml_too_deep", million_open.as_bytes()),
        ("xml_too_complex", many_attributes.as_bytes()),
        ("xml_too_complex", long_tag.as_bytes()),
        ("xml_truncated", b""),
        ("xml_truncated", b"  \n"),
        ("xml_truncated", b"<?xml version=\"1.0\"?>"),
        ("xml_truncated", b"<a><b>text"),
        ("xml_truncated", b"<a><b>text</b>"),
        ("xml_truncated", b"<a><b"),
        ("xml_truncated", b"<a><!-- never closed"),
        ("xml_truncated", b"<a><![CDATA[never closed"),
        ("xml_encoding", b"\xFF\xFE<\0a\0/\0>\0"),
        ("xml_encoding", b"<a>\xC3\x28</a>"),
        ("xml_encoding", b"<a>\0</a>"),
        (
            "xml_encoding",
            b"<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><a/>",
        ),
        ("xml_malformed", b"<a/><b/>"),
        ("xml_malformed", b"<a/>text"),
        ("xml_malformed", b"text<a/>"),
        ("xml_malformed", b"<a></b>"),
        ("xml_malformed", b"<a><b></a></b>"),
        ("xml_malformed", b"</a>"),
        ("xml_malformed", b"<a b=1/>"),
        ("xml_malformed", b"<a b/>"),
        ("xml_malformed", b"<a b=\"<\"/>"),
        ("xml_malformed", b"<a b=\"1\"c=\"2\"/>"),
        ("xml_malformed", b"<a b=\"1\" b=\"2\"/>"),
        ("xml_malformed", b"<a xmlns=\"1\" xmlns=\"2\"/>"),
        ("xml_malformed", b"<a>1 & 2</a>"),
        ("xml_malformed", b"<1a/>"),
        ("xml_malformed", b" <?xml version=\"1.0\"?><a/>"),
    ];
    for (code, xml) in cases {
        let error = refused(xml, XmlLimits::DEFAULT);
        let begin = String::from_utf8_lossy(&xml[..xml.len().min(60)]).into_owned();
        assert_eq!(error.code(), code, "{begin:?} gave {error}");
    }
}

#[test]
fn each_limit_lets_through_what_it_allows_and_no_more() {
    let limits = XmlLimits {
        depth: 3,
        attributes: 2,
        tag_bytes: 40,
        text_bytes: 10,
        elements: 5,
    };
    let pairs = [
        (levels(3), levels(4), "xml_too_deep"),
        (
            "<a b='' c=''/>".to_owned(),
            "<a b='' c='' d=''/>".to_owned(),
            "xml_too_complex",
        ),
        (
            format!("<a b='{}'/>", "x".repeat(30)),
            format!("<a b='{}'/>", "x".repeat(50)),
            "xml_too_complex",
        ),
        (
            "<a>12345&amp;789<!-- -->0</a>".to_owned(),
            "<a>12345&amp;789<!-- -->01</a>".to_owned(),
            "xml_text_too_large",
        ),
        (
            format!("<a>{}</a>", "<b/>".repeat(4)),
            format!("<a>{}</a>", "<b/>".repeat(5)),
            "xml_too_complex",
        ),
    ];
    for (allowed, beyond, code) in pairs {
        assert!(
            canonical_form(allowed.as_bytes(), Rules::PLAIN, limits).is_ok(),
            "{allowed}"
        );
        assert_eq!(refused(beyond.as_bytes(), limits).code(), code, "{beyond}");
    }
    assert!(canonical_form(levels(256).as_bytes(), Rules::PLAIN, XmlLimits::DEFAULT).is_ok());
    let beyond = levels(257);
    assert_eq!(
        refused(beyond.as_bytes(), XmlLimits::DEFAULT).code(),
        "xml_too_deep"
    );
}

#[test]
fn a_file_cut_off_anywhere_is_never_read() {
    let whole = "\u{feff}<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<CustomObject xmlns=\"urn:x\">\n  <!-- c -->\
        <fields a='1'><fullName>A &amp; &#228;ö__c</fullName><e/><t><![CDATA[x]]></t></fields>\n</CustomObject>";
    let info = registry().by_name("CustomObject").unwrap();
    assert!(parse_file(info, "A", whole.as_bytes()).is_ok());
    for end in 0..whole.len() {
        let error = parse_file(info, "A", &whole.as_bytes()[..end]).unwrap_err();
        let allowed = ["xml_truncated", "xml_malformed", "xml_encoding"];
        assert!(allowed.contains(&error.code()), "cut at {end}: {error}");
    }
}

#[test]
fn an_error_quotes_nothing_of_the_file_but_a_bounded_name() {
    let secret = "s3cr3t".repeat(40);
    let files = [
        format!("<a><token>{secret}</token>"),
        format!("<a token='{secret}' token='{secret}'/>"),
        format!("<a>{secret}</b>"),
        format!("<a>{}{secret}</a>", "<b>".repeat(300)),
        format!("<a>&{};</a>", "n".repeat(500)),
    ];
    for file in &files {
        let error = refused(file.as_bytes(), XmlLimits::DEFAULT);
        assert!(!error.to_string().contains("s3cr3t"), "{error}");
        assert!(error.to_string().len() < 200, "{error}");
        assert!(!format!("{error:?}").contains("s3cr3t"));
    }
}

#[test]
fn one_bad_file_is_one_lost_member_and_the_others_are_whole() {
    let described = Described::default();
    let mut assembler = Assembler::new(&described);
    let deep = levels(10_000);
    let files: [(&str, &[u8]); 6] = [
        ("tabs/Good.tab", b"<CustomTab><motif>1</motif></CustomTab>"),
        ("tabs/Deep.tab", deep.as_bytes()),
        ("classes/Bad.cls-meta.xml", b"<!DOCTYPE a><a/>"),
        ("classes/Bad.cls", b"class Bad {}"),
        ("classes/Good.cls", b"class Good {}"),
        ("classes/Good.cls-meta.xml", b"<ApexClass/>"),
    ];
    let mut good = Vec::new();
    let mut lost = Vec::new();
    let mut stored = 0;
    for (path, bytes) in files {
        let taken = assembler.file(path, bytes);
        stored += usize::from(taken.blob.is_some());
        match taken.assembled {
            Some(Assembled::Member(member)) => good.push(member.component.key.to_string()),
            Some(Assembled::Unreadable(one)) => lost.push((one.key.to_string(), one.error.code())),
            None => {}
        }
    }
    assert_eq!(good, ["CustomTab Good", "ApexClass Good"]);
    assert_eq!(
        lost,
        [
            ("CustomTab Deep".to_owned(), "xml_too_deep"),
            ("ApexClass Bad".to_owned(), "xml_doctype")
        ]
    );
    assert_eq!(stored, 3);
    assert_eq!(assembler.finish(), []);
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = canonical_form(&bytes, Rules::PLAIN, XmlLimits::DEFAULT);
    }

    #[test]
    fn no_near_xml_makes_the_reader_panic(
        parts in proptest::collection::vec(
            proptest::sample::select(vec![
                "<a>", "</a>", "<a/>", "<b c='d'>", "</b>", "&amp;", "&#228;", "&x;", "&", "<!--", "-->", "<![CDATA[",
                "]]>", "<?xml?>", "text", "ö", " ", "<", ">", "'", "\u{feff}", "<!DOCTYPE", "\r\n",
            ]),
            0..30,
        ),
    ) {
        let xml = parts.concat();
        let _ = canonical_form(xml.as_bytes(), Rules::PLAIN, XmlLimits::DEFAULT);
        let info = registry().by_name("CustomObject").unwrap();
        let _ = parse_file(info, "A", xml.as_bytes());
    }
}
