//! describeMetadata: the types that this org has, whether they have members or not.

use std::fmt::Write;

use super::envelope::response;
use crate::{http::Answer, org::Org, xml::escape};

pub(crate) fn answer(org: &Org) -> Answer {
    let mut out = String::from("<result>");
    for kind in org.snapshot().described() {
        out.push_str("<metadataObjects>");
        for child in &kind.children {
            put(&mut out, "childXmlNames", child);
        }
        put(&mut out, "directoryName", &kind.directory);
        put(&mut out, "inFolder", if kind.in_folder { "true" } else { "false" });
        put(&mut out, "metaFile", if kind.meta_file { "true" } else { "false" });
        if !kind.suffix.is_empty() {
            put(&mut out, "suffix", &kind.suffix);
        }
        put(&mut out, "xmlName", &kind.name);
        out.push_str("</metadataObjects>");
    }
    put(&mut out, "organizationNamespace", org.spec.namespace.as_deref().unwrap_or(""));
    put(&mut out, "partialSaveAllowed", "true");
    put(&mut out, "testRequired", "false");
    out.push_str("</result>");
    response("describeMetadata", &out)
}

fn put(out: &mut String, name: &str, text: &str) {
    // Writing to a String cannot fail.
    let _ = write!(out, "<{name}>{}</{name}>", escape(text));
}
